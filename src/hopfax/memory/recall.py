"""Recall from a memory: where each query converges, and which patterns that state consists of."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Real, ScalarLike

from .._internal.checks import as_real_array, require
from ..solvers.equilibrium import Status
from .inputs import as_array, check_known
from .metric import Mahalanobis
from .phase.classification import LEAST_CONTRAST, StateKind, split
from .retrieval import Retrieval
from .sharded import Beta, ShardedPatterns
from .streaming import read, retrieve, top_k
from .streams import TopK


class Recall(eqx.Module):
    """What a memory recalled: one entry for each query, NumPy arrays where the queries were NumPy arrays.

    Args:
        state: the recalled values.
        kind: a `phase.StateKind`: one pattern, the average of a subset of them, or the average of all.
        index: the pattern with the largest weight.
        members: the patterns of the subset (or the one), by falling weight, -1 after the last; all -1 for the
            average of all.
        size: how many patterns are averaged.
        confidence: `Σ min(p_i, u_i)` with equal weights `u` for the members, from 0 to 1: 1 for a state
            exactly of its kind. An upper bound for averages of all patterns.
        weight: the retrieval weight `p` of `index`.
        steps: how many updates were made.
        residual: the length of the last update, divided by the largest norm of a pattern.
        status: a `Status`: `converged` or `max_steps`.
        value: `Vᵀ p`, where values were stored.
    """

    state: Float[Array | np.ndarray, "*batch dimension"]
    kind: Int[Array | np.ndarray, "*batch"]
    index: Int[Array | np.ndarray, "*batch"]
    members: Int[Array | np.ndarray, "*batch candidates"]
    size: Int[Array | np.ndarray, "*batch"]
    confidence: Float[Array | np.ndarray, "*batch"]
    weight: Float[Array | np.ndarray, "*batch"]
    steps: Int[Array | np.ndarray, "*batch"]
    residual: Float[Array | np.ndarray, "*batch"]
    status: Int[Array | np.ndarray, "*batch"]
    value: Float[Array | np.ndarray, "*batch outputs"] | None = None

    @property
    def converged(self) -> Bool[Array | np.ndarray, "*batch"] | np.bool_:
        """Which queries converged to a fixed point."""
        return self.status == Status.converged


@eqx.filter_jit
def recall_batch(
    stored: ShardedPatterns,
    beta: Beta,
    values: Float[Array, "values outputs"] | None,
    metric: Mahalanobis | None,
    queries: Float[Array, "batch dimension"],
    known: Bool[Array, "batch dimension"] | None,
    *,
    limits: tuple[ScalarLike, ScalarLike],
    candidates: int,
) -> Recall:
    """Recalls a batch; `limits` are the tolerance and the largest number of updates, as in `Memory.recall`."""
    if metric is None or known is None:  # `Memory.recall` asks for `known` where there is a metric
        result = retrieve(stored, queries, beta, known, tolerance=limits[0], max_steps=limits[1])
        top = top_k(stored, result.state, beta, candidates + 1)
        value = None if values is None else read(stored, result.state, beta, values)
    else:
        state, top, value = metric.complete(stored, queries, known, beta, values, candidates + 1)
        result = _one_step(state)
    kind, members, size, confidence = classify(top, stored.number, stored.count)
    return Recall(
        state=result.state,
        kind=kind,
        index=top.index[:, 0],
        members=members,
        size=size,
        confidence=confidence,
        weight=top.weights[:, 0],
        steps=result.steps,
        residual=result.residual,
        status=jnp.where(result.converged, Status.converged, Status.max_steps),
        value=value,
    )


def _one_step(state: Float[Array, "batch dimension"]) -> Retrieval:
    """The retrieval of a conditional mean, which takes one step."""
    batch = len(state)
    converged = jnp.ones(batch, bool)
    return Retrieval(state, jnp.zeros(batch, state.dtype), jnp.ones(batch, int), converged)


def check_queries(
    queries: Real[Array | np.ndarray, "*batch dimension"],
    known: Bool[Array | np.ndarray, "..."] | None,
    width: int,
) -> tuple[Array | np.ndarray, Array | np.ndarray | None]:
    """The queries as an array, and `known` in their shape.

    Raises: `ValueError` for queries of another width, known elements that are not finite, NaN without `known`, or
    a mask of another shape.
    """
    array = as_array("queries", queries)
    shape = array.shape
    require(len(shape) in (1, 2), f"`queries` has shape {shape}; give one row or a batch of rows.")
    as_real_array("queries", array)
    require(shape[0] > 0, f"`queries` has shape {shape}; give at least one.")
    require(
        shape[-1] == width,
        f"`queries` has {shape[-1]} elements in a row, the patterns have {width}; give as many.",
    )
    mask = None if known is None else check_known(array, known)
    _require_finite(array, mask)
    return array, mask


def _require_finite(queries: Array | np.ndarray, known: Array | np.ndarray | None) -> None:
    if isinstance(queries, Tracer) or isinstance(known, Tracer):
        return
    bad = ~np.isfinite(np.atleast_2d(np.asarray(queries)))
    rows = np.flatnonzero((bad if known is None else bad & np.atleast_2d(np.asarray(known))).any(axis=1))
    require(
        rows.size == 0,
        f"`queries` must be finite where `known` is true or not given; rows {rows[:5].tolist()} are not. Mark "
        "missing elements, as in `known=~np.isnan(queries)`.",
    )


def classify(top: TopK, n: int | Int[Array, ""], capacity: int) -> tuple[Array, Array, Array, Array]:
    """Kind, members, size and confidence, by the rule of `phase.classify`, of `n` patterns in `capacity` rows."""
    weights, limit = top.weights, top.index.shape[1]
    size, contrast = jax.vmap(lambda p: split(p[: min(limit, capacity - 1)], n))(weights)
    # A best split at the last candidate means that the subset continues beyond it.
    apart = (contrast >= LEAST_CONTRAST) & ((size < limit) | (limit >= n))
    kind = jnp.where(apart, jnp.where(size == 1, StateKind.PATTERN, StateKind.SUBSET), StateKind.GLOBAL)
    size = jnp.where(apart, size, n)
    member = (jnp.arange(limit)[None, :] < size[:, None]) & apart[:, None]
    equal = (1 / size)[:, None].astype(weights.dtype)
    of_members = jnp.sum(jnp.where(member, jnp.minimum(weights, equal), 0), axis=1)
    of_all = 1 - jnp.sum(jax.nn.relu(weights - equal), axis=1)
    members = jnp.where(member, top.index, -1)[:, : max(limit - 1, 1)]
    return kind, members, size, jnp.where(apart, of_members, of_all)
