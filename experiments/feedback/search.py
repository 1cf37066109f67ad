"""The least error with full feedback: a search on held-out examples at both depths, then the best settings.

    python -m experiments.feedback.search [--only one] [--smoke] [--table]

Each trial changes one thing of the recipe of `config.py`, or adds a spectral penalty to that. What the JSON has is not
done again.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from experiments import classify
from experiments.runs import Run

from hopfax.lagrangians import Tanh
from hopfax.training import SpectralPenalty
from hopfax.training.optimisers import Adam
from hopfax.training.recipes import Recipe

from .config import DEPTHS, SEEDS, recipe

HERE = Path(__file__).parent / "search"
FEEDBACK, EPOCHS = 1.0, 10
NEURONS = recipe(DEPTHS["one"], FEEDBACK).architecture
CHANGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "base": {},
        "rate 0.0003": {"learning_rate": 0.0003},
        "rate 0.003": {"learning_rate": 0.003},
        "rate 0.01": {"learning_rate": 0.01},
        "decay 0.2": {"optimiser": Adam(weight_decay=0.2)},
        "decay 0.5": {"optimiser": Adam(weight_decay=0.5)},
        "first weights 0.25": {"architecture": dataclasses.replace(NEURONS, weight_scale=0.25)},
        "smoothing 0.3": {"smoothing": 0.3},
        "tanh": {"architecture": dataclasses.replace(NEURONS, hidden=Tanh())},
        "penalty 10": {"penalty": SpectralPenalty(10.0)},
        "penalty 100": {"penalty": SpectralPenalty(100.0)},
        "penalty 1000": {"penalty": SpectralPenalty(1000.0)},
        "penalty 10000": {"penalty": SpectralPenalty(1e4)},
        "penalty 1000 limit 0.8": {"penalty": SpectralPenalty(1000.0, 0.8)},
        "penalty 1000 limit 0.6": {"penalty": SpectralPenalty(1000.0, 0.6)},
        "penalty 1000 smoothing 0.3": {"penalty": SpectralPenalty(1000.0), "smoothing": 0.3},
        "penalty 1000 rate 0.003": {"penalty": SpectralPenalty(1000.0), "learning_rate": 0.003},
    }
)
# The trial of least held-out error, by depth; with two hidden layers that without a penalty, too.
BEST: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "one-best": ("one", "rate 0.003"),
        "two-best": ("two", "penalty 1000 smoothing 0.3"),
        "two-without-penalty": ("two", "smoothing 0.3"),
    }
)


def trials() -> list[Run[Recipe]]:
    """One network each, as many epochs as in the comparison of feedbacks."""
    return [
        run
        for depth in DEPTHS
        for run in classify.trials(f"{depth}-validation", recipe(DEPTHS[depth], FEEDBACK), CHANGES)
    ]


def runs() -> list[Run[Recipe]]:
    """The best settings of each depth, for more epochs."""
    return [
        Run(f"{name}-seed{seed}", changed(depth, change, epochs=EPOCHS, seed=seed))
        for seed in range(SEEDS)
        for name, (depth, change) in BEST.items()
    ]


def smoke() -> list[Run[Recipe]]:
    """Seconds on the embedded digits, to see that it runs."""
    return [Run("smoke", changed("one", "base", layers=(64, 16, 10), epochs=1), "digits")]


def changed(depth: str, name: str, **others: Any) -> Recipe:
    """The recipe at full feedback with the change of this name."""
    return dataclasses.replace(recipe(DEPTHS[depth], FEEDBACK), **CHANGES[name], **others)


if __name__ == "__main__":
    classify.main([*trials(), *runs()], smoke(), __doc__ or "", HERE)
