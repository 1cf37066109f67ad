"""Updates: which map `z = f(z)` is solved, and which layers are its unknowns."""

from .base import AbstractBlockUpdate as AbstractBlockUpdate
from .base import AbstractUpdate as AbstractUpdate
from .base import BlockElimination as BlockElimination
from .block import Coloured as Coloured
from .block import Damped as Damped
from .block import EvenOdd as EvenOdd
from .block import LocalSteps as LocalSteps
from .block import Synchronous as Synchronous
from .errors import ErrorOptimisation as ErrorOptimisation
from .problem import AbstractMap as AbstractMap
from .problem import Problem as Problem
from .problem import StepInfo as StepInfo
