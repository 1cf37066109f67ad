"""The inverse temperature for given patterns: where they become fixed points, and where their average is no minimum.

The formula for equidistant patterns at the mean distance is the first guess; simulation and the stability test
decide. Source: derived here, after the question of arXiv 2311.18434.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from .._internal.checks import check_patterns, check_positive, require, require_integer, require_kind
from .._internal.numerics import bisect, power_iteration
from .inputs import as_array, check_known
from .modern import ModernHopfield
from .phase.classification import StateKind, classify_weights
from .phase.effective import beta_for_mean_field
from .phase.transitions import thresholds
from .sharded import Query, ShardedPatterns
from .similarities import AbstractSimilarity, Euclidean
from .streaming import most_similar, retrieve, top_k

_STEPS = 200  # a state that still moves after these lies within about (pi / 200)^2 of its threshold
_POWER_STEPS = 50  # the largest eigenvalue from below, to a few per mille unless many are nearly as large
_WIDEST = 2.0**20  # times the first guess; a threshold beyond is taken not to exist
FRACTION = 0.99  # at 0.9 recall is well below what the patterns allow: docs/choosing_beta.md

Known = Bool[Array, " dimension"]
Probes = Int[Array, " probes"]


class Calibration(eqx.Module):
    """The inverse temperatures that `calibrate` found.

    Args:
        beta: the lowest at which the wanted fraction of the patterns are fixed points.
        global_beta: the lowest at which no minimum averages over all patterns.
        first_guess: the spinodal of as many equidistant patterns.
        fraction: the wanted fraction, of the attainable patterns.
        attainable: the fraction of the patterns that are fixed points at high `beta`.
        patterns: how many patterns were used.
        probes: how many of them were tried.
    """

    beta: float
    global_beta: float
    first_guess: float
    fraction: float
    attainable: float
    patterns: int
    probes: int

    @property
    def recall_beta(self) -> float:
        """The larger of `beta` and `global_beta`: most patterns are fixed points, and no start ends at the average
        of all.
        """
        return max(self.beta, self.global_beta)


def calibrate(
    patterns: Real[Array | np.ndarray, "patterns dimension"],
    fraction: float = FRACTION,
    *,
    known: Bool[Array | np.ndarray, " dimension"] | None = None,
    similarity: AbstractSimilarity = Euclidean(),
    probes: int = 128,
    limit: int = 2000,
    rtol: float = 0.02,
    seed: int = 0,
) -> Calibration:
    """The `beta` at which `fraction` of the patterns are fixed points, and that at which their average is no minimum.

    A pattern counts as a fixed point when retrieval from it ends with more than half of the weight on it. With `Dot()`,
    a pattern whose product with another is larger than with itself is not a fixed point at any `beta`; with
    `Euclidean()` there are no such patterns.

    Args:
        patterns: in rows; equal rows count once.
        fraction: above 0, at most 1.
        known: mask of the elements that queries will have, as in `Memory.recall`: patterns must then be retrieved from
            these elements alone. By default all of them.
        similarity: `Euclidean()` or `Dot()`.
        probes: how many patterns are tried.
        limit: of more patterns, a random sample of this size is used, and the results are multiplied by the ratio of
            the spinodals of the two numbers of equidistant patterns, which grow like `ln N`.
        rtol: the relative precision of the bisection.
        seed: of the sample and the probes.
    Raises: `ValueError` for bad patterns, all of them equal or none attainable, a `fraction` outside (0, 1], or a
        mask of another shape.
    """
    rows = as_array("patterns", patterns)
    _check(rows, fraction, probes, limit, rtol)
    require_kind("similarity", similarity, AbstractSimilarity, "Dot()")
    mask = None if known is None else jnp.asarray(check_known(rows[0], known))
    generator = np.random.default_rng(seed)
    sample = _sample(rows, limit, generator)
    distinct = np.unique(np.asarray(sample, float), axis=0)
    require(len(distinct) >= 2, "`patterns` are all equal; store at least two different ones.")
    count, total = len(distinct), len(distinct) * len(rows) // len(sample)
    index = jnp.asarray(np.sort(generator.permutation(count)[:probes]))
    stored = ShardedPatterns(jnp.asarray(distinct, jnp.result_type(float)), similarity, count)
    spinodal = thresholds(count).spinodal
    guess = float(beta_for_mean_field(stored.patterns, spinodal))
    attainable = float(_attainable(stored, index, mask))
    require(attainable > 0, "`patterns`: none is a fixed point at any beta; use `similarity=Euclidean()`.")
    beta = _lowest(lambda beta: _stable(stored, index, mask, beta) >= fraction * attainable, guess, rtol)
    global_beta = _lowest(lambda beta: _average_is_unstable(stored, beta), guess, rtol)
    growth = thresholds(total).spinodal / spinodal
    scaled = beta * growth, global_beta * growth, guess * growth
    return Calibration(*scaled, float(fraction), attainable, count, len(index))


def margin_beta(
    stored: ShardedPatterns, fraction: float = FRACTION, *, probes: int = 128, seed: int = 0
) -> float:
    """The lowest `beta` at which `fraction` of the patterns, as queries, get all of the weight: recall is then exact.

    With a sparse separation of margin `m`, a pattern that leads by `D` in similarity is alone where `beta D >= m`:
    with `Euclidean()`, `D` is half the squared distance to the nearest other pattern. `beta` is computed from a
    sample of `probes` patterns, each compared with all others. It is one per mille above the bound to allow for
    rounding. Equal patterns do not count.

    Raises: `ValueError` for a separation without a margin, or where no pattern leads.
    Source: [santos2024] for the margins.
    """
    margin, name = stored.separation.margin, type(stored.separation).__name__
    if margin is None:
        raise ValueError(
            f"`beta` of `{name}` has no automatic value: no pattern has all weight; give a number."
        )
    order = np.random.default_rng(seed).permutation(int(stored.number))[:probes]
    leads = np.asarray(_leads(stored, jnp.asarray(order)))
    leads = np.sort(leads[leads > 0])[::-1]
    require(
        leads.size > 0,
        "`patterns`: none leads the others; use `similarity=Euclidean()` and different patterns.",
    )
    return float(1.001 * margin / leads[math.ceil(fraction * leads.size) - 1])


@eqx.filter_jit
def _leads(stored: ShardedPatterns, index: Probes) -> Float[Array, " probes"]:
    """The similarity of each pattern to itself, less that of the next pattern; zero where another is more similar."""
    probes = stored.patterns[index]
    similarities, number = most_similar(stored, probes, 2)
    return jnp.where(number[:, 0] == index, similarities[:, 0] - similarities[:, 1], 0)


def _check(patterns, fraction: float, probes: int, limit: int, rtol: float) -> None:
    check_patterns(patterns)
    require(0 < fraction <= 1, f"`fraction` must lie in (0, 1], got {fraction}.")
    require_integer("probes", probes, 1)
    require_integer("limit", limit, 2)
    check_positive("rtol", rtol)


def _sample(patterns: Array | np.ndarray, limit: int, generator: np.random.Generator) -> Array | np.ndarray:
    if len(patterns) <= limit:
        return patterns
    return patterns[np.sort(generator.permutation(len(patterns))[:limit])]


def _lowest(condition: Callable[[Array], Bool[Array, ""]], guess: float, rtol: float) -> float:
    """The lowest `beta` at which `condition` holds, to `rtol`; infinity where there is none.

    `beta` is doubled or halved from `guess` until it brackets the change, then bisected.
    """
    holds = lambda beta: bool(condition(jnp.asarray(beta)))
    high = guess
    while not holds(high):
        if high > guess * _WIDEST:
            return float("inf")
        high *= 2
    low = high / 2
    while holds(low) and low > guess / _WIDEST:
        low, high = low / 2, low
    middle, close = lambda a, b: (a * b) ** 0.5, lambda yes, no: yes <= no * (1 + rtol)
    return bisect(holds, high, low, middle=middle, close=close)[0]


@eqx.filter_jit
def _attainable(stored: ShardedPatterns, index: Probes, known: Known | None) -> Float[Array, ""]:
    """The fraction of the probes that are most similar to themselves: the fixed points in the limit of large `beta`."""
    probes = stored.patterns[index]
    query = Query.of(probes, None if known is None else jnp.broadcast_to(known, probes.shape))
    scores = query.states @ stored.patterns.T + query.thresholds(stored.similarity, stored.patterns)
    return jnp.mean(jnp.argmax(scores, axis=1) == index, dtype=float)


@eqx.filter_jit
def _stable(
    stored: ShardedPatterns, index: Probes, known: Known | None, beta: Float[Array, ""]
) -> Float[Array, ""]:
    """The fraction of the probes that keep more than half of the weight."""
    probes = stored.patterns[index]
    mask = None if known is None else jnp.broadcast_to(known, probes.shape)
    result = retrieve(stored, probes, beta, mask, tolerance=1e-4, max_steps=_STEPS)
    top = top_k(stored, result.state, beta, 1)
    return jnp.mean((top.index[:, 0] == index) & (top.weights[:, 0] > 0.5), dtype=float)


@eqx.filter_jit
def _average_is_unstable(stored: ShardedPatterns, beta: Float[Array, ""]) -> Bool[Array, ""]:
    """Whether a start at the mean ends anywhere but at a minimum that averages over all patterns."""
    state = retrieve(stored, stored.mean()[None, :], beta, tolerance=1e-5, max_steps=_STEPS).state[0]
    network = ModernHopfield(stored.patterns, beta, similarity=stored.similarity)
    kind = classify_weights(network.weights(state)).kind
    product = jax.linearize(network.update, state)[1]
    start = jr.normal(jr.key(0), state.shape, state.dtype)
    return (kind != StateKind.GLOBAL) | (power_iteration(product, start, _POWER_STEPS) >= 1)
