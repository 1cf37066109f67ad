"""The same networks from the same seeds, by equilibrium propagation and by the implicit gradient."""

import dataclasses

from experiments.runs import Run

from hopfax.gradients import AbstractGradient, EquilibriumPropagation, Implicit
from hopfax.training.recipes import BETA, Recipe, goemaere_ep, low_feedback

SEEDS = 3
PAIRS = (  # prefix, recipe, equilibrium propagation beside the implicit gradient
    ("", goemaere_ep(), EquilibriumPropagation(BETA)),
    ("best-", low_feedback((784, 512, 10)), EquilibriumPropagation()),
    ("best-", low_feedback((784, 512, 512, 10)), EquilibriumPropagation()),
)
WIDER = ((784, 1024, 10), (784, 1024, 1024, 10))


def runs() -> list[Run]:
    """Two recipes with both gradients, then wider networks with equilibrium propagation alone."""
    seeds = range(SEEDS)
    pairs = [
        _run(prefix, name, recipe, gradient, seed)
        for prefix, recipe, nudged in PAIRS
        for seed in seeds
        for name, gradient in {"ep": nudged, "implicit": Implicit()}.items()
    ]
    wider = [low_feedback(layers) for layers in WIDER]
    return pairs + [
        _run("best-", "ep", recipe, EquilibriumPropagation(), seed) for seed in seeds for recipe in wider
    ]


def smoke() -> list[Run]:
    """Seconds on the digits of scikit-learn; shows that all runs, and nothing else."""
    recipe = dataclasses.replace(low_feedback((64, 16, 10)), epochs=1, gradient=EquilibriumPropagation())
    return [Run("smoke", recipe, "digits")]


def _run(prefix: str, name: str, recipe: Recipe, gradient: AbstractGradient, seed: int) -> Run:
    layers = "-".join(map(str, recipe.layers))
    return Run(
        f"{prefix}{name}-{layers}-seed{seed}", dataclasses.replace(recipe, seed=seed, gradient=gradient)
    )
