"""The modern Hopfield update over many patterns: one or a few passes per update, in chunks.

With patterns spread over several devices, each passes over its own rows, and maxima and sums are combined. The formulas
are those of `hopfax.ModernHopfield`; how the weights are computed is in `hopfax.memory.streams` and
`hopfax.memory.sparse_streams`.
"""

import functools as ft
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from ..lagrangians import Softmax
from ..lagrangians.thresholds import AbstractThreshold
from .epanechnikov import Epanechnikov
from .retrieval import Retrieval, repeat_update_of_batch
from .sharded import Beta, Query, ShardedPatterns, States
from .sparse_streams import EpanechnikovStream, ThresholdStream
from .streams import AbstractStream, SoftmaxStream, TopK, largest_scores

Known = Bool[Array, "batch dimension"]


@ft.singledispatch
def stream_of(separation: Any) -> AbstractStream:
    """The stream of a separation. Raises: `ValueError` for one that a memory cannot have."""
    known = "`Softmax`, `Sparsemax`, `Entmax`, `Normmax`, `KSubsets` and `Epanechnikov`"
    raise ValueError(
        f"`separation` {type(separation).__name__} is not one of those of a `Memory`, whose weights sum to one: "
        f"{known}. Others need bounded visible neurons; make a `ModernHopfield` and relax its `ham()`."
    )


@stream_of.register
def _(separation: Softmax) -> AbstractStream:
    return SoftmaxStream()


@stream_of.register
def _(separation: AbstractThreshold) -> AbstractStream:
    return ThresholdStream(separation)


@stream_of.register
def _(separation: Epanechnikov) -> AbstractStream:
    return EpanechnikovStream()


def update(stored: ShardedPatterns, states: States, beta: Beta, known: Known | None = None) -> States:
    """`x' = Xᵀ p` of each state, with the weights `p` of `beta (X x + t)`.

    With `known`, only these elements of the states are compared; the others have no influence.
    """
    return _mixture(stored, Query.of(states, known), beta, None)


def read(
    stored: ShardedPatterns, states: States, beta: Beta, values: Float[Array, "values outputs"]
) -> Float[Array, "batch outputs"]:
    """`Vᵀ p` of each state; `values` has a row for each pattern."""
    return _mixture(stored, Query.of(states), beta, values)


def top_k(stored: ShardedPatterns, states: States, beta: Beta, k: int) -> TopK:
    """The `k` patterns of largest weight, or all of them if there are fewer."""
    k = min(k, stored.count)

    def of_device(rows, query, beta):
        return stream_of(stored.separation).top_k(stored, rows, query, beta, k)

    return stored.on_every_device(of_device)(stored.patterns, Query.of(states), beta)


def most_similar(
    stored: ShardedPatterns, states: States, k: int, known: Known | None = None
) -> tuple[Float[Array, "batch k"], Int[Array, "batch k"]]:
    """The `k` largest similarities `X x + t` of each state in falling order, and the numbers of their patterns.

    No more are returned than there are rows, and where there are fewer patterns the last numbers are -1. `known` is as
    in `update`.
    """
    k = min(k, stored.count)

    def of_device(rows, query, beta):
        return largest_scores(stored, rows, query, beta, k)

    query = Query.of(states, known)
    return stored.on_every_device(of_device)(stored.patterns, query, jnp.ones((), states.dtype))


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
    return repeat_update_of_batch(
        step, start, known, scale=stored.scale(), tolerance=tolerance, max_steps=max_steps
    )


def _mixture(stored: ShardedPatterns, query: Query, beta: Beta, values: Array | None) -> Array:
    """The patterns, or the `values` where given, summed with the weights of each query."""

    def of_device(rows, arguments, beta):
        query, values = arguments
        return stream_of(stored.separation).mixture(stored, rows, query, beta, values)

    return stored.on_every_device(of_device)(stored.patterns, (query, values), beta)
