"""Similarities of a state to stored patterns, and what is done to patterns before they are stored."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Patterns = Float[Array, "patterns dimension"]


class AbstractSimilarity(eqx.Module):
    """`s_i = x_i . x + t_i`: a product with each pattern, and a threshold that depends on the pattern
    alone.
    """

    @abc.abstractmethod
    def thresholds(self, patterns: Patterns) -> Float[Array, " patterns"]:
        """`t_i`, the biases of the memory layer."""

    @abc.abstractmethod
    def marginal_thresholds(
        self, patterns: Patterns, known: Float[Array, "batch dimension"]
    ) -> Float[Array, "batch patterns"]:
        """`t_i` of each query where only the values at which `known` is 1, not 0, are compared."""


class Dot(AbstractSimilarity):
    """`s_i = x_i . x`: attention, and the modern Hopfield network. Source: [ramsauer2020], eq. 3."""

    def thresholds(self, patterns: Patterns) -> Float[Array, " patterns"]:
        return jnp.zeros(patterns.shape[0], patterns.dtype)

    def marginal_thresholds(
        self, patterns: Patterns, known: Float[Array, "batch dimension"]
    ) -> Float[Array, "batch patterns"]:
        return jnp.zeros((known.shape[0], patterns.shape[0]), patterns.dtype)


class Euclidean(AbstractSimilarity):
    """`s_i = x_i . x - |x_i|^2 / 2`, which is `-|x - x_i|^2 / 2` up to `|x|^2 / 2`, the same for all
    patterns.

    Separations on the simplex ignore what all patterns share, so for them this is the distance: large
    patterns have no advantage, and at high `beta` each pattern is a fixed point. Source: Millidge et al.
    (2022), arXiv:2202.04557; that a bias is all it takes is derived here.
    """

    def thresholds(self, patterns: Patterns) -> Float[Array, " patterns"]:
        return -jnp.sum(jnp.square(patterns), axis=1) / 2

    def marginal_thresholds(
        self, patterns: Patterns, known: Float[Array, "batch dimension"]
    ) -> Float[Array, "batch patterns"]:
        return -known @ jnp.square(patterns).T / 2


class AbstractNormalisation(eqx.Module):
    """A change of the patterns before they are stored; apply it to queries too."""

    @abc.abstractmethod
    def __call__(self, patterns: Patterns) -> Patterns:
        """The patterns to store, row by row."""


class Raw(AbstractNormalisation):
    """As they are."""

    def __call__(self, patterns: Patterns) -> Patterns:
        return patterns


class UnitNorm(AbstractNormalisation):
    """`x / |x|`; a row of zeros stays."""

    def __call__(self, patterns: Patterns) -> Patterns:
        norm = jnp.linalg.norm(patterns, axis=1, keepdims=True)
        return patterns / jnp.where(norm > 0, norm, 1)


class Standardised(AbstractNormalisation):
    """`(x - mean(x)) / std(x)` of each row, so that every norm is `sqrt(d)`; a constant row becomes zero.

    Layer normalisation without gain and shift, as in front of attention.
    """

    def __call__(self, patterns: Patterns) -> Patterns:
        centred = patterns - jnp.mean(patterns, axis=1, keepdims=True)
        spread = jnp.sqrt(jnp.mean(jnp.square(centred), axis=1, keepdims=True))
        return centred / jnp.where(spread > 0, spread, 1)
