"""Completion of damaged images by memories, Hopfield networks and feed-forward networks, side by side."""

from .benchmark import METHODS as METHODS
from .benchmark import UNTRAINED as UNTRAINED
from .benchmark import Training as Training
from .benchmark import benchmark as benchmark
from .benchmark import by_number as by_number
from .benchmark import damage as damage
from .completers import AbstractCompleter as AbstractCompleter
from .trained import MLPRecipe as MLPRecipe
