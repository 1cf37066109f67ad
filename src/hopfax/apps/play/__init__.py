"""A page to play with, `hopfax play`: its numbers here, as plain functions; the page itself in `page.py`."""

from .contest import Relaxed as Relaxed
from .contest import contest as contest
from .contest import disagreement as disagreement
from .landscape import REACH as REACH
from .landscape import Landscape as Landscape
from .landscape import landscape as landscape
from .recalling import Path as Path
from .recalling import class_shares as class_shares
from .recalling import query_of as query_of
from .recalling import recall_path as recall_path
from .regimes import Minima as Minima
from .regimes import Regime as Regime
from .regimes import count_against_beta as count_against_beta
from .regimes import expected_thresholds as expected_thresholds
from .regimes import find_minima as find_minima
from .regimes import is_equidistant as is_equidistant
