"""The same networks from the same seeds, by equilibrium propagation and by the implicit gradient."""

import dataclasses

from experiments.runs import Run

from hopfax.gradients import EquilibriumPropagation, Implicit
from hopfax.training.recipes import BETA, Recipe, goemaere_ep, low_feedback

SEEDS = 3
GRADIENTS = {"ep": EquilibriumPropagation(BETA), "implicit": Implicit()}
MORE_FEEDBACK, FURTHER = 0.1, 0.1  # through two hidden layers, float32 resolves what the nudge does only so
PAIRS = {"": goemaere_ep(), "best-": low_feedback((784, 512, 10))}


def runs() -> list[Run]:
    """Two recipes with both gradients, then wider and deeper networks with equilibrium propagation alone."""
    seeds = range(SEEDS)
    pairs = [
        _run(name, PAIRS[prefix], seed, prefix) for prefix in PAIRS for seed in seeds for name in GRADIENTS
    ]
    return pairs + [_alone(recipe, seed) for seed in seeds for recipe in (_one_hidden(), _two_hidden())]


def smoke() -> list[Run]:
    """Seconds on the digits of scikit-learn; shows that all runs, and nothing else."""
    recipe = dataclasses.replace(low_feedback((64, 16, 10)), epochs=1, gradient=GRADIENTS["ep"])
    return [Run("smoke", recipe, "digits")]


def _run(gradient: str, recipe: Recipe, seed: int, prefix: str) -> Run:
    name = f"{prefix}{gradient}-{'-'.join(map(str, recipe.layers))}-seed{seed}"
    return Run(name, dataclasses.replace(recipe, seed=seed, gradient=GRADIENTS[gradient]))


def _alone(recipe: Recipe, seed: int) -> Run:
    name = f"best-ep-{'-'.join(map(str, recipe.layers))}-seed{seed}"
    return Run(name, dataclasses.replace(recipe, seed=seed))


def _one_hidden() -> Recipe:
    return dataclasses.replace(low_feedback((784, 1024, 10)), gradient=GRADIENTS["ep"])


def _two_hidden() -> Recipe:
    plain = low_feedback((784, 1024, 1024, 10))
    architecture = dataclasses.replace(plain.architecture, feedback=MORE_FEEDBACK)
    return dataclasses.replace(plain, architecture=architecture, gradient=EquilibriumPropagation(FURTHER))
