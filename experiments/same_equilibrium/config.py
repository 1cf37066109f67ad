"""What is trained, what is relaxed, and when two equilibria are called the same."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from hopfax.papers import PUBLISHED_ANDERSON
from hopfax.solvers import Anderson, Broyden, Energy, Picard
from hopfax.solvers.loop import IterativeSolver
from hopfax.training.recipes import Recipe, goemaere2023, goemaere2024
from hopfax.updates.base import AbstractUpdate
from hopfax.updates.block import EvenOdd, Synchronous

REFERENCE, SYNCHRONOUS = "even-odd Picard", "synchronous Picard"

CONTESTANTS: Mapping[str, tuple[AbstractUpdate, IterativeSolver]] = MappingProxyType(
    {
        REFERENCE: (EvenOdd(), Picard()),
        SYNCHRONOUS: (Synchronous(), Picard()),
        "even-odd Anderson, energy-guarded": (EvenOdd(), Anderson(safeguard=Energy(), delay=0)),
        "even-odd Anderson, published": (EvenOdd(), PUBLISHED_ANDERSON),
        "synchronous Anderson, published": (Synchronous(), PUBLISHED_ANDERSON),
        "even-odd Broyden": (EvenOdd(), Broyden(safeguard=Energy())),
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One network in training, and how its equilibria are compared after each epoch.

    Attributes:
        recipe: how it is trained (in float32).
        data: name of the data set.
        examples: the first so many of the test set are relaxed, in float64 and from zero.
        rtol: largest relative residual of an equilibrium.
        max_steps: updates after which an example counts as not converged.
        same: largest distance of two equilibria called the same, of the activation that differs most; they
            lie in [0, 1].
        chunk: examples relaxed at a time; all wait for the slowest of them.
    """

    recipe: Recipe
    data: str = "mnist"
    examples: int = 1000
    rtol: float = 1e-8
    max_steps: int = 1000
    same: float = 1e-3
    chunk: int = 50

    def __post_init__(self):
        for name in ("examples", "max_steps", "chunk"):
            if getattr(self, name) < 1:
                raise ValueError(f"`Config({name}={getattr(self, name)})` must be at least 1.")
        for name in ("rtol", "same"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"`Config({name}={getattr(self, name)})` must lie in (0, 1).")

    @property
    def name(self) -> str:
        """Layers and seed."""
        return f"{'-'.join(map(str, self.recipe.layers))}-seed{self.recipe.seed}"

    def json(self) -> dict:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {**fields, "recipe": self.recipe.config()}


def _trained(recipe: Recipe, epochs: int, seed: int) -> Recipe:
    return dataclasses.replace(recipe, model="HAM-EO", epochs=epochs, seed=seed)


def configs(seed: int = 0) -> tuple[Config, ...]:
    """Three layers by the recipe of the 2023 paper, five by that of 2024; fewer epochs than theirs."""
    three, five = goemaere2023((784, 512, 10)), goemaere2024((784, 1280, 510, 200, 10))
    return Config(recipe=_trained(three, 5, seed)), Config(recipe=_trained(five, 3, seed), examples=300)


def smoke(seed: int = 0) -> tuple[Config, ...]:
    """Seconds on the digits of scikit-learn; shows that all runs, and nothing else."""
    recipe = _trained(goemaere2023((64, 16, 10)), 1, seed)
    return (Config(recipe=recipe, data="digits", examples=8, max_steps=200, chunk=8),)
