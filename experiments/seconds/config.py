"""The networks that are timed, and the ways to relax them."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from hopfax.gradients import ConjugateGradient, Implicit
from hopfax.method import Method
from hopfax.papers import PUBLISHED_ANDERSON
from hopfax.solvers import Anderson, Energy, Picard, Residual
from hopfax.solvers.loop import IterativeSolver
from hopfax.training.recipes import Recipe, goemaere2023, goemaere2024
from hopfax.updates.base import AbstractUpdate
from hopfax.updates.block import Damped, EvenOdd, LocalSteps, Synchronous

Paths = Mapping[str, tuple[AbstractUpdate, IterativeSolver]]

OURS, HALF = Anderson(safeguard=Residual(), delay=0), Damped(Synchronous(), 0.5)
HAM_PATHS: Paths = MappingProxyType(
    {
        "HAM": (Synchronous(), Picard()),
        "HAM-DEQ": (Synchronous(), OURS),
        "HAM-EO": (EvenOdd(), Picard()),
        "HAM-EO-DEQ": (EvenOdd(), OURS),
        "HAM-EO-DEQ, published": (EvenOdd(), PUBLISHED_ANDERSON),
        "HAM-EO-DEQ, energy-guarded": (EvenOdd(), Anderson(safeguard=Energy(), delay=0)),
    }
)
CHN_PATHS: Paths = MappingProxyType(
    {
        "CHN": (HALF, Picard()),
        "CHN-DEQ": (HALF, OURS),
        "CHN-DEQ, published": (HALF, PUBLISHED_ANDERSON),
        "CHN-EO, ten half steps": (LocalSteps(), Picard()),
        "CHN-EO, exact": (EvenOdd(), Picard()),
        "CHN-EO-DEQ, exact": (EvenOdd(), OURS),
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A network, trained for a while, from which steps by each path are timed; the first path is the base.

    Attributes:
        recipe: how it is trained.
        epochs: for how long before the timing.
        data: name of the data set.
        rtol: relative residual at which every forward solve stops; `max_steps` where it does not get there.
        adjoint: relative tolerance of the backward solve, conjugate gradients for all models.
        batches: different batches that are timed, each in turn by every model.
    """

    recipe: Recipe
    paths: Paths = dataclasses.field(default_factory=lambda: HAM_PATHS)
    epochs: int = 1
    data: str = "mnist"
    rtol: float = 1e-4
    max_steps: int = 400
    adjoint: float = 1e-3
    batches: int = 8

    @property
    def name(self) -> str:
        """Kind, layers and seed."""
        return f"{next(iter(self.paths))}-{'-'.join(map(str, self.recipe.layers))}-seed{self.recipe.seed}"

    @property
    def methods(self) -> Mapping[str, Method]:
        """The models by name."""
        gradient = Implicit(ConjugateGradient(rtol=self.adjoint))
        return {
            name: Method(update, solver, gradient, self.rtol, 0.0, self.max_steps)
            for name, (update, solver) in self.paths.items()
        }

    def json(self) -> dict:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            **fields,
            "recipe": self.recipe.config(),
            "paths": {n: repr(path) for n, path in self.paths.items()},
        }


def configs(seed: int = 0) -> tuple[Config, ...]:
    """The networks of the 2024 paper: HAMs of three, five and seven layers, and the CHN."""
    layers = ((784, 1990, 10), (784, 1280, 510, 200, 10), (784, 1024, 512, 256, 128, 70, 10))
    recipes = [dataclasses.replace(goemaere2024(sizes, "HAM-EO"), seed=seed) for sizes in layers]
    chn = dataclasses.replace(goemaere2024(layers[0], "CHN-EO"), seed=seed)
    return (*(Config(recipe=recipe) for recipe in recipes), Config(recipe=chn, paths=CHN_PATHS))


def smoke(seed: int = 0) -> tuple[Config, ...]:
    """Seconds on the digits of scikit-learn; shows that all runs, and nothing else."""
    recipes = [
        dataclasses.replace(goemaere2023((64, 16, 10), model), seed=seed) for model in ("HAM-EO", "CHN-EO")
    ]
    return tuple(
        Config(recipe=recipe, paths=paths, data="digits", batches=3)
        for recipe, paths in zip(recipes, (HAM_PATHS, CHN_PATHS), strict=True)
    )
