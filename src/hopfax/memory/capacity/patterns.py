"""Random patterns to measure memories with, in rows, and the ways to spoil them."""

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

    Two patterns overlap by `bias^2` on average. Raises: `ValueError` unless `-1 < bias < 1`.
    """

    bias: float = 0.0

    def __check_init__(self):
        require(-1 < self.bias < 1, f"`RandomSigns(bias={self.bias})` must lie in (-1, 1).")

    def __call__(self, count: int, neurons: int, key: PRNGKey) -> Patterns:
        return _signs(key, (count, neurons), self.bias)


class CorrelatedSigns(AbstractPatterns):
    """Copies of one random pattern, each value flipped so that any two overlap by `correlation` on average.

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
        common, own = jr.split(key)
        return _signs(common, (1, neurons), 0.0) * _signs(own, (count, neurons), self.correlation**0.5)


class HierarchicalSigns(AbstractPatterns):
    """A tree: `branches` ancestors, then patterns around them in turn, at an overlap of `within` inside a
    branch.

    Patterns of different branches overlap by `across` on average, `0 <= across < within < 1`; pattern `i`
    belongs to branch `i % branches`. Raises: `ValueError` for other values.
    """

    branches: int = 4
    within: float = 0.6
    across: float = 0.2

    def __check_init__(self):
        ordered = 0 <= self.across < self.within < 1
        require(ordered, f"`across={self.across}`, `within={self.within}` must be ordered, both in [0, 1).")
        require(self.branches >= 1, f"`HierarchicalSigns(branches={self.branches})` must be at least 1.")

    def __call__(self, count: int, neurons: int, key: PRNGKey) -> Patterns:
        tree, own = jr.split(key)
        # An ancestor is a copy of the root; overlaps multiply along the way from one pattern to another.
        ancestors = CorrelatedSigns(self.across / self.within)(self.branches, neurons, tree)
        return ancestors[jnp.arange(count) % self.branches] * _signs(own, (count, neurons), self.within**0.5)


class RandomNormal(AbstractPatterns):
    """Independent values from N(0, 1): real patterns of squared norm about `neurons`."""

    def __call__(self, count: int, neurons: int, key: PRNGKey) -> Patterns:
        return jr.normal(key, (count, neurons))


class AbstractCorruption(eqx.Module):
    """What is done to a pattern to make a query."""

    @abc.abstractmethod
    def __call__(self, patterns: Patterns, key: PRNGKey) -> Patterns:
        """The queries, one for each pattern."""


class Flip(AbstractCorruption):
    """Changes the sign of exactly `round(share * neurons)` values. Raises: `ValueError` outside 0 to 1."""

    share: float

    def __check_init__(self):
        _check_share(self)

    def __call__(self, patterns: Patterns, key: PRNGKey) -> Patterns:
        return jnp.where(_chosen(patterns, self.share, key), -patterns, patterns)


class Mask(AbstractCorruption):
    """Replaces exactly `round(share * neurons)` values by random ones of the pattern's own, in random order.

    The values keep their distribution, and signs stay signs; half of the replaced signs are right by chance.
    Raises: `ValueError` outside 0 to 1.
    """

    share: float

    def __check_init__(self):
        _check_share(self)

    def __call__(self, patterns: Patterns, key: PRNGKey) -> Patterns:
        where, what = jr.split(key)
        shuffled = jr.permutation(what, patterns, axis=1, independent=True)
        return jnp.where(_chosen(patterns, self.share, where), shuffled, patterns)


class Noise(AbstractCorruption):
    """Adds N(0, `std`²) to each value. Raises: `ValueError` for a negative `std`."""

    std: float

    def __check_init__(self):
        require(self.std >= 0, f"`Noise(std={self.std})` must not be negative.")

    def __call__(self, patterns: Patterns, key: PRNGKey) -> Patterns:
        return patterns + self.std * jr.normal(key, patterns.shape, patterns.dtype)


def _check_share(corruption: Flip | Mask) -> None:
    name = type(corruption).__name__
    require(0 <= corruption.share <= 1, f"`{name}(share={corruption.share})` must lie in [0, 1].")


def _chosen(patterns: Patterns, share: float, key: PRNGKey) -> Array:
    """Exactly `round(share * neurons)` places of each row, at random."""
    ranks = jnp.argsort(jr.uniform(key, patterns.shape), axis=1)
    return ranks < round(share * patterns.shape[1])


def _signs(key: PRNGKey, shape: tuple[int, int], mean: float) -> Patterns:
    return jnp.where(jr.bernoulli(key, (1 + mean) / 2, shape), 1.0, -1.0)
