"""Solvers: how an equilibrium is found. Ours are optimistix solvers, and those of optimistix work as well."""

from optimistix import Chord as Chord
from optimistix import FixedPointIteration as FixedPointIteration
from optimistix import Newton as Newton

from .anderson import Absolute as Absolute
from .anderson import AbstractRidge as AbstractRidge
from .anderson import Anderson as Anderson
from .anderson import Relative as Relative
from .broyden import Broyden as Broyden
from .equilibrium import Equilibrium as Equilibrium
from .equilibrium import Statistics as Statistics
from .equilibrium import Status as Status
from .equilibrium import Trace as Trace
from .equilibrium import Trajectory as Trajectory
from .flow import GradientFlow as GradientFlow
from .guarded import AbstractGuardedSolver as AbstractGuardedSolver
from .loop import AbstractDirectSolver as AbstractDirectSolver
from .loop import Stopping as Stopping
from .loop import iterate as iterate
from .plain import Picard as Picard
from .plain import newton as newton
from .safeguards import AbstractSafeguard as AbstractSafeguard
from .safeguards import Energy as Energy
from .safeguards import EnergyEstimate as EnergyEstimate
from .safeguards import PaperSafeguard as PaperSafeguard
from .safeguards import Residual as Residual
from .safeguards import Unguarded as Unguarded
from .starts import AbstractStart as AbstractStart
from .starts import FeedForward as FeedForward
from .starts import Zeros as Zeros
