"""The weights of the patterns, one chunk after another: what each kind of separation needs to know of all scores.

The softmax is computed in one pass, with running maxima and sums. Sparse separations take two: the first keeps the
largest scores, which have all the weight at useful `beta`, and so gives the threshold; the second sums the patterns.
Where more patterns have weight, further passes find the threshold by Newton's method. No pass keeps more than one
chunk of scores, and the result is exact to rounding.

Sources: Milakov and Gimelshein (2018), arXiv:1805.02867, for the running softmax; the passes for sparse separations are
derived here.
"""

import functools as ft
from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from .._internal.checks import require_kind
from ..lagrangians import Softmax
from ..lagrangians.thresholds import AbstractThreshold, Power, threshold
from .epanechnikov import Epanechnikov
from .sharded import AXIS, Beta, PatternChunk, Query, ShardedPatterns
from .similarities import AbstractSimilarity, Euclidean

LARGEST = 64  # scores kept in the first pass: enough for one recalled pattern and its neighbours
_MOST_PASSES = 100  # bisection alone ends at rounding before this

Column = Float[Array, "batch 1"]


class AbstractWeights(eqx.Module):
    """The weights of patterns, as a function of their scores."""

    @abstractmethod
    def __call__(
        self, scores: Float[Array, "batch rows"], index: Int[Array, "#batch rows"]
    ) -> Float[Array, "batch rows"]:
        """Proportional to the weights of the patterns with these scores and numbers."""


class TopK(eqx.Module):
    """The largest scores in falling order, the numbers of their patterns, and the retrieval weights `p` of these.

    Where there are fewer than `k` patterns, the last numbers are -1, of weight zero.
    """

    scores: Float[Array, "batch k"]
    index: Int[Array, "batch k"]
    weights: Float[Array, "batch k"]


class AbstractStream(eqx.Module):
    """How one kind of separation passes over the patterns.

    Of its arguments, `rows` are the patterns of one device. The results are the same on all devices.
    """

    @abstractmethod
    def mixture(
        self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, values: Array | None
    ) -> Float[Array, "batch width"]:
        """The patterns, or the `values` where given, summed with their weights for each query."""

    @abstractmethod
    def top_k(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int) -> TopK:
        """The `k` patterns of largest weight."""

    @abstractmethod
    def check(self, similarity: AbstractSimilarity, count: int) -> None:
        """Raises: `ValueError` where the separation does not fit the similarity, or so few patterns."""


@ft.singledispatch
def stream_of(separation: Any) -> AbstractStream:
    """The stream of a separation. Raises: `ValueError` for one that a memory cannot have."""
    known = "`Softmax`, `Sparsemax`, `Entmax`, `Normmax`, `KSubsets` and `Epanechnikov`"
    raise ValueError(
        f"`separation` {type(separation).__name__} is not one of those of a `Memory`, whose weights sum to one: "
        f"{known}. Others need bounded visible neurons; make a `ModernHopfield` and relax its `ham()`."
    )


class SoftmaxStream(AbstractStream):
    """One pass with running maxima and sums."""

    def mixture(
        self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, values: Array | None
    ) -> Float[Array, "batch width"]:
        softmax = _online_softmax(stored, rows, query, beta, values)
        factor = jnp.exp(softmax.peak - stored.max(softmax.peak))
        mixture, total = stored.sum((softmax.mixture * factor[:, None], softmax.total * factor))
        return mixture / total[:, None]

    def top_k(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int) -> TopK:
        def add(carry, chunk: PatternChunk):
            scores, index = _with_chunk(carry[:2], chunk, k)
            total = carry[2] * jnp.exp(carry[0][:, 0] - scores[:, 0])
            return scores, index, total + jnp.sum(jnp.exp(chunk.scores - scores[:, :1]), axis=1)

        zero = jnp.zeros(query.states.shape[0], query.states.dtype)
        mine, index, total = stored.fold(add, (*_no_scores(query, k), zero), rows, query, beta)
        scores, index = _gathered(stored, mine, index, k)
        total = stored.sum(total * jnp.exp(mine[:, 0] - scores[:, 0]))
        return TopK(scores, index, jnp.exp(scores - scores[:, :1]) / total[:, None])

    def check(self, similarity: AbstractSimilarity, count: int) -> None:
        pass


class AboveThreshold(AbstractWeights):
    """`power(slope (score - threshold))`."""

    threshold: Column
    slope: float
    power: Power

    def __call__(
        self, scores: Float[Array, "batch rows"], index: Int[Array, "#batch rows"]
    ) -> Float[Array, "batch rows"]:
        return self.power(self.slope * (scores - self.threshold))


class ThresholdStream(AbstractStream):
    """Two passes where at most `LARGEST` patterns have weight, and a few more where more have."""

    separation: AbstractThreshold

    def weights(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta) -> AbstractWeights:
        """The weights for each query."""
        slope, count, mass = self.separation.slope, self.separation.count, self.separation.mass
        size = min(max(LARGEST, count + 1), stored.count)
        best, _ = largest_scores(stored, rows, query, beta, size)
        reference = best[:, count - 1 : count]
        scores = slope * (best - reference)
        low = jax.vmap(ft.partial(threshold, mass, count))(scores)
        # A pattern that was not kept has weight only if the lowest score that was kept has.
        complete = (scores[:, -1] <= low) | (size >= stored.number)

        def sums(t):
            def add(carry, chunk: PatternChunk):
                excess = slope * (chunk.scores - reference) - t[:, None]
                terms = mass(excess), mass.derivative(excess)
                return tuple(c + jnp.sum(x, axis=1) for c, x in zip(carry, terms, strict=True))

            return stored.sum(stored.fold(add, (jnp.zeros_like(t),) * 2, rows, query, beta))

        t = _refined(sums, count, low, complete)
        return AboveThreshold(reference + t[:, None] / slope, slope, self.separation.weight)

    def mixture(
        self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, values: Array | None
    ) -> Float[Array, "batch width"]:
        return _mixed(self.weights(stored, rows, query, beta), stored, rows, query, beta, values)

    def top_k(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int) -> TopK:
        return _top_k(self.weights(stored, rows, query, beta), stored, rows, query, beta, k)

    def check(self, similarity: AbstractSimilarity, count: int) -> None:
        self.separation.check_shape((count,))


class WithinRadius(AbstractWeights):
    """1 for scores above that at the radius; 1 for the nearest pattern alone where none is."""

    radius: Column
    peak: Column
    nearest: Int[Array, "batch 1"]

    def __call__(
        self, scores: Float[Array, "batch rows"], index: Int[Array, "#batch rows"]
    ) -> Float[Array, "batch rows"]:
        inside = jnp.where(self.peak > self.radius, scores > self.radius, index == self.nearest)
        return inside.astype(scores.dtype)


class EpanechnikovStream(AbstractStream):
    """A pass for the nearest pattern, and one for the mean of those within the radius."""

    def weights(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta) -> AbstractWeights:
        """The weights for each query."""
        # A score is `beta (|x|² - |x - x_i|²) / 2`.
        radius = beta * jnp.sum(jnp.square(query.states), axis=1, keepdims=True) / 2 - 1
        return WithinRadius(radius, *largest_scores(stored, rows, query, beta, 1))

    def mixture(
        self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, values: Array | None
    ) -> Float[Array, "batch width"]:
        return _mixed(self.weights(stored, rows, query, beta), stored, rows, query, beta, values)

    def top_k(self, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int) -> TopK:
        return _top_k(self.weights(stored, rows, query, beta), stored, rows, query, beta, k)

    def check(self, similarity: AbstractSimilarity, count: int) -> None:
        require_kind("similarity", similarity, Euclidean, "Euclidean()")


@stream_of.register
def _(separation: Softmax) -> AbstractStream:
    return SoftmaxStream()


@stream_of.register
def _(separation: AbstractThreshold) -> AbstractStream:
    return ThresholdStream(separation)


@stream_of.register
def _(separation: Epanechnikov) -> AbstractStream:
    return EpanechnikovStream()


def largest_scores(
    stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int
) -> tuple[Float[Array, "batch k"], Int[Array, "batch k"]]:
    """The `k` largest scores of all patterns in falling order, and the numbers of their patterns, -1 after the last."""
    add = lambda carry, chunk: _with_chunk(carry, chunk, k)
    return _gathered(stored, *stored.fold(add, _no_scores(query, k), rows, query, beta), k)


def _no_scores(query: Query, k: int) -> tuple[Array, Array]:
    shape, dtype = (query.states.shape[0], k), query.states.dtype
    # The lowest number rather than -inf, which minus itself is NaN.
    return jnp.full(shape, jnp.finfo(dtype).min, dtype), jnp.full(shape, -1)


def _with_chunk(largest: tuple[Array, Array], chunk: PatternChunk, k: int) -> tuple[Array, Array]:
    """The `k` largest of those so far and those of the chunk."""
    best, place = lax.top_k(chunk.scores, min(k, chunk.scores.shape[1]))
    scores = jnp.concatenate([largest[0], best], axis=1)
    return _largest(scores, jnp.concatenate([largest[1], chunk.index[place]], axis=1), k)


def _gathered(stored: ShardedPatterns, scores: Array, index: Array, k: int) -> tuple[Array, Array]:
    """The `k` largest scores of all devices."""
    if stored.mesh is None:
        return scores, index
    gather = lambda x: lax.all_gather(x, AXIS, axis=1, tiled=True)
    return _largest(gather(scores), gather(index), k)


def _top_k(
    weights: AbstractWeights, stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int
) -> TopK:
    add = lambda total, chunk: total + jnp.sum(weights(chunk.scores, chunk.index[None, :]), axis=1)
    zero = jnp.zeros(query.states.shape[0], query.states.dtype)
    total = stored.sum(stored.fold(add, zero, rows, query, beta))
    scores, index = largest_scores(stored, rows, query, beta, k)
    return TopK(scores, index, weights(scores, index) / total[:, None])


def _refined(sums, count: int, low: Float[Array, " batch"], done: Bool[Array, " batch"]) -> Array:
    """The thresholds at which the sums are `count`, from below, by Newton's method within a shrinking bracket."""
    tolerance = 4 * count * jnp.finfo(low.dtype).eps

    def step(carry):
        t, low, high, done, passes = carry
        total, rate = sums(t)
        low, high = jnp.where(total >= count, t, low), jnp.where(total >= count, high, t)
        newton = t + (total - count) / jnp.where(rate > 0, rate, 1)
        new = jnp.where((rate > 0) & (newton >= low) & (newton <= high), newton, (low + high) / 2)
        done = done | (jnp.abs(total - count) <= tolerance) | (new == t)
        return jnp.where(done, t, new), low, high, done, passes + 1

    unfinished = lambda carry: jnp.any(~carry[3]) & (carry[4] < _MOST_PASSES)
    return lax.while_loop(unfinished, step, (low, low, jnp.zeros_like(low), done, 0))[0]


def _mixed(
    weights: AbstractWeights,
    stored: ShardedPatterns,
    rows: Array,
    query: Query,
    beta: Beta,
    values: Array | None,
) -> Float[Array, "batch width"]:
    """One pass that sums the patterns, or the `values`, with their weights."""

    def add(carry, chunk: PatternChunk):
        p = weights(chunk.scores, chunk.index[None, :])
        return carry[0] + p @ _mixable(chunk, values), carry[1] + jnp.sum(p, axis=1)

    batch, dtype = query.states.shape[0], query.states.dtype
    first = jnp.zeros((batch, (rows if values is None else values).shape[1]), dtype), jnp.zeros(batch, dtype)
    mixture, total = stored.sum(stored.fold(add, first, rows, query, beta))
    return mixture / total[:, None]


class OnlineSoftmax(eqx.Module):
    """A softmax over the rows so far: the largest score, `Σ exp(score - peak)`, and the rows so weighted."""

    peak: Float[Array, " batch"]
    total: Float[Array, " batch"]
    mixture: Float[Array, "batch width"]


def _online_softmax(
    stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, values: Array | None
) -> OnlineSoftmax:
    """The softmax of the rows of one device; every device holds all `values`."""

    def add(softmax: OnlineSoftmax, chunk: PatternChunk) -> OnlineSoftmax:
        peak = jnp.maximum(softmax.peak, jnp.max(chunk.scores, axis=1))
        weights, decay = jnp.exp(chunk.scores - peak[:, None]), jnp.exp(softmax.peak - peak)
        total = softmax.total * decay + jnp.sum(weights, axis=1)
        mixture = softmax.mixture * decay[:, None] + weights @ _mixable(chunk, values)
        return OnlineSoftmax(peak, total, mixture)

    batch, dtype = query.states.shape[0], query.states.dtype
    width = (rows if values is None else values).shape[1]
    # The lowest number rather than -inf, which minus itself is NaN where all scores are -inf.
    first = OnlineSoftmax(
        jnp.full(batch, jnp.finfo(dtype).min, dtype),
        jnp.zeros(batch, dtype),
        jnp.zeros((batch, width), dtype),
    )
    return stored.fold(add, first, rows, query, beta)


def _mixable(chunk: PatternChunk, values: Array | None) -> Array:
    """What is summed: the rows, or their values. Rows of padding have no values, and no weight either."""
    return chunk.rows if values is None else jnp.take(values, chunk.index, axis=0, mode="clip")


def _largest(scores: Array, index: Array, k: int) -> tuple[Array, Array]:
    best, place = lax.top_k(scores, k)
    return best, jnp.take_along_axis(index, place, axis=1)
