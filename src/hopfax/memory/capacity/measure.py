"""How many patterns a memory stores: recall against load and corruption, capacity, basins of attraction.

Any memory can be measured: a `Store` makes a recall function from patterns, and the recall function makes states from
queries. `hopfax.memory.capacity.memories` has those of classical, modern, polynomial and trained memories.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from ..._internal.checks import as_integer, require, require_integer
from ..._internal.numerics import bisect
from .memories import Patterns, Store
from .patterns import AbstractCorruption, AbstractPatterns, Flip, RandomSigns

PRNGKey = Key[Array, ""]


class Proportion(eqx.Module):
    """Successes in a number of trials, with Wilson's interval from `low` to `high`."""

    successes: int
    trials: int
    low: float
    high: float

    @property
    def fraction(self) -> float:
        """Successes over trials."""
        return self.successes / self.trials


class Curve(eqx.Module):
    """The recalled fraction, with its interval, at each value of what was varied (load, or strength of corruption)."""

    values: Float[np.ndarray, " values"]
    fraction: Float[np.ndarray, " values"]
    low: Float[np.ndarray, " values"]
    high: Float[np.ndarray, " values"]


class Trial(eqx.Module):
    """How recall is measured.

    Args:
        neurons: in each pattern.
        patterns: the distribution of the patterns.
        corruption: what makes queries from patterns.
        overlap: a recall is right if its cosine with the pattern is at least this, in (-1, 1].
        repeats: how many sets of patterns are drawn.
        queries: how many patterns of each set are recalled, at most.
    Raises: `ValueError` for numbers out of range.
    """

    neurons: int
    patterns: AbstractPatterns = RandomSigns()
    corruption: AbstractCorruption = Flip(0.1)
    overlap: float = 0.95
    repeats: int = 4
    queries: int = 64

    def __check_init__(self):
        for name in ("neurons", "repeats", "queries"):
            require_integer(name, getattr(self, name), 1)
        require(-1 < self.overlap <= 1, f"`overlap` must lie in (-1, 1], got {self.overlap}.")


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Proportion:
    """`(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)`, an interval in [0, 1] that never has width zero.

    Raises: `ValueError` unless `0 <= successes <= trials`, `trials >= 1` and `0 < confidence < 1`.
    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    require(
        0 <= successes <= trials and trials >= 1,
        f"`successes` {successes} of `trials` {trials} is not a proportion; give 0 to `trials`, at least one trial.",
    )
    require(0 < confidence < 1, f"`confidence` must lie in (0, 1), got {confidence}.")
    z, p = NormalDist().inv_cdf((1 + confidence) / 2), successes / trials
    centre, width = p + z**2 / (2 * trials), z * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    low, high = ((centre + sign * width) / (1 + z**2 / trials) for sign in (-1, 1))
    # Both ends are exact where all or none succeed; rounding would leave them just inside.
    return Proportion(successes, trials, low if successes else 0.0, high if successes < trials else 1.0)


def recall_rate(store: Store, trial: Trial, count: int, key: PRNGKey) -> Proportion:
    """The proportion of the queries that are recalled right when `count` patterns are stored.

    Raises: `ValueError` for `count < 1`.
    """
    count = as_integer("count", count, 1)
    right = np.concatenate([_right(store, trial, count, repeat) for repeat in jr.split(key, trial.repeats)])
    return wilson(int(right.sum()), right.size)


def recall_against_load(store: Store, trial: Trial, counts: Sequence[int], key: PRNGKey) -> Curve:
    """`recall_rate` for each number of patterns in `counts`. Raises: `ValueError` for no counts, or one below 1."""
    require(len(counts) > 0, "`counts` must hold at least one number of patterns.")
    keys = jr.split(key, len(counts))
    return _curve(counts, [recall_rate(store, trial, n, k) for n, k in zip(counts, keys, strict=True)])


def recall_against_corruption(
    store: Store, trial: Trial, count: int, corruptions: Sequence[AbstractCorruption], key: PRNGKey
) -> Curve:
    """`recall_rate` of `count` patterns for each of `corruptions`; `values` number them from 0.

    Raises: `ValueError` for no corruptions, or `count < 1`.
    """
    require(len(corruptions) > 0, "`corruptions` must hold at least one.")
    trials, keys = [_with_corruption(trial, c) for c in corruptions], jr.split(key, len(corruptions))
    rates = [recall_rate(store, t, count, k) for t, k in zip(trials, keys, strict=True)]
    return _curve(range(len(corruptions)), rates)


def capacity(
    store: Store,
    trial: Trial,
    key: PRNGKey,
    *,
    fraction: float = 0.9,
    most: int = 1_000_000,
    rtol: float = 0.05,
) -> tuple[int, int]:
    """Two numbers of patterns, `rtol` apart: at least `fraction` of the first are recalled, and fewer of the second.

    Doubles, then bisects, with the same random key throughout. The result is (0, 1) if not even one pattern is
    recalled, and (`most`, `most`) if `most` patterns are.

    Raises: `ValueError` for a `fraction` outside (0, 1], `most < 1`, or an `rtol` that is not positive.
    """
    require(0 < fraction <= 1, f"`fraction` must lie in (0, 1], got {fraction}.")
    require_integer("most", most, 1)
    require(rtol > 0, f"`rtol` must be positive, got {rtol}.")
    holds = lambda count: recall_rate(store, trial, count, key).fraction >= fraction
    low, high = 0, 1
    while holds(high):
        if high >= most:
            return most, most
        low, high = high, min(2 * high, most)
    close = lambda low, high: high - low <= max(1, rtol * high)
    return bisect(holds, low, high, middle=lambda low, high: (low + high) // 2, close=close)


def basin_size(
    store: Store, trial: Trial, count: int, key: PRNGKey, *, fraction: float = 0.5, resolution: float = 0.02
) -> float:
    """The fraction of flipped signs, 0 to 0.5, up to which at least `fraction` of the patterns are recalled.

    Bisection to `resolution`; 0 if the patterns themselves are not recalled. Raises: `ValueError` for `count < 1`.
    """
    recalled = lambda flips: recall_rate(store, _with_corruption(trial, Flip(flips)), count, key).fraction
    holds = lambda flips: recalled(flips) >= fraction
    if not holds(0.0):
        return 0.0
    close = lambda low, high: high - low <= resolution
    return bisect(holds, 0.0, 0.5, middle=lambda low, high: (low + high) / 2, close=close)[0]


def _with_corruption(trial: Trial, corruption: AbstractCorruption) -> Trial:
    is_corruption = lambda node: isinstance(node, AbstractCorruption)
    return eqx.tree_at(lambda t: t.corruption, trial, corruption, is_leaf=is_corruption)


def _right(store: Store, trial: Trial, count: int, key: PRNGKey) -> np.ndarray:
    """Which queries are recalled right, for one set of patterns."""
    patterns_key, corruption_key = jr.split(key)
    patterns = trial.patterns(count, trial.neurons, patterns_key)
    targets = patterns[: trial.queries]
    states = store(patterns)(trial.corruption(targets, corruption_key))
    return np.asarray(_cosine(states, targets) >= trial.overlap)


@jax.jit
def _cosine(a: Patterns, b: Patterns) -> Float[Array, " patterns"]:
    norms = jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1)
    return jnp.sum(a * b, axis=1) / jnp.where(norms > 0, norms, 1)


def _curve(values: Sequence[int], proportions: Sequence[Proportion]) -> Curve:
    columns = [[p.fraction, p.low, p.high] for p in proportions]
    return Curve(np.asarray(values, float), *np.asarray(columns, float).T)
