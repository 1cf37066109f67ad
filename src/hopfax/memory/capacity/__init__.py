"""Capacity: how many patterns a memory stores, measured and in theory."""

from ..._internal.lazy import submodules as _submodules
from .measure import Curve as Curve
from .measure import Proportion as Proportion
from .measure import Trial as Trial
from .measure import basin_size as basin_size
from .measure import capacity as capacity
from .measure import recall_against_corruption as recall_against_corruption
from .measure import recall_against_load as recall_against_load
from .measure import recall_rate as recall_rate
from .measure import wilson as wilson

__getattr__ = _submodules(__name__, "curves", "memories", "patterns", "spurious", "theory")
