"""One network from the same seeds by every learning rule: two phases that differ by a nudge or by a clamp."""

import dataclasses
from collections.abc import Callable, Iterator

from experiments.convolutional.config import CROP_FLIP, Setting, recipe
from experiments.runs import Run

from hopfax.costs import SquaredError
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


def rules(beta: float) -> dict[str, AbstractGradient]:
    """By name; `beta` is that of equilibrium propagation."""
    return {
        "implicit": Implicit(),
        "ep-centred": EquilibriumPropagation(beta),
        "ep-positive": EquilibriumPropagation(beta, Positive()),
        "ep-negative": EquilibriumPropagation(beta, Negative()),
        "coupled-centred": CoupledLearning(COUPLING),
        "coupled-positive": CoupledLearning(COUPLING, Positive()),
        "coupled-negative": CoupledLearning(COUPLING, Negative()),
        "contrastive": ContrastiveLearning(),
    }


def runs(only: str = "") -> Iterator[Run]:
    """All rules on MNIST with all seeds, then on CIFAR-10 with one; those whose names begin with `only`."""
    for seed in range(SEEDS):
        yield from _by_all_rules(dense, BETA, "mnist", only, seed=seed)
    yield from _by_all_rules(convolutional, 0.1, "cifar10", only, "cifar10-")


def smoke(only: str = "") -> Iterator[Run]:
    """All rules for one epoch of the small digits, in seconds."""
    small = lambda: dataclasses.replace(goemaere_ep((64, 16, 10)), epochs=1)
    return _by_all_rules(small, BETA, "digits", only)


def dense() -> Recipe:
    """784-512-10 by the recipe of the papers."""
    return dataclasses.replace(goemaere_ep((784, 512, 10)), epochs=EPOCHS)


def convolutional() -> Recipe:
    """Three convolutions, as in `experiments/convolutional`, with the squared error of their linear output.

    The rules that clamp the output have no other cost. With it, the rate of the recipe makes rectified neurons die;
    with its feedback, what a one-sided phase changes in the first layer is below the tolerance of its solve. The data
    set is read, since images are standardised.
    """
    setting = Setting("cifar10", "conv3", 1, CROP_FLIP, standardise=True, feedback=0.1)
    plain = recipe(setting, "ep")
    return dataclasses.replace(plain, cost=SquaredError(), smoothing=0.0, learning_rate=0.001)


def _by_all_rules(
    make: Callable[[], Recipe], beta: float, data: str, only: str, prefix: str = "", seed: int = 0
) -> Iterator[Run]:
    for rule, gradient in rules(beta).items():
        name = f"{prefix}{rule}-seed{seed}"
        if name.startswith(only):
            yield Run(name, dataclasses.replace(make(), seed=seed, gradient=gradient), data)
