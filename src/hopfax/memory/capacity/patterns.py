"""Random patterns to measure memories with, one in each row, and corruptions that make queries of them."""

import abc

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from ..._internal.checks import require

Patterns = Float[Array, "patterns neurons"]
PRNGKey = Key[Array, ""]


class AbstractPatterns(eqx.Module):
    """A distribution of patterns."""

    @abc.abstractmethod
    def __call__(self, count: int, neurons: int, key: PRNGKey) -> Patterns:
        """`count` patterns of `neurons` values."""


class RandomSigns(AbstractPatterns):
    """Independent values, +1 with probability `(1 + bias) / 2`, else -1.

    The mean overlap of two patterns is `bias²`. Raises: `ValueError` unless `-1 < bias < 1`.
    """

    bias: float = 0.0

    def __check_init__(self):
        require(-1 < self.bias < 1, f"`RandomSigns(bias={self.bias})` must lie in (-1, 1).")

    def __call__(self, count: int, neurons: int, key: PRNGKey) -> Patterns:
        return _signs(key, (count, neurons), self.bias)


class CorrelatedSigns(AbstractPatterns):
    """Copies of one random pattern with random flips, so that the mean overlap of two patterns is `correlation`.

    Each value agrees with the common pattern with probability `(1 + sqrt(correlation)) / 2`.
    Raises: `ValueError` unless `0 <= correlation < 1`.
    """

    correlation: float = 0.5

    def __check_init__(self):
        require(
            0 <= self.correlation < 1,
            f"`CorrelatedSigns(correlation={self.correlation})` must lie in [0, 1).",
        )

    def __call__(self, count: int, neurons: int, key: PRNGKey) -> Patterns:
        common_key, flips_key = jr.split(key)
        common = _signs(common_key, (1, neurons), 0.0)
        return common * _signs(flips_key, (count, neurons), self.correlation**0.5)


class HierarchicalSigns(AbstractPatterns):
    """A tree of patterns: `branches` ancestors, and patterns around each of them.

    The mean overlap of two patterns is `within` in one branch and `across` in different ones. Pattern `i` belongs to
    branch `i % branches`. Raises: `ValueError` unless `branches >= 1` and `0 <= across < within < 1`.
    """

    branches: int = 4
    within: float = 0.6
    across: float = 0.2

    def __check_init__(self):
        ordered = 0 <= self.across < self.within < 1
        require(ordered, f"`across={self.across}`, `within={self.within}` must be ordered, both in [0, 1).")
        require(self.branches >= 1, f"`HierarchicalSigns(branches={self.branches})` must be at least 1.")

    def __call__(self, count: int, neurons: int, key: PRNGKey) -> Patterns:
        tree_key, flips_key = jr.split(key)
        # An ancestor is a corrupted copy of the root; overlaps multiply along the path from one pattern to another.
        ancestors = CorrelatedSigns(self.across / self.within)(self.branches, neurons, tree_key)
        flips = _signs(flips_key, (count, neurons), self.within**0.5)
        return ancestors[jnp.arange(count) % self.branches] * flips


class RandomNormal(AbstractPatterns):
    """Independent values from N(0, 1): real patterns of squared norm about `neurons`."""

    def __call__(self, count: int, neurons: int, key: PRNGKey) -> Patterns:
        return jr.normal(key, (count, neurons))


class AbstractCorruption(eqx.Module):
    """A way to corrupt patterns into queries."""

    @abc.abstractmethod
    def __call__(self, patterns: Patterns, key: PRNGKey) -> Patterns:
        """The queries, one for each pattern."""


class Flip(AbstractCorruption):
    """Changes the sign of exactly `round(fraction * neurons)` values. Raises: `ValueError` outside 0 to 1."""

    fraction: float

    def __check_init__(self):
        _check_fraction(self)

    def __call__(self, patterns: Patterns, key: PRNGKey) -> Patterns:
        return jnp.where(_chosen(patterns, self.fraction, key), -patterns, patterns)


class Mask(AbstractCorruption):
    """Replaces exactly `round(fraction * neurons)` values by random ones of the same pattern.

    The distribution of the values is kept, and signs stay signs, of which half are right by chance.
    Raises: `ValueError` outside 0 to 1.
    """

    fraction: float

    def __check_init__(self):
        _check_fraction(self)

    def __call__(self, patterns: Patterns, key: PRNGKey) -> Patterns:
        place_key, value_key = jr.split(key)
        shuffled = jr.permutation(value_key, patterns, axis=1, independent=True)
        return jnp.where(_chosen(patterns, self.fraction, place_key), shuffled, patterns)


class Noise(AbstractCorruption):
    """Adds N(0, `std`²) to each value. Raises: `ValueError` for a negative `std`."""

    std: float

    def __check_init__(self):
        require(self.std >= 0, f"`Noise(std={self.std})` must not be negative.")

    def __call__(self, patterns: Patterns, key: PRNGKey) -> Patterns:
        return patterns + self.std * jr.normal(key, patterns.shape, patterns.dtype)


def _check_fraction(corruption: Flip | Mask) -> None:
    name = type(corruption).__name__
    require(0 <= corruption.fraction <= 1, f"`{name}(fraction={corruption.fraction})` must lie in [0, 1].")


def _chosen(patterns: Patterns, fraction: float, key: PRNGKey) -> Array:
    """Exactly `round(fraction * neurons)` places of each row, at random."""
    ranks = jnp.argsort(jr.uniform(key, patterns.shape), axis=1)
    return ranks < round(fraction * patterns.shape[1])


def _signs(key: PRNGKey, shape: tuple[int, int], mean: float) -> Patterns:
    return jnp.where(jr.bernoulli(key, (1 + mean) / 2, shape), 1.0, -1.0)
