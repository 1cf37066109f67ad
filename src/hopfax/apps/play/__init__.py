"""The page of `hopfax play`. What it computes is here, as plain functions of NumPy arrays; the page is `page.py`."""

from .landscape import REACH as REACH
from .landscape import EnergyMinima as EnergyMinima
from .landscape import Landscape as Landscape
from .landscape import Regime as Regime
from .landscape import equidistant_thresholds as equidistant_thresholds
from .landscape import find_minima as find_minima
from .landscape import is_equidistant as is_equidistant
from .landscape import landscape as landscape
from .landscape import minima_counts as minima_counts
from .methods import MethodResult as MethodResult
from .methods import compare_methods as compare_methods
from .methods import largest_distance as largest_distance
from .retrieval import RecallPath as RecallPath
from .retrieval import class_weights as class_weights
from .retrieval import initial_query as initial_query
from .retrieval import recall_path as recall_path
