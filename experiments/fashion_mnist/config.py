"""Dense networks on Fashion-MNIST: a search on held-out examples, then both gradients with the best settings."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from experiments import classify
from experiments.runs import Run

from hopfax.costs import SquaredError
from hopfax.gradients import EquilibriumPropagation, Implicit
from hopfax.lagrangians import Tanh
from hopfax.training.optimisers import Adam
from hopfax.training.recipes import Recipe, low_feedback

DATA = "fashion-mnist"
BASE = dataclasses.replace(low_feedback((784, 1024, 10)), epochs=20)
CHANGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "base": {},
        "decay 0.2": {"optimiser": Adam(weight_decay=0.2)},
        "decay 0.5": {"optimiser": Adam(weight_decay=0.5)},
        "rate 0.0003": {"learning_rate": 0.0003},
        "rate 0.003": {"learning_rate": 0.003},
        "smoothing 0": {"smoothing": 0.0},
        "smoothing 0.3": {"smoothing": 0.3},
        "epochs 40": {"epochs": 40},
        "batches of 32": {"batch_size": 32},
        "first weights 1": {"architecture": dataclasses.replace(BASE.architecture, weight_scale=1.0)},
        "feedback 0.1": {"architecture": dataclasses.replace(BASE.architecture, feedback=0.1)},
        "tanh": {"architecture": dataclasses.replace(BASE.architecture, hidden=Tanh(), weight_scale=1.0)},
        "squared error": {"cost": SquaredError(), "smoothing": 0.0},
        "4096 neurons": {"layers": (784, 4096, 10)},
    }
)


LAYERS = (784, 1024, 10), (784, 512, 512, 10)
GRADIENTS = {"ep": EquilibriumPropagation(), "implicit": Implicit()}
SEEDS = 3


def runs() -> list[Run]:
    """Both gradients from equal seeds, with the settings that had the least held-out error."""
    chosen = CHANGES["epochs 40"]
    return [
        _run(dataclasses.replace(low_feedback(layers), seed=seed, **chosen), gradient)
        for seed in range(SEEDS)
        for layers in LAYERS
        for gradient in GRADIENTS
    ]


def smoke() -> list[Run]:
    """Seconds on the embedded digits; shows that both gradients run, and nothing else."""
    recipe = dataclasses.replace(low_feedback((64, 16, 10)), epochs=1)
    return [
        Run(f"smoke-{name}", dataclasses.replace(recipe, gradient=gradient), "digits")
        for name, gradient in GRADIENTS.items()
    ]


def trials() -> list[Run]:
    """What changing one thing does, seen on held-out training examples."""
    return classify.trials("validation", BASE, CHANGES, DATA)


def _run(recipe: Recipe, gradient: str) -> Run[Recipe]:
    name = f"{gradient}-{'-'.join(map(str, recipe.layers))}-seed{recipe.seed}"
    return Run(name, dataclasses.replace(recipe, gradient=GRADIENTS[gradient]), DATA)
