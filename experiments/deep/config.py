"""Networks of one to five hidden layers, all trained by the one recipe `best`."""

import dataclasses

from experiments.classify import Run

from hopfax.recipes import best

LAYERS = (
    (784, 1024, 512, 256, 128, 70, 10),  # of the 2024 paper
    (784, 1024, 10),
    (784, 1024, 1024, 10),
    (784, 1280, 510, 200, 10),  # of the 2024 paper
)
SEEDS = 3


def runs() -> list[Run]:
    """Seed by seed, so that an early end leaves every depth with some."""
    return [_run(layers, seed) for seed in range(SEEDS) for layers in LAYERS]


def smoke() -> list[Run]:
    """Seconds on the digits of scikit-learn; shows that all runs, and nothing else."""
    recipe = dataclasses.replace(best((64, 16, 12, 10)), epochs=1)
    return [Run("smoke", recipe, "digits")]


def _run(layers: tuple[int, ...], seed: int) -> Run:
    name = f"{'-'.join(map(str, layers))}-seed{seed}"
    return Run(name, dataclasses.replace(best(layers), seed=seed))
