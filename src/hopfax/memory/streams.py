"""The weights of the patterns, one chunk after another: what a separation needs to know of all scores.

The softmax is computed here in one pass, with running maxima and sums. Sparse separations take two or more:
`hopfax.memory.sparse_streams`.

Source: Milakov and Gimelshein (2018), arXiv:1805.02867, for the running softmax.
"""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from .sharded import AXIS, Beta, PatternChunk, Query, ShardedPatterns
from .similarities import AbstractSimilarity


class TopK(eqx.Module):
    """The largest scores in falling order, the numbers of their patterns, and the retrieval weights `p` of these.

    Where there are fewer than `k` patterns, the last numbers are -1, of weight zero.
    """

    scores: Float[Array, "batch k"]
    index: Int[Array, "batch k"]
    weights: Float[Array, "batch k"]


class AbstractStream(eqx.Module):
    """How one kind of separation passes over the patterns.

    The argument `rows` holds the patterns of one device. The results are the same on all devices.
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
        """Raises: `ValueError` where the separation does not fit the similarity, or `count` patterns are too few."""


class OnlineSoftmax(eqx.Module):
    """A softmax over the rows so far: the largest score, `Σ exp(score - peak)`, and the sum of the rows so weighted."""

    peak: Float[Array, " batch"]
    total: Float[Array, " batch"]
    mixture: Float[Array, "batch width"]

    @staticmethod
    def empty(rows: Array, query: Query, values: Array | None = None) -> "OnlineSoftmax":
        """The softmax of no rows, to which rows as wide as `rows`, or as the `values` where given, can be added."""
        mixture, total = empty_mixture(rows, query, values)
        # The lowest number rather than -inf, which minus itself is NaN where all scores are -inf.
        return OnlineSoftmax(jnp.full_like(total, jnp.finfo(total.dtype).min), total, mixture)

    def add(self, chunk: PatternChunk, rows: Float[Array, "rows width"]) -> "OnlineSoftmax":
        """The softmax with one more chunk: its scores, and the rows that they weight."""
        peak = jnp.maximum(self.peak, jnp.max(chunk.scores, axis=1))
        weights, decay = jnp.exp(chunk.scores - peak[:, None]), jnp.exp(self.peak - peak)
        total = self.total * decay + jnp.sum(weights, axis=1)
        return OnlineSoftmax(peak, total, self.mixture * decay[:, None] + weights @ rows)


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
            scores, index = with_chunk(carry[:2], chunk, k)
            total = carry[2] * jnp.exp(carry[0][:, 0] - scores[:, 0])
            return scores, index, total + jnp.sum(jnp.exp(chunk.scores - scores[:, :1]), axis=1)

        zero = jnp.zeros(query.states.shape[0], query.states.dtype)
        mine, index, total = stored.fold(add, (*no_scores(query, k), zero), rows, query, beta)
        scores, index = _gathered(stored, mine, index, k)
        total = stored.sum(total * jnp.exp(mine[:, 0] - scores[:, 0]))
        return TopK(scores, index, jnp.exp(scores - scores[:, :1]) / total[:, None])

    def check(self, similarity: AbstractSimilarity, count: int) -> None:
        pass


def largest_scores(
    stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int
) -> tuple[Float[Array, "batch k"], Int[Array, "batch k"]]:
    """The `k` largest scores of all patterns in falling order, and the numbers of their patterns, -1 after the last."""
    add = lambda carry, chunk: with_chunk(carry, chunk, k)
    return _gathered(stored, *stored.fold(add, no_scores(query, k), rows, query, beta), k)


def empty_mixture(
    rows: Array, query: Query, values: Array | None
) -> tuple[Float[Array, "batch width"], Float[Array, " batch"]]:
    """Zeros: a sum of the rows, or of the `values` where given, for each query, and the sum of their weights."""
    batch, dtype = query.states.shape[0], query.states.dtype
    width = (rows if values is None else values).shape[1]
    return jnp.zeros((batch, width), dtype), jnp.zeros(batch, dtype)


def rows_to_mix(chunk: PatternChunk, values: Array | None) -> Float[Array, "rows width"]:
    """The rows of a chunk, or their values. Rows of padding have no values, and no weight either."""
    return chunk.rows if values is None else jnp.take(values, chunk.index, axis=0, mode="clip")


def _online_softmax(
    stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, values: Array | None
) -> OnlineSoftmax:
    """The softmax of the rows of one device; every device holds all `values`."""

    add = lambda softmax, chunk: softmax.add(chunk, rows_to_mix(chunk, values))
    return stored.fold(add, OnlineSoftmax.empty(rows, query, values), rows, query, beta)


def no_scores(query: Query, k: int) -> tuple[Array, Array]:
    """The `k` largest scores of no rows, and their numbers."""
    shape, dtype = (query.states.shape[0], k), query.states.dtype
    # The lowest number rather than -inf, which minus itself is NaN. Rows of padding, of score -inf, rank below.
    return jnp.full(shape, jnp.finfo(dtype).min, dtype), jnp.full(shape, -1)


def with_chunk(largest: tuple[Array, Array], chunk: PatternChunk, k: int) -> tuple[Array, Array]:
    """The `k` largest scores, of those so far and those of the chunk, and the numbers of their patterns."""
    best, place = lax.top_k(chunk.scores, min(k, chunk.scores.shape[1]))
    scores = jnp.concatenate([largest[0], best], axis=1)
    return _largest(scores, jnp.concatenate([largest[1], chunk.index[place]], axis=1), k)


def _gathered(stored: ShardedPatterns, scores: Array, index: Array, k: int) -> tuple[Array, Array]:
    """The `k` largest scores of all devices."""
    if stored.mesh is None:
        return scores, index
    gather = lambda x: lax.all_gather(x, AXIS, axis=1, tiled=True)
    return _largest(gather(scores), gather(index), k)


def _largest(scores: Array, index: Array, k: int) -> tuple[Array, Array]:
    best, place = lax.top_k(scores, k)
    return best, jnp.take_along_axis(index, place, axis=1)
