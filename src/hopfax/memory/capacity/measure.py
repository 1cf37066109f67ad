"""How much a memory holds: recall against load and noise, capacity, basins, and the lines of theory.

Any memory can be measured: a `Store` makes a recall function of patterns, and the recall function makes
states of queries. `hopfax.memory.capacity.memories` has those of classical, modern, polynomial and trained memories.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.stats import norm

from ..._internal.checks import require, require_integer, as_integer
from .memories import Patterns, Store
from .patterns import AbstractCorruption, AbstractPatterns, Flip, RandomSigns

PRNGKey = Key[Array, ""]


class Proportion(eqx.Module):
    """Successes out of trials, with Wilson's interval `low` to `high`."""

    successes: int
    trials: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.successes / self.trials


class Curve(eqx.Module):
    """Recall at each value of what was varied (number of patterns, or strength of corruption)."""

    values: Float[np.ndarray, " values"]
    share: Float[np.ndarray, " values"]
    low: Float[np.ndarray, " values"]
    high: Float[np.ndarray, " values"]


class Trial(eqx.Module):
    """How recall is measured: what patterns, of how many neurons, spoiled how, and what counts as right.

    A recall is right if its cosine with the pattern is at least `overlap`. `repeats` sets of patterns are
    drawn, and at most `queries` patterns of each are asked for. Raises: `ValueError` for numbers out of
    range.
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
    """`(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)`, an interval that stays in [0, 1] and never has
    no width.

    Raises: `ValueError` unless `0 <= successes <= trials`, `trials >= 1` and `0 < confidence < 1`.
    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    require(
        0 <= successes <= trials and trials >= 1, f"`successes` {successes} of `trials` {trials} is no share."
    )
    require(0 < confidence < 1, f"`confidence` must lie in (0, 1), got {confidence}.")
    z, p = float(norm.ppf((1 + confidence) / 2)), successes / trials
    centre, width = p + z**2 / (2 * trials), z * math.sqrt(p * (1 - p) / trials + z**2 / (4 * trials**2))
    low, high = ((centre + sign * width) / (1 + z**2 / trials) for sign in (-1, 1))
    # Both ends are exact where all or none succeed; rounding would leave them just inside.
    return Proportion(successes, trials, low if successes else 0.0, high if successes < trials else 1.0)


def recall_rate(store: Store, trial: Trial, count: int, key: PRNGKey) -> Proportion:
    """How many of the queries are recalled right when `count` patterns are stored.

    Raises: `ValueError` for `count < 1`.
    """
    count = as_integer("count", count, 1)
    right = [_right(store, trial, count, own) for own in jr.split(key, trial.repeats)]
    return wilson(int(sum(each.sum() for each in right)), sum(each.size for each in right))


def recall_against_load(store: Store, trial: Trial, counts: Sequence[int], key: PRNGKey) -> Curve:
    """`recall_rate` for each number of patterns in `counts`."""
    require(len(counts) > 0, "`counts` must hold at least one number of patterns.")
    return _curve(counts, [recall_rate(store, trial, n, own) for n, own in _keyed(counts, key)])


def recall_against_corruption(
    store: Store, trial: Trial, count: int, corruptions: Sequence[AbstractCorruption], key: PRNGKey
) -> Curve:
    """`recall_rate` of `count` patterns for each of `corruptions`; `values` number them from 0."""
    require(len(corruptions) > 0, "`corruptions` must hold at least one.")
    swapped = [eqx.tree_at(lambda t: t.corruption, trial, c, is_leaf=_is_corruption) for c in corruptions]
    return _curve(
        range(len(corruptions)), [recall_rate(store, t, count, own) for t, own in _keyed(swapped, key)]
    )


def capacity(
    store: Store, trial: Trial, key: PRNGKey, *, share: float = 0.9, most: int = 1_000_000, rtol: float = 0.05
) -> tuple[int, int]:
    """The number of patterns at which recall falls below `share`: (enough still right, no longer), `rtol`
    apart.

    Doubles, then bisects, with the same random key throughout. (0, 1) if not even one pattern is recalled,
    and (`most`, `most`) if `most` patterns are.

    Raises: `ValueError` for a `share` outside (0, 1].
    """
    require(0 < share <= 1, f"`share` must lie in (0, 1], got {share}.")
    require_integer("most", most, 1)
    require(rtol > 0, f"`rtol` must be positive, got {rtol}.")
    holds = lambda count: recall_rate(store, trial, count, key).share >= share
    low, high = 0, 1
    while holds(high):
        if high >= most:
            return most, most
        low, high = high, min(2 * high, most)
    while high - low > max(1, rtol * high):
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def basin_size(
    store: Store, trial: Trial, count: int, key: PRNGKey, *, share: float = 0.5, resolution: float = 0.02
) -> float:
    """The share of flipped signs, 0 to 0.5, up to which at least `share` of the patterns are recalled.

    Bisection to `resolution`; 0 where the patterns themselves are not recalled.
    """
    flips = lambda x: eqx.tree_at(lambda t: t.corruption, trial, Flip(x), is_leaf=_is_corruption)
    holds = lambda x: recall_rate(store, flips(x), count, key).share >= share
    if not holds(0.0):
        return 0.0
    low, high = 0.0, 0.5
    while high - low > resolution:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _right(store: Store, trial: Trial, count: int, key: PRNGKey) -> np.ndarray:
    """Which queries are recalled right, for one set of patterns."""
    draw, spoil = jr.split(key)
    patterns = trial.patterns(count, trial.neurons, draw)
    wanted = patterns[: trial.queries]
    found = store(patterns)(trial.corruption(wanted, spoil))
    return np.asarray(_cosine(found, wanted) >= trial.overlap)


@jax.jit
def _cosine(a: Patterns, b: Patterns) -> Float[Array, " patterns"]:
    norms = jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1)
    return jnp.sum(a * b, axis=1) / jnp.where(norms > 0, norms, 1)


def _curve(values, found: Sequence[Proportion]) -> Curve:
    columns = [[each.share, each.low, each.high] for each in found]
    return Curve(np.asarray(values, float), *np.asarray(columns, float).T)


def _keyed(items: Sequence, key: PRNGKey):
    return zip(items, jr.split(key, len(items)), strict=True)


def _is_corruption(node) -> bool:
    return isinstance(node, AbstractCorruption)
