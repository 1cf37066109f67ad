"""Recall over many patterns: one pass through them a step, in chunks, with a running maximum.

A chunk's scores are gone before the next chunk's are made, so beyond the patterns memory grows with queries
times chunk, not with the number of patterns. Over several devices each passes through its own rows, and peaks
and sums are combined. Formulas as in `hopfax.ModernHopfield`; the running softmax is that of Milakov and
Gimelshein (2018), arXiv:1805.02867.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Real, ScalarLike

from .similarities import AbstractSimilarity

AXIS = "patterns"
States = Float[Array, "batch dimension"]
Beta = Float[Array, ""]


class Rows(eqx.Module):
    """Patterns in rows, as they are passed through: `count` of them, then rows of zeros to fill the devices.

    `chunk` is the largest number of rows at once; `mesh`, where there is one, has the single axis `AXIS`.
    """

    patterns: Float[Array, "rows dimension"]
    similarity: AbstractSimilarity
    count: int = eqx.field(static=True)
    chunk: int = eqx.field(static=True, default=4096)
    mesh: Mesh | None = eqx.field(static=True, default=None)

    def shard(self, devices: Sequence[Any]) -> "Rows":
        """The same rows spread evenly over `devices`."""
        mesh = Mesh(np.asarray(devices), (AXIS,))
        fill = -self.count % len(devices)
        padded = jnp.pad(self.patterns[: self.count], ((0, fill), (0, 0)))
        placed = jax.device_put(padded, NamedSharding(mesh, PartitionSpec(AXIS)))
        return Rows(placed, self.similarity, self.count, self.chunk, mesh)

    @staticmethod
    def spread(
        patterns: Real[np.ndarray, "patterns dimension"],
        similarity: AbstractSimilarity,
        devices: Sequence[Any],
        chunk: int = 4096,
    ) -> "Rows":
        """Rows on the host spread evenly over `devices`, of several processes too: each process reads its own.

        `patterns` may be mapped from a file, and need fit neither a process nor a device.
        Raises: `ValueError` for rows that are not finite.
        """
        mesh, count = Mesh(np.asarray(devices), (AXIS,)), len(patterns)
        shape = (count + -count % len(devices), patterns.shape[1])
        kind = patterns.dtype if np.issubdtype(patterns.dtype, np.floating) else float
        dtype = jnp.asarray(np.zeros(0, kind)).dtype  # as JAX has it
        part: Callable = lambda rows: _part(patterns, rows[0], dtype)
        placed = jax.make_array_from_callback(shape, NamedSharding(mesh, PartitionSpec(AXIS)), part)
        return Rows(placed, similarity, count, chunk, mesh)

    def mean(self) -> Float[Array, " dimension"]:
        """The mean of the patterns; the rows that only fill are zero."""
        return jnp.sum(self.patterns, axis=0) / self.count

    def scale(self) -> Float[Array, ""]:
        """The largest norm of a pattern, the unit of distances."""
        return jnp.sqrt(jnp.max(jnp.sum(jnp.square(self.patterns), axis=1)))


def _part(patterns: np.ndarray, rows: slice, dtype: Any) -> np.ndarray:
    """Some rows, zeros after the last."""
    start, stop, _ = rows.indices(rows.stop if rows.stop is not None else len(patterns))
    some = np.asarray(patterns[start:stop], dtype)
    if not np.isfinite(some).all():
        raise ValueError(f"`patterns` must be finite; rows {start} to {stop} hold NaN or infinity.")
    return np.pad(some, ((0, stop - start - len(some)), (0, 0)))


class Tally(eqx.Module):
    """Softmax in progress: largest score, `sum exp(score - peak)`, and patterns summed with those weights."""

    peak: Float[Array, " batch"]
    total: Float[Array, " batch"]
    mixture: Float[Array, "batch width"]


class Leaders(eqx.Module):
    """The largest scores in falling order and whose they are, with the sum over all to make shares of
    them.
    """

    scores: Float[Array, "batch leaders"]
    index: Int[Array, "batch leaders"]
    total: Float[Array, " batch"]

    @property
    def shares(self) -> Float[Array, "batch leaders"]:
        """`p` of the leaders."""
        return jnp.exp(self.scores - self.scores[:, :1]) / self.total[:, None]


class Settled(eqx.Module):
    """Where queries came to rest; `residual` is the last step over the largest pattern norm."""

    state: States
    residual: Float[Array, " batch"]
    steps: Int[Array, " batch"]
    converged: Bool[Array, " batch"]


def step(
    rows: Rows, states: States, beta: Beta, known: Bool[Array, "batch dimension"] | None = None
) -> States:
    """`x' = X^T softmax(beta (X x + t))` of each state, in one pass; with `known`, only those values are
    compared.
    """
    return _mix(rows, _query(states, known), beta, None)


def read(
    rows: Rows, states: States, beta: Beta, values: Float[Array, "values outputs"]
) -> Float[Array, "batch outputs"]:
    """`V^T softmax(beta (X x + t))` of each state, in one pass; `values` has a row for each pattern."""
    return _mix(rows, _query(states, None), beta, values)


def _mix(rows: Rows, query: "_Query", beta: Beta, values: Array | None) -> Array:
    """Patterns, or `values` where given, summed with the shares of each query."""

    def part(patterns, asked, beta):
        found = _tally(rows, patterns, asked[0], beta, asked[1])
        whole = lax.pmax(found.peak, AXIS) if rows.mesh else found.peak
        weight = jnp.exp(found.peak - whole)
        mixture, total = _sum(rows, (found.mixture * weight[:, None], found.total * weight))
        return mixture / total[:, None]

    return _spread(rows, part)(rows.patterns, (query, values), beta)


def leaders(rows: Rows, states: States, beta: Beta, count: int) -> Leaders:
    """The `count` patterns with the largest shares (all, if there are fewer), in one pass."""
    count = min(count, rows.count)

    def part(patterns, states, beta):
        found = _leaders(rows, patterns, _query(states, None), beta, count)
        if rows.mesh is None:
            return found
        gather = lambda x: lax.all_gather(x, AXIS, axis=1, tiled=True)
        scores, index = _best(gather(found.scores), gather(found.index), count)
        total = lax.psum(found.total * jnp.exp(found.scores[:, 0] - scores[:, 0]), AXIS)
        return Leaders(scores, index, total)

    return _spread(rows, part)(rows.patterns, states, beta)


def settle(
    rows: Rows,
    states: States,
    beta: Beta,
    known: Bool[Array, "batch dimension"] | None = None,
    *,
    tolerance: ScalarLike = 1e-5,
    max_steps: ScalarLike = 100,
) -> Settled:
    """Steps until each state moves by at most `tolerance` of the largest pattern norm; then it moves no more.

    Values at `known` stay as they are: the rest still descends in energy.
    """
    scale = rows.scale()

    def advance(carry):
        state, residual, steps, count = carry
        new = step(rows, state, beta)
        new = new if known is None else jnp.where(known, states, new)
        moving = residual > tolerance
        moved = jnp.linalg.norm(new - state, axis=1) / jnp.where(scale > 0, scale, 1)
        state = jnp.where(moving[:, None], new, state)
        return state, jnp.where(moving, moved, residual), steps + moving, count + 1

    def going(carry):
        return jnp.any(carry[1] > tolerance) & (carry[3] < max_steps)

    batch = states.shape[0]
    first = (states, jnp.full(batch, jnp.inf, states.dtype), jnp.zeros(batch, int), 0)
    state, residual, steps, _ = lax.while_loop(going, advance, first)
    return Settled(state, residual, steps, residual <= tolerance)


class _Query(eqx.Module):
    """States as they are compared: zero where not known, and 1 or 0 for each value where something is not."""

    states: States
    known: States | None


def _query(states: States, known: Bool[Array, "batch dimension"] | None) -> _Query:
    if known is None:
        return _Query(states, None)
    return _Query(jnp.where(known, states, 0), known.astype(states.dtype))


def _tally(rows: Rows, patterns: Array, query: _Query, beta: Beta, values: Array | None) -> Tally:
    """`Tally` of the rows on this device; `values`, all of them on each, are summed in place of patterns."""

    def add(tally, chunk):
        some, scores, index = chunk
        # Rows that only fill have no values, and no weight either.
        some = some if values is None else jnp.take(values, index, axis=0, mode="clip")
        peak = jnp.maximum(tally.peak, jnp.max(scores, axis=1))
        weights, old = jnp.exp(scores - peak[:, None]), jnp.exp(tally.peak - peak)
        total = tally.total * old + jnp.sum(weights, axis=1)
        return Tally(peak, total, tally.mixture * old[:, None] + weights @ some)

    states = query.states
    batch, dtype = states.shape[0], states.dtype
    width = (patterns if values is None else values).shape[1]
    # The lowest number rather than -inf, which less itself would be NaN where all scores are -inf.
    first = Tally(
        jnp.full(batch, jnp.finfo(dtype).min, dtype),
        jnp.zeros(batch, dtype),
        jnp.zeros((batch, width), dtype),
    )
    return _over_chunks(rows, patterns, query, beta, add, first)


def _leaders(rows: Rows, patterns: Array, query: _Query, beta: Beta, count: int) -> Leaders:
    """`Leaders` among the rows on this device."""

    def add(found, chunk):
        _, scores, index = chunk
        best, place = lax.top_k(scores, min(count, scores.shape[1]))
        both = jnp.concatenate([found.scores, best], axis=1)
        kept, owner = _best(both, jnp.concatenate([found.index, index[place]], axis=1), count)
        total = found.total * jnp.exp(found.scores[:, 0] - kept[:, 0])
        return Leaders(kept, owner, total + jnp.sum(jnp.exp(scores - kept[:, :1]), axis=1))

    shape, dtype = (query.states.shape[0], count), query.states.dtype
    none = jnp.full(shape, jnp.finfo(dtype).min, dtype)
    first = Leaders(none, jnp.zeros(shape, int), jnp.zeros(shape[0], dtype))
    return _over_chunks(rows, patterns, query, beta, add, first)


def _over_chunks(rows: Rows, patterns: Array, query: _Query, beta: Beta, add, first):
    """Folds `add` over (patterns, scores, numbers) of one chunk after another.

    Chunks are of one size, so the last may reach back over rows already seen, whose scores are then -inf, as
    are those of rows that only fill.
    """
    here = patterns.shape[0]
    chunks = math.ceil(here / rows.chunk)
    size = math.ceil(here / chunks)
    offset = lax.axis_index(AXIS) * here if rows.mesh else 0
    uneven = chunks * size != here or rows.patterns.shape[0] != rows.count
    scaled = query.states * beta

    def fold(carry, i):
        start = jnp.minimum(i * size, here - size)
        some = lax.dynamic_slice_in_dim(patterns, start, size)
        place = start + jnp.arange(size)
        scores = scaled @ some.T + beta * _thresholds(rows.similarity, some, query.known)
        if uneven:
            fresh = (place >= i * size) & (place + offset < rows.count)
            scores = jnp.where(fresh[None, :], scores, -jnp.inf)
        return add(carry, (some, scores, place + offset)), None

    return lax.scan(fold, first, jnp.arange(chunks))[0]


def _thresholds(similarity: AbstractSimilarity, patterns: Array, known: Array | None) -> Array:
    return (
        similarity.thresholds(patterns)[None, :]
        if known is None
        else similarity.marginal_thresholds(patterns, known)
    )


def _spread(rows: Rows, part):
    """`part` on every device of the mesh, each with its own rows; results are the same on all."""
    if rows.mesh is None:
        return part
    everywhere = PartitionSpec()
    # Carries of a scan start out alike on all devices and end up different, which the check does not follow.
    return jax.shard_map(
        part,
        mesh=rows.mesh,
        in_specs=(PartitionSpec(AXIS), everywhere, everywhere),
        out_specs=everywhere,
        check_vma=False,
    )


def _sum(rows: Rows, values):
    return lax.psum(values, AXIS) if rows.mesh else values


def _best(scores: Array, index: Array, count: int) -> tuple[Array, Array]:
    best, place = lax.top_k(scores, count)
    return best, jnp.take_along_axis(index, place, axis=1)
