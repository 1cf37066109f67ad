"""Methods: update, solver, gradient and tolerance as one object, and those of the papers by name."""

from collections.abc import Mapping

import equinox as eqx
from jaxtyping import ArrayLike, ScalarLike

from ._checks import require_whole
from .chn.updates import LocalSteps
from .equilibrium import Equilibrium
from .gradients.base import AbstractGradient
from .gradients.implicit import Implicit, RecurrentBackprop
from .gradients.unrolled import Phantom
from .layers import Known
from .network import AbstractNetwork
from .relax import check_method, relax
from .solvers.anderson import Anderson
from .solvers.loop import AbstractMethod as AbstractSolverMethod
from .solvers.loop import AnySolver, Stopping, check_stopping
from .solvers.picard import Picard
from .solvers.ridges import Absolute
from .solvers.safeguards import Published
from .updates import AbstractUpdate, Coloured, Damped, EvenOdd, Synchronous


class Method(eqx.Module):
    """How to relax and to differentiate; the arguments of `hopfax.relax` of the same names."""

    update: AbstractUpdate = Coloured()
    solver: AnySolver | AbstractSolverMethod = Anderson()
    gradient: AbstractGradient = Implicit()
    rtol: ScalarLike = 1e-4
    atol: ScalarLike = 0.0
    max_steps: ScalarLike = 200
    check_every: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_method(self.update, self.solver, self.gradient)
        check_stopping(self.rtol, self.atol, self.max_steps)

    def stopping(self) -> Stopping:
        """When a solve ends."""
        return Stopping.of_arrays(self.rtol, self.atol, self.max_steps, self.check_every)

    def relax(self, model: AbstractNetwork, clamp: Mapping[str, ArrayLike | Known]) -> Equilibrium:
        """`hopfax.relax` with these arguments."""
        return relax(
            model,
            clamp,
            update=self.update,
            solver=self.solver,
            gradient=self.gradient,
            rtol=self.rtol,
            atol=self.atol,
            max_steps=self.max_steps,
            check_every=self.check_every,
        )


def paper_method(name: str, steps: int = 40, backward: int = 8) -> Method:
    """HAM, CHN, and -DEQ, -EO and -EO-DEQ of both, as in the papers' tables.

    EO is even-odd splitting, in a CHN by ten half steps a colour; DEQ the published Anderson acceleration (window 4,
    ridge 1e-10, its own safeguard). CHN and CHN-DEQ are damped by ½. `steps` forward and `backward`
    recurrent-backprop iterations: 40 and 8 for three layers, twice that where damped.
    Unlike the papers', a forward solve stops where its relative residual falls below 1e-4.
    Raises: `ValueError` for another name. Source: [goemaere2024], Table 2 and section 4.
    """
    if name not in PAPER_MODELS:
        raise ValueError(f"unknown model {name!r}; choose one of {', '.join(PAPER_MODELS)}.")
    require_whole("steps", steps, 1)
    update, solver = PAPER_MODELS[name]
    # Through the steps themselves where examples need not converge; at an equilibrium the two are the same.
    gradient = Phantom(backward) if name.startswith("CHN") else RecurrentBackprop(backward)
    return Method(update, solver, gradient, 1e-4, 0.0, steps - 1)


PUBLISHED_ANDERSON = Anderson(
    window=4, safeguard=Published(), ridge=Absolute(1e-10), onset=float("inf"), longest=1.0
)

PAPER_MODELS: dict[str, tuple[AbstractUpdate, AnySolver]] = {
    "HAM": (Synchronous(), Picard()),
    "HAM-DEQ": (Synchronous(), PUBLISHED_ANDERSON),
    "HAM-EO": (EvenOdd(), Picard()),
    "HAM-EO-DEQ": (EvenOdd(), PUBLISHED_ANDERSON),
    "CHN": (Damped(Synchronous(), 0.5), Picard()),
    "CHN-DEQ": (Damped(Synchronous(), 0.5), PUBLISHED_ANDERSON),
    "CHN-EO": (LocalSteps(), Picard()),
    "CHN-EO-DEQ": (LocalSteps(), PUBLISHED_ANDERSON),
}
