"""The modern Hopfield update over many patterns: one pass per update, in chunks, with a running softmax.

With patterns spread over several devices, each passes over its own rows, and the running maxima and sums are
combined. The formulas are those of `hopfax.ModernHopfield`; the running softmax is that of Milakov and Gimelshein
(2018), arXiv:1805.02867.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from .retrieval import Retrieval, repeat_update
from .sharded import AXIS, Beta, PatternChunk, Query, ShardedPatterns, States

Known = Bool[Array, "batch dimension"]


class OnlineSoftmax(eqx.Module):
    """A softmax over the rows so far: the largest score, `Σ exp(score - peak)`, and the rows so weighted."""

    peak: Float[Array, " batch"]
    total: Float[Array, " batch"]
    mixture: Float[Array, "batch width"]


class TopK(eqx.Module):
    """The largest scores in falling order, the numbers of their patterns, and `Σ exp(score - largest)` of all."""

    scores: Float[Array, "batch k"]
    index: Int[Array, "batch k"]
    total: Float[Array, " batch"]

    @property
    def weights(self) -> Float[Array, "batch k"]:
        """The retrieval weights `p` of these patterns."""
        return jnp.exp(self.scores - self.scores[:, :1]) / self.total[:, None]


def update(stored: ShardedPatterns, states: States, beta: Beta, known: Known | None = None) -> States:
    """`x' = Xᵀ softmax(beta (X x + t))` of each state, in one pass.

    With `known`, only these elements of the states are compared; the others have no influence.
    """
    return _mixture(stored, Query.of(states, known), beta, None)


def read(
    stored: ShardedPatterns, states: States, beta: Beta, values: Float[Array, "values outputs"]
) -> Float[Array, "batch outputs"]:
    """`Vᵀ softmax(beta (X x + t))` of each state, in one pass; `values` has a row for each pattern."""
    return _mixture(stored, Query.of(states), beta, values)


def top_k(stored: ShardedPatterns, states: States, beta: Beta, k: int, known: Known | None = None) -> TopK:
    """The `k` patterns of largest weight, or all of them if there are fewer, in one pass; `known` as in `update`."""
    k = min(k, stored.count)

    def of_device(rows, query, beta):
        result = _top_k(stored, rows, query, beta, k)
        if stored.mesh is None:
            return result
        gather = lambda x: lax.all_gather(x, AXIS, axis=1, tiled=True)
        scores, index = _largest(gather(result.scores), gather(result.index), k)
        total = stored.sum(result.total * jnp.exp(result.scores[:, 0] - scores[:, 0]))
        return TopK(scores, index, total)

    return stored.on_every_device(of_device)(stored.patterns, Query.of(states, known), beta)


def retrieve(
    stored: ShardedPatterns,
    states: States,
    beta: Beta,
    known: Known | None = None,
    *,
    tolerance: ScalarLike = 1e-5,
    max_steps: ScalarLike = 100,
) -> Retrieval:
    """Repeats `update` from each state until its step is at most `tolerance` times the largest pattern norm.

    With `known`, these elements keep their values. The others start from one update that compares the known
    elements alone, whatever `states` holds there, and then descend in energy.
    """
    start = states if known is None else jnp.where(known, states, update(stored, states, beta, known))
    step = lambda state: update(stored, state, beta)
    return repeat_update(step, start, known, scale=stored.scale(), tolerance=tolerance, max_steps=max_steps)


def _mixture(stored: ShardedPatterns, query: Query, beta: Beta, values: Array | None) -> Array:
    """The patterns, or the `values` where given, summed with the weights of each query."""

    def of_device(rows, arguments, beta):
        query, values = arguments
        softmax = _online_softmax(stored, rows, query, beta, values)
        factor = jnp.exp(softmax.peak - stored.max(softmax.peak))
        mixture, total = stored.sum((softmax.mixture * factor[:, None], softmax.total * factor))
        return mixture / total[:, None]

    return stored.on_every_device(of_device)(stored.patterns, (query, values), beta)


def _online_softmax(
    stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, values: Array | None
) -> OnlineSoftmax:
    """The softmax of the rows of one device; every device holds all `values`."""

    def add(softmax: OnlineSoftmax, chunk: PatternChunk) -> OnlineSoftmax:
        # Rows of padding have no values, and no weight either.
        mixed = chunk.rows if values is None else jnp.take(values, chunk.index, axis=0, mode="clip")
        peak = jnp.maximum(softmax.peak, jnp.max(chunk.scores, axis=1))
        weights, decay = jnp.exp(chunk.scores - peak[:, None]), jnp.exp(softmax.peak - peak)
        total = softmax.total * decay + jnp.sum(weights, axis=1)
        return OnlineSoftmax(peak, total, softmax.mixture * decay[:, None] + weights @ mixed)

    batch, dtype = query.states.shape[0], query.states.dtype
    width = (rows if values is None else values).shape[1]
    # The lowest number rather than -inf, which minus itself is NaN where all scores are -inf.
    first = OnlineSoftmax(
        jnp.full(batch, jnp.finfo(dtype).min, dtype),
        jnp.zeros(batch, dtype),
        jnp.zeros((batch, width), dtype),
    )
    return stored.fold(add, first, rows, query, beta)


def _top_k(stored: ShardedPatterns, rows: Array, query: Query, beta: Beta, k: int) -> TopK:
    """The largest scores among the rows of one device."""

    def add(top: TopK, chunk: PatternChunk) -> TopK:
        best, place = lax.top_k(chunk.scores, min(k, chunk.scores.shape[1]))
        scores = jnp.concatenate([top.scores, best], axis=1)
        scores, index = _largest(scores, jnp.concatenate([top.index, chunk.index[place]], axis=1), k)
        total = top.total * jnp.exp(top.scores[:, 0] - scores[:, 0])
        return TopK(scores, index, total + jnp.sum(jnp.exp(chunk.scores - scores[:, :1]), axis=1))

    shape, dtype = (query.states.shape[0], k), query.states.dtype
    lowest = jnp.full(shape, jnp.finfo(dtype).min, dtype)
    first = TopK(lowest, jnp.zeros(shape, int), jnp.zeros(shape[0], dtype))
    return stored.fold(add, first, rows, query, beta)


def _largest(scores: Array, index: Array, k: int) -> tuple[Array, Array]:
    best, place = lax.top_k(scores, k)
    return best, jnp.take_along_axis(index, place, axis=1)
