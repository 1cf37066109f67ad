"""Ways to differentiate an equilibrium."""

from .adjoints import AbstractAdjoint as AbstractAdjoint
from .adjoints import ConjugateGradient as ConjugateGradient
from .adjoints import Iterated as Iterated
from .adjoints import Krylov as Krylov
from .adjoints import Neumann as Neumann
from .base import AbstractGradient as AbstractGradient
from .base import AdjointStats as AdjointStats
from .base import Solve as Solve
from .ep import EquilibriumPropagation as EquilibriumPropagation
from .implicit import Implicit as Implicit
from .implicit import RecurrentBackprop as RecurrentBackprop
from .nudging import AbstractVariant as AbstractVariant
from .nudging import Centred as Centred
from .nudging import Holomorphic as Holomorphic
from .nudging import Negative as Negative
from .nudging import Positive as Positive
from .nudging import RandomSign as RandomSign
from .unrolled import Phantom as Phantom
from .unrolled import Unrolled as Unrolled
