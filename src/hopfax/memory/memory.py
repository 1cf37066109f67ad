"""A memory to use: store patterns, recall them from parts or from noise, save, load, spread over devices."""

import math
import warnings
from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Real, ScalarLike

from .._internal.checks import (
    check_patterns,
    as_real_array,
    require,
    require_kind,
    require_number,
    require_matrix,
    require_integer,
)
from ..solvers.equilibrium import Status
from .calibration import calibrate
from .files import read_memory, write_memory
from .modern import ModernHopfield
from .phase.classifier import Kind, split
from .phase.effective import mean_field_beta
from .phase.transitions import thresholds
from .similarities import AbstractSimilarity, Euclidean
from .streaming import Leaders, Rows, leaders, read, settle, step

_CONTRAST = 0.25  # as `analysis.phase.classify`
_SAMPLE = 4096  # patterns that the mean distance is estimated from


class AveragingWarning(UserWarning):
    """`beta` is so low that recall is expected to return the average of all patterns."""


class Recall(eqx.Module):
    """What was recalled: one entry for each query, NumPy arrays where the queries were NumPy arrays.

    `state`: the recalled values. `kind`: a `analysis.phase.Kind`: one pattern, a subset of them, or the
    global average. `index`: the pattern with the largest share. `members`: the patterns of the subset (or the
    one), by falling share, -1 after the last; all -1 for the global average. `size`: how many patterns are
    averaged over. `confidence`: `sum_i min(p_i, u_i)` with equal shares `u` for the members, 0 to 1: 1 for a
    state exactly of its kind (an upper bound for global averages). `share`: `p` of `index`. `steps`,
    `residual`, and `status`, a `Status`: `converged` or `max_steps`. `value`: `V^T p`, where values were
    stored.
    """

    state: Float[Array | np.ndarray, "*batch dimension"]
    kind: Int[Array | np.ndarray, "*batch"]
    index: Int[Array | np.ndarray, "*batch"]
    members: Int[Array | np.ndarray, "*batch candidates"]
    size: Int[Array | np.ndarray, "*batch"]
    confidence: Float[Array | np.ndarray, "*batch"]
    share: Float[Array | np.ndarray, "*batch"]
    steps: Int[Array | np.ndarray, "*batch"]
    residual: Float[Array | np.ndarray, "*batch"]
    status: Int[Array | np.ndarray, "*batch"]
    value: Float[Array | np.ndarray, "*batch outputs"] | None = None

    @property
    def converged(self) -> Bool[Array | np.ndarray, "*batch"]:
        """Which queries came to rest."""
        return self.status == Status.converged


class Memory(eqx.Module):
    """Patterns that are recalled by the modern Hopfield update, whatever their number.

    Made by `Memory.store` or `Memory.load`. One pass through the patterns a step, in chunks, so that memory
    does not grow with their number beyond the patterns themselves. `network()` is the same memory as a
    `ModernHopfield`. Softmax only, since that can be summed up in one pass: for other separations (sparsemax,
    entmax, polynomial) make a `ModernHopfield` with `separation=` and relax its `ham()`.
    """

    rows: Rows
    beta: Float[Array, ""]
    values: Float[Array, "values outputs"] | None = None

    @classmethod
    def store(
        cls,
        patterns: Real[Array | np.ndarray, "patterns dimension"],
        beta: ScalarLike | Literal["auto"] = "auto",
        *,
        values: Real[Array | np.ndarray, "values outputs"] | None = None,
        similarity: AbstractSimilarity = Euclidean(),
        chunk: int = 4096,
    ) -> "Memory":
        """A memory of patterns in rows.

        Args:
            beta: inverse temperature; "auto" takes `analysis.calibrate.calibrate(patterns).recall_beta`,
                at which 99 % of them are fixed points
                and no start ends at the average of all, found on a sample of at most 2,000 patterns.
            values: one row for each pattern, which is then a key: recall reads out their mixture.
            similarity: `Dot()`, or `Euclidean()`, for which patterns of small norm are recalled as well as
                others.
            chunk: rows passed through at once.
        Raises: `ValueError` for patterns that are not finite, fewer than two of them, values that are not
            finite or not one row for each, or `beta` not positive.
        Warns: `AveragingWarning` where a given `beta` is below the spinodal of equidistant patterns with the
            same number and mean distance, so that recall is likely to average over all of them.
        """
        check_patterns(patterns)
        require_integer("chunk", chunk, 1)
        require_kind("similarity", similarity, AbstractSimilarity, "Dot()")
        array = _floating(patterns)
        rows, outputs = Rows(array, similarity, array.shape[0], chunk), _values(values, array)
        if isinstance(beta, str):
            require(beta == "auto", f'`beta` must be "auto" or a positive number, got {beta!r}.')
            beta = calibrate(array, similarity=similarity).recall_beta
            return cls(rows, jnp.asarray(beta, array.dtype), outputs)
        _check_beta(beta)
        _warn_if_averaging(array, beta)
        return cls(rows, jnp.asarray(beta, array.dtype), outputs)

    @classmethod
    def spread(
        cls,
        patterns: Real[np.ndarray, "patterns dimension"],
        beta: ScalarLike,
        *,
        similarity: AbstractSimilarity = Euclidean(),
        chunk: int = 4096,
        devices: Sequence[Any] | None = None,
    ) -> "Memory":
        """A memory of patterns that no one device or process need hold: each reads its own rows.

        Args:
            patterns: on the host, best mapped from a file: `numpy.load(path, mmap_mode="r")`. Of several processes
                (`hopfax.parallel.processes.join`) each gives the same, and later the same queries.
            beta: inverse temperature; `analysis.calibrate.calibrate` of a sample gives one.
            devices: by default all there are, of all processes.
        Raises: `ValueError` for patterns that are not finite, fewer than two of them, or `beta` not positive.
        """
        require_matrix("patterns", patterns)
        require(len(patterns) >= 2, f"`patterns` must hold two rows or more, got {len(patterns)}.")
        require_integer("chunk", chunk, 1)
        require_kind("similarity", similarity, AbstractSimilarity, "Dot()")
        _check_beta(beta)
        rows = Rows.spread(patterns, similarity, _devices(devices), chunk)
        return cls(rows, jnp.asarray(beta, rows.patterns.dtype))

    @property
    def patterns(self) -> Float[Array, "patterns dimension"]:
        """The patterns, in rows."""
        return self.rows.patterns if self.rows.mesh is None else self.rows.patterns[: self.rows.count]

    def network(self) -> ModernHopfield:
        """The model: energy, Jacobian, stability, and the HAM."""
        return ModernHopfield(self.patterns, self.beta, similarity=self.rows.similarity, values=self.values)

    def recall(
        self,
        queries: Real[Array | np.ndarray, "*batch dimension"],
        known: Bool[Array | np.ndarray, "..."] | None = None,
        *,
        tolerance: float = 1e-5,
        max_steps: int = 100,
        candidates: int = 16,
    ) -> Recall:
        """Repeats the update from each query until it moves by at most `tolerance` of the largest pattern
        norm.

        Args:
            queries: one query, or a batch in rows; never changed.
            known: values of the queries to hold, of their shape or one mask for all. What is not held starts
                at the query's value, or where that is NaN, at what one step makes of the known values alone.
            candidates: how many patterns a subset may have; wider averages count as global.
        Raises: `ValueError` for queries of another width, values to hold that are not finite, NaN without
            `known`, or a mask of another shape.
        """
        width = self.rows.patterns.shape[1]
        require(
            np.ndim(queries) in (1, 2),
            f"`queries` has shape {np.shape(queries)}; give one row or a batch of rows.",
        )
        as_real_array("queries", queries)
        require(np.shape(queries)[0] > 0, f"`queries` has shape {np.shape(queries)}; give at least one.")
        require(
            np.shape(queries)[-1] == width,
            f"`queries` has {np.shape(queries)[-1]} values a row, patterns {width}.",
        )
        held = _mask(queries, known)
        _check_values(queries, held)
        require_integer("candidates", candidates, 1)
        require_number("tolerance", tolerance, lambda x: x >= 0, "a number, 0 or more")
        require_integer("max_steps", max_steps, 0)
        batch = jnp.atleast_2d(_floating(queries).astype(self.rows.patterns.dtype))
        hold = None if held is None else jnp.atleast_2d(held)
        found = _recall(self, batch, hold, jnp.asarray(tolerance), jnp.asarray(max_steps), candidates)
        found = found if np.ndim(queries) == 2 else jax.tree.map(lambda x: x[0], found)
        return jax.tree.map(np.asarray, found) if isinstance(queries, np.ndarray) else found

    def shard(self, devices: Sequence[Any] | None = None) -> "Memory":
        """The same memory with its patterns spread evenly over `devices`, by default all there are."""
        rows = self.rows.shard(_devices(devices))
        return Memory(rows, self.beta, self.values)

    def save(self, path: str | PathLike) -> None:
        """Writes a safetensors file, whole or not at all. Raises: `OSError` where it cannot be written."""
        values = None if self.values is None else np.asarray(self.values)
        write_memory(path, np.asarray(self.patterns), float(self.beta), self.rows.similarity, values)

    @classmethod
    def load(cls, path: str | PathLike, *, chunk: int = 4096) -> "Memory":
        """What `save` wrote. Raises: `ValueError` for a file that is none of these; `FileNotFoundError`."""
        require_integer("chunk", chunk, 1)
        patterns, beta, similarity, values = read_memory(path)
        rows = Rows(jnp.asarray(patterns), similarity, len(patterns), chunk)
        outputs = None if values is None else jnp.asarray(values)
        return cls(rows, jnp.asarray(beta, rows.patterns.dtype), outputs)


@eqx.filter_jit
def _recall(memory: Memory, queries, known, tolerance, max_steps, candidates) -> Recall:
    rows, beta = memory.rows, memory.beta
    start = queries
    if known is not None:
        missing = jnp.isnan(queries)
        start = jnp.where(missing, step(rows, jnp.where(missing, 0, queries), beta, known), queries)
    found = settle(rows, start, beta, known, tolerance=tolerance, max_steps=max_steps)
    status = jnp.where(found.converged, Status.converged, Status.max_steps)
    first = leaders(rows, found.state, beta, candidates + 1)
    kind, members, size, confidence = _classify(first, rows.count)
    index, share = first.index[:, 0], first.shares[:, 0]
    value = None if memory.values is None else read(rows, found.state, beta, memory.values)
    return Recall(
        found.state, kind, index, members, size, confidence, share, found.steps, found.residual, status, value
    )


def _classify(first: Leaders, n: int) -> tuple[Array, Array, Array, Array]:
    """Kind, members, size and confidence, by the rule of `analysis.phase.classify`."""
    shares, limit = first.shares, first.index.shape[1]
    size, contrast = jax.vmap(lambda p: split(p[: min(limit, n - 1)], n))(shares)
    # A best split at the last candidate means that the subset goes on beyond it.
    apart = (contrast >= _CONTRAST) & ((size < limit) | (limit >= n))
    kind = jnp.where(apart, jnp.where(size == 1, Kind.PATTERN, Kind.SUBSET), Kind.GLOBAL)
    size = jnp.where(apart, size, n)
    member = (jnp.arange(limit)[None, :] < size[:, None]) & apart[:, None]
    equal = (1 / size)[:, None].astype(shares.dtype)
    beyond = 1 - jnp.sum(jax.nn.relu(shares - equal), axis=1)
    confidence = jnp.where(apart, jnp.sum(jnp.where(member, jnp.minimum(shares, equal), 0), axis=1), beyond)
    members = jnp.where(member, first.index, -1)[:, : max(limit - 1, 1)]
    return kind, members, size, confidence


def _check_beta(beta: ScalarLike) -> None:
    require_number("beta", beta, lambda x: 0 < x < math.inf, "one number, positive and finite")


def _devices(devices: Sequence[Any] | None) -> list[Any]:
    """All there are, if none are given. Raises: `ValueError` for an empty list, or what is no device."""
    found = jax.devices() if devices is None else list(devices)
    if not found or not all(isinstance(device, jax.Device) for device in found):
        raise ValueError(f"`devices={devices!r}` must be a list of devices, such as `jax.devices()`.")
    return found


def _floating(values: Array | np.ndarray) -> Array:
    """As floating point of JAX's, integers in the default precision."""
    array = jnp.asarray(values)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def _values(values: Array | np.ndarray | None, patterns: Array) -> Array | None:
    """`values` in the precision of the patterns."""
    if values is None:
        return None
    require_matrix("values", values)
    count = np.shape(values)[0]
    require(count == len(patterns), f"`values` has {count} rows for {len(patterns)} patterns; give one each.")
    finite = isinstance(values, Tracer) or bool(np.isfinite(np.asarray(values)).all())
    require(finite, "`values` must be finite; leave out patterns whose values are not.")
    return jnp.asarray(values, patterns.dtype)


def _mask(queries: Array | np.ndarray, known: Array | np.ndarray | None) -> np.ndarray | Array | None:
    """`known` in the shape of the queries."""
    if known is None:
        return None
    shape = np.shape(queries)
    fits = np.shape(known) in (shape, shape[-1:])
    require(fits, f"`known` has shape {np.shape(known)}; it must be {shape} or {shape[-1:]}.")
    if not jnp.issubdtype(jnp.result_type(known), bool):
        raise ValueError("`known` must be bool, true for the values to hold; compare, as in `known > 0`.")
    return jnp.broadcast_to(known, shape)


def _check_values(queries: Array | np.ndarray, known: Array | np.ndarray | None) -> None:
    if isinstance(queries, Tracer):
        return
    values = np.atleast_2d(np.asarray(queries))
    held = np.ones_like(values, bool) if known is None else np.atleast_2d(np.asarray(known))
    bad = np.flatnonzero((np.isinf(values) | (np.isnan(values) & held)).any(axis=1))
    require(
        bad.size == 0,
        f"`queries` must be finite, or NaN where `known` is false; rows {bad[:5].tolist()} are not.",
    )


def _warn_if_averaging(patterns: Array, beta: ScalarLike) -> None:
    if isinstance(patterns, Tracer) or isinstance(beta, Tracer):
        return
    count, stride = patterns.shape[0], -(-patterns.shape[0] // _SAMPLE)
    given, needed = float(np.asarray(beta)), thresholds(count).spinodal
    effective = float(mean_field_beta(patterns[::stride], given))
    if effective < needed:
        warnings.warn(
            f"beta = {given:.4g} is an effective {effective:.3g} for these patterns, below the {needed:.3g} "
            f"at which {count} equidistant patterns become minima: recall is likely to average over all of "
            f'them. Try beta = {given * needed / max(effective, 1e-300):.4g}, or beta="auto".',
            AveragingWarning,
            stacklevel=3,
        )
