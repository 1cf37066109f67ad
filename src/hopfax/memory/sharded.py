"""Patterns in chunks, on one device or spread over several: how a memory passes over them once.

The scores of a chunk are discarded before those of the next chunk are computed, so the working memory grows with
the number of queries times the size of a chunk, not with the number of patterns.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Real

from ..lagrangians import AbstractLagrangian, Softmax
from .epanechnikov import Epanechnikov
from .retrieval import largest_norm
from .similarities import AbstractSimilarity

AXIS = "patterns"
States = Float[Array, "batch dimension"]
Beta = Float[Array, ""]
Carry = TypeVar("Carry")
Separation = AbstractLagrangian | Epanechnikov


class ShardedPatterns(eqx.Module):
    """Patterns in rows: `count` rows, followed by rows of zeros that make the devices' shares equal.

    Args:
        patterns: the rows, spread over the devices of `mesh` where there is one.
        similarity: how a state is compared with them.
        count: the number of rows that are patterns, or in reserve for more.
        chunk: the largest number of rows compared at once.
        mesh: a mesh with the single axis `AXIS`.
        separation: how the weights follow from the scores, at `beta = 1`.
        filled: how many of the `count` rows are patterns; those after them are in reserve, and zero. None for all.
    """

    patterns: Float[Array, "rows dimension"]
    similarity: AbstractSimilarity
    count: int = eqx.field(static=True)
    chunk: int = eqx.field(static=True, default=4096)
    mesh: Mesh | None = eqx.field(static=True, default=None)
    separation: Separation = Softmax(1.0)
    filled: Int[Array, ""] | None = None

    @property
    def number(self) -> int | Int[Array, ""]:
        """The number of patterns."""
        return self.count if self.filled is None else self.filled

    def with_rows(self, rows: Float[Array, "rows dimension"], number: int) -> "ShardedPatterns":
        """Other rows in place of these: the first `number` are patterns, those after them zero, in reserve for more."""
        return dataclasses.replace(self, patterns=rows, count=len(rows), filled=jnp.asarray(number))

    def shard(self, devices: Sequence[Any]) -> "ShardedPatterns":
        """The same patterns, spread evenly over `devices`."""
        mesh = Mesh(np.asarray(devices), (AXIS,))
        padded = jnp.pad(self.patterns[: self.count], ((0, -self.count % len(devices)), (0, 0)))
        placed = jax.device_put(padded, NamedSharding(mesh, PartitionSpec(AXIS)))
        return dataclasses.replace(self, patterns=placed, mesh=mesh)

    @staticmethod
    def from_host(
        patterns: Real[np.ndarray, "patterns dimension"],
        similarity: AbstractSimilarity,
        devices: Sequence[Any],
        chunk: int = 4096,
        separation: Separation = Softmax(1.0),
    ) -> "ShardedPatterns":
        """Patterns on the host, spread evenly over `devices`; each of several processes reads its own rows.

        `patterns` may be mapped from a file, and need not fit into the memory of one process or device.
        Raises: `ValueError` for rows that are not finite.
        """
        mesh, count = Mesh(np.asarray(devices), (AXIS,)), len(patterns)
        shape = (count + -count % len(devices), patterns.shape[1])
        floating = np.issubdtype(patterns.dtype, np.floating)
        dtype = jax.dtypes.canonicalize_dtype(patterns.dtype.newbyteorder("=") if floating else float)
        read: Callable = lambda index: _padded_rows(patterns, index[0], dtype)
        placed = jax.make_array_from_callback(shape, NamedSharding(mesh, PartitionSpec(AXIS)), read)
        return ShardedPatterns(placed, similarity, count, chunk, mesh, separation)

    def mean(self) -> Float[Array, " dimension"]:
        """The mean of the patterns; rows of padding are zero."""
        return jnp.sum(self.patterns, axis=0) / self.number

    def scale(self) -> Float[Array, ""]:
        """`largest_norm` of the patterns; rows of padding are zero."""
        return largest_norm(self.patterns)

    def on_every_device(self, function: Callable) -> Callable:
        """`function(rows, arguments, beta)` on each device with its own rows; its result is the same on all."""
        if self.mesh is None:
            return function
        replicated = PartitionSpec()
        # The carry of a scan starts out equal on all devices and ends different, which the check does not follow.
        return jax.shard_map(
            function,
            mesh=self.mesh,
            in_specs=(PartitionSpec(AXIS), replicated, replicated),
            out_specs=replicated,
            check_vma=False,
        )

    def sum(self, values: Carry) -> Carry:
        """The sum of `values` over the devices."""
        return lax.psum(values, AXIS) if self.mesh else values

    def max(self, values: Array) -> Array:
        """The largest of `values` over the devices."""
        return lax.pmax(values, AXIS) if self.mesh else values

    def fold(
        self,
        add: Callable[[Carry, "PatternChunk"], Carry],
        first: Carry,
        rows: Float[Array, "rows dimension"],
        query: "Query",
        beta: Beta,
    ) -> Carry:
        """Folds `add` over the chunks of the `rows` of one device.

        Chunks have one size, so the last one may contain rows of the one before; these, and rows of padding, get
        the score -inf.
        """
        total = rows.shape[0]
        chunks = math.ceil(total / self.chunk)
        size = math.ceil(total / chunks)
        offset = lax.axis_index(AXIS) * total if self.mesh else 0
        padded = self.patterns.shape[0] != self.count or self.filled is not None
        overlapping = chunks * size != total
        scaled = query.states * beta

        def step(carry, i):
            start = jnp.minimum(i * size, total - size)
            chunk = lax.dynamic_slice_in_dim(rows, start, size)
            place = start + jnp.arange(size)
            scores = scaled @ chunk.T + beta * query.thresholds(self.similarity, chunk)
            if overlapping or padded:
                fresh = (place >= i * size) & (place + offset < self.number)
                scores = jnp.where(fresh[None, :], scores, -jnp.inf)
            return add(carry, PatternChunk(chunk, scores, place + offset)), None

        return lax.scan(step, first, jnp.arange(chunks))[0]


class PatternChunk(eqx.Module):
    """Some rows, their scores `beta (x_i · x + t_i)` for each query, and their numbers among all rows."""

    rows: Float[Array, "rows dimension"]
    scores: Float[Array, "batch rows"]
    index: Int[Array, " rows"]


class Query(eqx.Module):
    """States to compare with patterns: zero where unknown, with `known` 1 or 0 where some elements are unknown."""

    states: States
    known: States | None

    @staticmethod
    def of(states: States, known: Bool[Array, "batch dimension"] | None = None) -> "Query":
        """The states, compared on all of their elements or on those that are `known`."""
        if known is None:
            return Query(states, None)
        return Query(jnp.where(known, states, 0), known.astype(states.dtype))

    def thresholds(
        self, similarity: AbstractSimilarity, rows: Float[Array, "rows dimension"]
    ) -> Float[Array, "batch rows"]:
        """The thresholds of `rows` for each state; the same for all states where everything is known."""
        if self.known is None:
            return similarity.thresholds(rows)[None, :]
        return similarity.marginal_thresholds(rows, self.known)


def _padded_rows(patterns: np.ndarray, index: slice, dtype: Any) -> np.ndarray:
    """The rows of `index`, with zeros after the last pattern. Raises: `ValueError` for rows that are not finite."""
    start, stop, _ = index.indices(index.stop if index.stop is not None else len(patterns))
    rows = np.asarray(patterns[start:stop], dtype)
    if not np.isfinite(rows).all():
        raise ValueError(f"`patterns` must be finite; rows {start} to {stop} hold NaN or infinity.")
    return np.pad(rows, ((0, stop - start - len(rows)), (0, 0)))
