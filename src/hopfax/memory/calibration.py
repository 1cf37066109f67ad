"""The right inverse temperature for given patterns: where they become fixed points, where the average goes.

The equidistant formula with the mean distance is the first guess; simulation and the stability test judge.
Source: derived here, after the question of arXiv 2311.18434.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Real

from .._internal.checks import check_patterns, check_positive, require, require_integer
from .modern import ModernHopfield
from .phase.classifier import Kind, classify_shares
from .phase.effective import beta_for_mean_field
from .phase.transitions import thresholds
from .similarities import AbstractSimilarity, Euclidean
from .streaming import Rows, leaders, settle

_STEPS = 200  # a ghost that lasts longer than this lies within about (pi / 200)^2 of its threshold
_POWER_STEPS = 50  # the largest eigenvalue from below, to a few per mille unless many are nearly as large
_WIDEST = 2.0**20  # times the first guess; a threshold beyond is taken not to exist
SHARE = 0.99  # at 0.9 recall is well below what the patterns allow: docs/choosing_beta.md


class Calibration(eqx.Module):
    """What `calibrate` found, in `beta`.

    `beta`: the lowest at which the wanted share of patterns are fixed points. `global_beta`: the lowest at
    which no minimum that averages over all patterns is left. `first_guess`: the spinodal of as many
    equidistant patterns. `attainable`: the share of patterns that are fixed points at any `beta`; the share
    asked for is a share of these. `patterns`, `probes`: how many patterns were used, and how many of them
    were tried.
    """

    beta: float
    global_beta: float
    first_guess: float
    share: float
    attainable: float
    patterns: int
    probes: int

    @property
    def recall_beta(self) -> float:
        """The larger of `beta` and `global_beta`: most patterns hold, and no start ends at the average of
        all.
        """
        return max(self.beta, self.global_beta)


def calibrate(
    patterns: Real[Array | np.ndarray, "patterns dimension"],
    share: float = SHARE,
    *,
    similarity: AbstractSimilarity = Euclidean(),
    probes: int = 128,
    limit: int = 2000,
    rtol: float = 0.02,
    seed: int = 0,
) -> Calibration:
    """The `beta` at which `share` of the patterns are fixed points, and the one at which the global attractor
    goes.

    A pattern is one where a start at it ends with more than half of the association on it. Both by bisection
    to `rtol`. Of equal rows one is kept. More than `limit` patterns are represented by a random sample of
    that size, and the results multiplied by the ratio of the spinodals of the two numbers of equidistant
    patterns (about `ln N`); `probes` of them are tried. With `Dot()`, a pattern closer in product to another
    than to itself is no fixed point at any `beta`; `Euclidean()` has no such patterns.

    Raises: `ValueError` for bad patterns, all of them equal or none attainable, or a `share` outside (0, 1].
    """
    _check(patterns, share, probes, limit, rtol)
    generator = np.random.default_rng(seed)
    sampled = _sample(patterns, limit, generator)
    distinct = np.unique(np.asarray(sampled, float), axis=0)
    require(len(distinct) >= 2, "`patterns` are all equal; store at least two different ones.")
    some = jnp.asarray(distinct, jnp.result_type(float))
    tried = np.sort(generator.permutation(len(some))[:probes])
    whole = len(distinct) * len(patterns) // len(sampled)
    growth = thresholds(whole).spinodal / thresholds(len(some)).spinodal
    guess = float(beta_for_mean_field(some, thresholds(len(some)).spinodal))
    rows, tried = Rows(some, similarity, len(some)), jnp.asarray(tried)
    attainable = _attainable(rows, tried)
    require(attainable > 0, "`patterns`: none is a fixed point at any beta; use `similarity=Euclidean()`.")
    held = _lowest(lambda beta: _held(rows, tried, beta) >= share * attainable, guess, rtol)
    gone = _lowest(lambda beta: _gone(rows, beta), guess, rtol)
    betas = held * growth, gone * growth, guess * growth
    return Calibration(betas[0], betas[1], betas[2], float(share), attainable, len(some), len(tried))


def _check(patterns, share: float, probes: int, limit: int, rtol: float) -> None:
    check_patterns(patterns)
    require(0 < share <= 1, f"`share` must lie in (0, 1], got {share}.")
    require_integer("probes", probes, 1)
    require_integer("limit", limit, 2)
    check_positive("rtol", rtol)


def _sample(patterns: Array | np.ndarray, limit: int, generator: np.random.Generator) -> Array | np.ndarray:
    return (
        patterns
        if len(patterns) <= limit
        else patterns[np.sort(generator.permutation(len(patterns))[:limit])]
    )


def _lowest(holds: Callable[[Array], Bool[Array, ""]], guess: float, rtol: float) -> float:
    """The lowest `beta` at which `holds`: doubled or halved into a bracket, which is then halved to `rtol`.

    Infinity where none was found.
    """
    yes = lambda beta: bool(holds(jnp.asarray(beta)))
    high = guess
    while not yes(high):
        if high > guess * _WIDEST:
            return float("inf")
        high *= 2
    low = high / 2
    while yes(low) and low > guess / _WIDEST:
        low, high = low / 2, low
    while high > low * (1 + rtol):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if yes(middle) else (middle, high)
    return high


@eqx.filter_jit
def _attainable_jit(rows: Rows, tried: Int[Array, " probes"]) -> Float[Array, ""]:
    products = rows.patterns[tried] @ rows.patterns.T + rows.similarity.thresholds(rows.patterns)[None, :]
    return jnp.mean(jnp.argmax(products, axis=1) == tried)


def _attainable(rows: Rows, tried: Int[Array, " probes"]) -> float:
    """The share of the probes that are closest to themselves, so fixed points of the limit of large
    `beta`.
    """
    return float(_attainable_jit(rows, tried))


@eqx.filter_jit
def _held(rows: Rows, tried: Int[Array, " probes"], beta: Float[Array, ""]) -> Float[Array, ""]:
    """The share of the probes that keep more than half of the association to themselves."""
    found = settle(rows, rows.patterns[tried], beta, tolerance=1e-4, max_steps=_STEPS)
    first = leaders(rows, found.state, beta, 1)
    return jnp.mean((first.index[:, 0] == tried) & (first.shares[:, 0] > 0.5))


@eqx.filter_jit
def _gone(rows: Rows, beta: Float[Array, ""]) -> Bool[Array, ""]:
    """Whether a start at the mean ends anywhere but at a minimum that averages over all patterns."""
    found = settle(rows, rows.mean()[None, :], beta, tolerance=1e-5, max_steps=_STEPS)
    network = ModernHopfield(rows.patterns, beta, similarity=rows.similarity)
    kind = classify_shares(network.association(found.state[0])).kind
    return (kind != Kind.GLOBAL) | (_slope(network, found.state[0]) >= 1)


def _slope(network: ModernHopfield, state: Float[Array, " dimension"]) -> Float[Array, ""]:
    """The largest eigenvalue of the update's Jacobian, by power iteration."""
    push = jax.linearize(network.update, state)[1]
    unit = lambda v: v / jnp.maximum(jnp.linalg.norm(v), jnp.finfo(v.dtype).tiny)
    start = unit(jr.normal(jr.key(0), state.shape, state.dtype))
    vector = lax.fori_loop(0, _POWER_STEPS, lambda _, v: unit(push(v)), start)
    return jnp.dot(vector, push(vector))
