"""One network from the same seeds by every learning rule: two phases that differ by a nudge or by a clamp."""

import dataclasses

from experiments.runs import Run

from hopfax.gradients import (
    AbstractGradient,
    ContrastiveLearning,
    CoupledLearning,
    EquilibriumPropagation,
    Implicit,
    Negative,
    Positive,
)
from hopfax.training.recipes import BETA, Recipe, goemaere_ep

SEEDS, EPOCHS = 3, 3
COUPLING = 0.1
RULES: dict[str, AbstractGradient] = {
    "implicit": Implicit(),
    "ep-centred": EquilibriumPropagation(BETA),
    "ep-positive": EquilibriumPropagation(BETA, Positive()),
    "ep-negative": EquilibriumPropagation(BETA, Negative()),
    "coupled-centred": CoupledLearning(COUPLING),
    "coupled-positive": CoupledLearning(COUPLING, Positive()),
    "coupled-negative": CoupledLearning(COUPLING, Negative()),
    "contrastive": ContrastiveLearning(),
}


def runs() -> list[Run]:
    """All rules on MNIST."""
    return [_run(rule, seed, goemaere_ep((784, 512, 10)), "mnist") for seed in range(SEEDS) for rule in RULES]


def smoke() -> list[Run]:
    """All rules for one epoch of the small digits, in seconds."""
    recipe = dataclasses.replace(goemaere_ep((64, 16, 10)), epochs=1)
    return [_run(rule, 0, recipe, "digits", epochs=1) for rule in RULES]


def _run(rule: str, seed: int, recipe: Recipe, data: str, epochs: int = EPOCHS) -> Run:
    recipe = dataclasses.replace(recipe, seed=seed, epochs=epochs, gradient=RULES[rule])
    return Run(f"{rule}-seed{seed}", recipe, data)
