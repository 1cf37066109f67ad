"""hopfax: Hopfield networks and hierarchical associative memories in JAX."""

from importlib.metadata import version as _version

__version__ = _version("hopfax")
