"""Continuous Hopfield networks: their energy, their even-odd splitting, and the way from them to HAMs."""

from .network import CHN as CHN
from .neurons import Continuous as Continuous
from .updates import LocalSteps as LocalSteps
