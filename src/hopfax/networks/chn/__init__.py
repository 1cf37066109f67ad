"""Continuous Hopfield networks: their energy, and the way from them to HAMs."""

from .network import CHN as CHN
from .neurons import Continuous as Continuous
