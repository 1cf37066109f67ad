"""Similarities of a state to stored patterns, and normalisations of patterns before they are stored."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Patterns = Float[Array, "patterns dimension"]


class AbstractSimilarity(eqx.Module):
    """`s_i = x_i · x + t_i`: the product of the state with each pattern, plus a threshold of the pattern."""

    @abc.abstractmethod
    def thresholds(self, patterns: Patterns) -> Float[Array, " patterns"]:
        """`t_i`, the biases of the memory layer."""

    @abc.abstractmethod
    def marginal_thresholds(
        self, patterns: Patterns, known: Float[Array, "batch dimension"]
    ) -> Float[Array, "batch patterns"]:
        """`t_i` for queries that are compared on their known elements only; `known` is 1 there and 0 elsewhere."""


class Dot(AbstractSimilarity):
    """`s_i = x_i · x`: attention, and the modern Hopfield network. Source: [ramsauer2020], eq. 3."""

    def thresholds(self, patterns: Patterns) -> Float[Array, " patterns"]:
        return jnp.zeros(patterns.shape[0], patterns.dtype)

    def marginal_thresholds(
        self, patterns: Patterns, known: Float[Array, "batch dimension"]
    ) -> Float[Array, "batch patterns"]:
        return jnp.zeros((known.shape[0], patterns.shape[0]), patterns.dtype)


class Euclidean(AbstractSimilarity):
    """`s_i = x_i · x - |x_i|² / 2`, which is `-|x - x_i|² / 2` plus the constant `|x|² / 2`.

    Separations on the simplex ignore a constant that all patterns share, so patterns compete by distance: a large
    norm is no advantage, and at high `beta` every pattern is a fixed point. A bias of the memory layer is enough for
    this, as derived in this project.

    Source: Millidge et al. (2022), arXiv:2202.04557.
    """

    def thresholds(self, patterns: Patterns) -> Float[Array, " patterns"]:
        return -jnp.sum(jnp.square(patterns), axis=1) / 2

    def marginal_thresholds(
        self, patterns: Patterns, known: Float[Array, "batch dimension"]
    ) -> Float[Array, "batch patterns"]:
        return -known @ jnp.square(patterns).T / 2


class AbstractNormalisation(eqx.Module):
    """A normalisation of patterns before they are stored. Apply it to the queries too."""

    @abc.abstractmethod
    def __call__(self, patterns: Patterns) -> Patterns:
        """The normalised patterns, row by row."""


class Raw(AbstractNormalisation):
    """No normalisation."""

    def __call__(self, patterns: Patterns) -> Patterns:
        return patterns


class UnitNorm(AbstractNormalisation):
    """`x / |x|`; a row of zeros stays as it is."""

    def __call__(self, patterns: Patterns) -> Patterns:
        return _divided_by_root(patterns, jnp.sum(jnp.square(patterns), axis=1, keepdims=True))


class Standardised(AbstractNormalisation):
    """`(x - mean(x)) / std(x)` of each row, so that every norm is `sqrt(d)`; a constant row becomes zero.

    This is layer normalisation without gain and shift, as in front of attention.
    """

    def __call__(self, patterns: Patterns) -> Patterns:
        centred = patterns - jnp.mean(patterns, axis=1, keepdims=True)
        return _divided_by_root(centred, jnp.mean(jnp.square(centred), axis=1, keepdims=True))


def _divided_by_root(rows: Patterns, squares: Float[Array, "patterns 1"]) -> Patterns:
    """`rows / sqrt(squares)`, with a finite gradient where `squares` is zero."""
    return rows / jnp.sqrt(jnp.where(squares > 0, squares, 1))
