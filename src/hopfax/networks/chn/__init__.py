"""Continuous Hopfield networks: their energy, and the HAM with the same equilibria."""

from .lagrangian import CHNLagrangian as CHNLagrangian
from .network import CHN as CHN
