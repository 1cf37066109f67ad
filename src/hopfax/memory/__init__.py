"""Associative memories: patterns are stored in rows, and recalled from parts of them or from noisy versions."""

from .._internal.lazy import submodules as _submodules
from .binary import BinaryHopfield as BinaryHopfield
from .binary import BinaryRecall as BinaryRecall
from .calibration import Calibration as Calibration
from .calibration import calibrate as calibrate
from .consolidation import Consolidation as Consolidation
from .consolidation import consolidate as consolidate
from .emergent import EmergentMinima as EmergentMinima
from .emergent import emergent_minima as emergent_minima
from .epanechnikov import Epanechnikov as Epanechnikov
from .indexed import AbstractIndex as AbstractIndex
from .indexed import FaissIndex as FaissIndex
from .indexed import IndexedMemory as IndexedMemory
from .indexed import IndexedRecall as IndexedRecall
from .mapped import MappedMemory as MappedMemory
from .memory import AveragingWarning as AveragingWarning
from .memory import Memory as Memory
from .metric import Mahalanobis as Mahalanobis
from .modern import ModernHopfield as ModernHopfield
from .random_features import RandomFeatureMemory as RandomFeatureMemory
from .recall import Recall as Recall
from .retrieval import Retrieval as Retrieval
from .similarities import AbstractNormalisation as AbstractNormalisation
from .similarities import AbstractSimilarity as AbstractSimilarity
from .similarities import Dot as Dot
from .similarities import Euclidean as Euclidean
from .similarities import Raw as Raw
from .similarities import Standardised as Standardised
from .similarities import UnitNorm as UnitNorm

__getattr__ = _submodules(__name__, "capacity")
