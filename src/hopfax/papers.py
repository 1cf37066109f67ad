"""The methods of the papers, by the names in their tables."""

from ._internal.checks import require_integer
from .gradients.implicit import RecurrentBackprop
from .gradients.unrolled import Phantom
from .method import Method
from .solvers.anderson import Absolute, Anderson
from .solvers.loop import IterativeSolver
from .solvers.plain import Picard
from .solvers.safeguards import PaperSafeguard
from .updates.base import AbstractUpdate
from .updates.block import Damped, EvenOdd, LocalSteps, Synchronous

PUBLISHED_ANDERSON = Anderson(
    window=4,
    safeguard=PaperSafeguard(),
    ridge=Absolute(1e-10),
    start_rtol=float("inf"),
    max_overrelaxation=1.0,
    delay=0,
)

PAPER_MODELS: dict[str, tuple[AbstractUpdate, IterativeSolver]] = {
    "HAM": (Synchronous(), Picard()),
    "HAM-DEQ": (Synchronous(), PUBLISHED_ANDERSON),
    "HAM-EO": (EvenOdd(), Picard()),
    "HAM-EO-DEQ": (EvenOdd(), PUBLISHED_ANDERSON),
    "CHN": (Damped(Synchronous(), 0.5), Picard()),
    "CHN-DEQ": (Damped(Synchronous(), 0.5), PUBLISHED_ANDERSON),
    "CHN-EO": (LocalSteps(), Picard()),
    "CHN-EO-DEQ": (LocalSteps(), PUBLISHED_ANDERSON),
}


def paper_method(name: str, steps: int = 40, backward: int = 8) -> Method:
    """The method of a row of the papers' tables: HAM or CHN, and -DEQ, -EO and -EO-DEQ of both.

    EO is even-odd splitting; in a CHN, each colour takes ten damped steps. DEQ is the published Anderson acceleration:
    window 4, ridge 1e-10, its own safeguard. CHN and CHN-DEQ are damped by ½. Unlike in the papers, a forward solve
    stops where its relative residual falls below 1e-4.

    Args:
        name: of the row, such as "HAM-EO".
        steps: forward iterations, at least 1: 40 for three layers, twice that where damped.
        backward: recurrent-backprop iterations, at least 1: 8 for three layers, twice that where damped.
    Raises: `ValueError` for another name or number.
    Source: [goemaere2024], Table 2 and section 4.
    """
    if name not in PAPER_MODELS:
        raise ValueError(
            f"`name={name!r}` is not a model of the papers; choose one of {', '.join(PAPER_MODELS)}."
        )
    require_integer("steps", steps, 1)
    update, solver = PAPER_MODELS[name]
    # CHNs are differentiated through the steps themselves, because examples need not converge. At an equilibrium the
    # two gradients are equal.
    gradient = Phantom(backward) if name.startswith("CHN") else RecurrentBackprop(backward)
    return Method(update, solver, gradient, 1e-4, 0.0, steps - 1)
