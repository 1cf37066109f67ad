"""Networks of one to five hidden layers, all trained by the one recipe `low_feedback`."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from experiments import classify
from experiments.runs import Run

from hopfax.costs import SquaredError
from hopfax.gradients import Implicit
from hopfax.lagrangians import Sigmoid, Tanh
from hopfax.training.optimisers import Adam
from hopfax.training.recipes import low_feedback

LAYERS = (
    (784, 1024, 512, 256, 128, 70, 10),  # of the 2024 paper
    (784, 1024, 10),
    (784, 1024, 1024, 10),
    (784, 1280, 510, 200, 10),  # of the 2024 paper
)
SEEDS = 3
ARCHITECTURE = low_feedback().architecture
CHANGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "best": {},
        "no smoothing": {"smoothing": 0.0},
        "no weight decay": {"optimiser": Adam()},
        "feedback 0.1": {"architecture": dataclasses.replace(ARCHITECTURE, feedback=0.1)},
        "tanh": {"architecture": dataclasses.replace(ARCHITECTURE, hidden=Tanh(), weight_scale=1.0)},
        "sigmoid of the papers": {"architecture": dataclasses.replace(ARCHITECTURE, hidden=Sigmoid.paper())},
        "squared error": {"cost": SquaredError(), "smoothing": 0.0},
        "implicit gradient": {"gradient": Implicit()},
    }
)


def runs() -> list[Run]:
    """Seed by seed, so that an early end leaves every depth with some."""
    return [_run(layers, seed) for seed in range(SEEDS) for layers in LAYERS]


def trials() -> list[Run]:
    """What changing one thing does, seen on held-out training examples: the recipe was chosen so."""
    return [
        run
        for layers in (LAYERS[1], LAYERS[0])
        for run in classify.trials(f"validation-{'-'.join(map(str, layers))}", low_feedback(layers), CHANGES)
    ]


def smoke() -> list[Run]:
    """Takes seconds on the embedded digits. It shows that everything runs, and nothing else."""
    recipe = dataclasses.replace(low_feedback((64, 16, 12, 10)), epochs=1)
    return [Run("smoke", recipe, "digits")]


def _run(layers: tuple[int, ...], seed: int) -> Run:
    name = f"{'-'.join(map(str, layers))}-seed{seed}"
    return Run(name, dataclasses.replace(low_feedback(layers), seed=seed))
