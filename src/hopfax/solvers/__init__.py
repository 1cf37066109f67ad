"""Ways to find the equilibrium. Ours are optimistix solvers, and optimistix's own work in `hopfax.relax` too."""

from optimistix import Chord as Chord
from optimistix import FixedPointIteration as FixedPointIteration
from optimistix import Newton as Newton

from .anderson import Anderson as Anderson
from .broyden import Broyden as Broyden
from .equilibrium import Equilibrium as Equilibrium
from .equilibrium import Statistics as Statistics
from .equilibrium import Status as Status
from .flow import GradientFlow as GradientFlow
from .guarded import AbstractGuarded as AbstractGuarded
from .loop import AbstractDirectSolver as AbstractDirectSolver
from .loop import Stopping as Stopping
from .loop import iterate as iterate
from .newton import newton as newton
from .picard import Picard as Picard
from .ridges import Absolute as Absolute
from .ridges import AbstractRidge as AbstractRidge
from .ridges import Relative as Relative
from .safeguards import AbstractSafeguard as AbstractSafeguard
from .safeguards import Energy as Energy
from .safeguards import Published as Published
from .safeguards import Residual as Residual
from .safeguards import Unguarded as Unguarded
