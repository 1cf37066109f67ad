"""A memory whose patterns stay in a file: every update reads them once, in chunks.

The weights are those of `hopfax.memory.streams`; here the loop over chunks runs on the host.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from .._internal.checks import as_integer, require, require_integer, require_matrix
from ..solvers.equilibrium import Status
from .inputs import check_beta, check_limits
from .recall import Recall, check_queries, classify
from .sharded import PatternChunk
from .similarities import Euclidean
from .streams import OnlineSoftmax, TopK, with_chunk

States = Float[Array, "batch dimension"]


class MappedMemory(eqx.Module):
    """Patterns in a file, recalled by the softmax of squared distances without loading all of them.

    Recall is that of `Memory(similarity=Euclidean())`. An update needs the room of one chunk, and the time to read
    all patterns once; `IndexedMemory` reads only those near to a query.

    Args:
        patterns: in rows, mapped from a file: `numpy.load(path, mmap_mode="r")`. Rows that are not finite are found
            when they are read.
        beta: inverse temperature; `memory.calibrate` of a sample gives one.
        chunk: how many rows are read at once.
    Raises: `ValueError` for what is no matrix of numbers or has fewer than two rows, a `beta` that is not positive,
        and a `chunk` below 1.
    """

    patterns: Real[np.ndarray, "patterns dimension"]
    beta: float
    chunk: int = 65_536

    def __check_init__(self):
        require_matrix("patterns", self.patterns)
        require(len(self.patterns) >= 2, f"`patterns` must hold two rows or more, got {len(self.patterns)}.")
        check_beta(self.beta)
        require_integer("chunk", self.chunk, 1)

    def require_distances(self) -> None:
        """The weights always are a softmax of squared Euclidean distances."""

    def recall(
        self,
        queries: Real[Array | np.ndarray, "*batch dimension"],
        *,
        tolerance: float = 1e-5,
        max_steps: int = 100,
        candidates: int = 16,
    ) -> Recall:
        """Repeats the update from each query until it converges, as `Memory.recall`. The results are NumPy arrays.

        Raises: `ValueError` for queries that do not fit, limits out of range, and patterns that are not finite.
        """
        array, _ = check_queries(queries, None, self.patterns.shape[1])
        check_limits(tolerance, max_steps, least=1)
        states = jnp.atleast_2d(jnp.asarray(array, self._dtype()))
        last, limit = _Progress.begin(states), jnp.asarray(tolerance)
        for _ in range(max_steps):
            if not bool(jnp.any(last.residual > tolerance)):
                break
            last = last.step(self._read(last.states, 0), limit)
        result = self._described(last, tolerance, as_integer("candidates", candidates, 1))
        return result if array.ndim == 2 else jax.tree.map(lambda x: np.asarray(x[0]), result)

    def _dtype(self) -> Any:
        """That of the patterns, but float32 at least."""
        floating = np.issubdtype(self.patterns.dtype, np.floating)
        kind = np.result_type(self.patterns.dtype, np.float32) if floating else float
        return jax.dtypes.canonicalize_dtype(kind)

    def _read(self, states: States, k: int) -> "_Pass":
        """One pass over all patterns, for the next states and the `k` largest scores."""
        beta = jnp.asarray(self.beta, states.dtype)
        result = _Pass.begin(states, k)
        for start in range(0, len(self.patterns), self.chunk):
            rows = jnp.asarray(self.patterns[start : start + self.chunk], states.dtype)
            result = result.add(rows, jnp.asarray(start), states, beta, k)
        require(
            bool(jnp.isfinite(result.norm)),
            "`patterns` must be finite; a row holds NaN or infinity. Leave it out.",
        )
        return result

    def _described(self, last: "_Progress", tolerance: float, candidates: int) -> Recall:
        """What the last states consist of."""
        count = len(self.patterns)
        top = self._read(last.states, min(candidates + 1, count)).top_k()
        kind, members, size, confidence = classify(top, count, count)
        status = jnp.where(last.residual <= tolerance, Status.converged, Status.max_steps)
        fields = (last.states, kind, top.index[:, 0], members, size, confidence, top.weights[:, 0])
        return Recall(*map(np.asarray, (*fields, last.steps, last.residual, status)))


class _Progress(eqx.Module):
    """States on their way, how often each was updated, and the length of its last step in the unit of the patterns."""

    states: States
    steps: Int[Array, " batch"]
    residual: Float[Array, " batch"]

    @staticmethod
    def begin(states: States) -> "_Progress":
        batch = len(states)
        return _Progress(states, jnp.zeros(batch, int), jnp.full(batch, math.inf, states.dtype))

    @eqx.filter_jit
    def step(self, read: "_Pass", tolerance: Array) -> "_Progress":
        """One update of the states that have not converged."""
        active: Bool[Array, " batch"] = self.residual > tolerance
        new = read.softmax.mixture / read.softmax.total[:, None]
        unit = jnp.where(read.norm > 0, read.norm, 1)
        length = jnp.linalg.norm(new - self.states, axis=1) / unit
        return _Progress(
            jnp.where(active[:, None], new, self.states),
            self.steps + active,
            jnp.where(active, length, self.residual),
        )


class _Pass(eqx.Module):
    """What a pass has gathered so far: the softmax of all rows, the `k` largest scores, the largest norm of a row."""

    softmax: OnlineSoftmax
    scores: Float[Array, "batch k"]
    index: Int[Array, "batch k"]
    norm: Float[Array, ""]

    @staticmethod
    def begin(states: States, k: int) -> "_Pass":
        batch, dtype = len(states), states.dtype
        softmax = OnlineSoftmax.empty(batch, states.shape[1], dtype)
        scores = jnp.full((batch, k), jnp.finfo(dtype).min, dtype)
        return _Pass(softmax, scores, jnp.full((batch, k), -1), jnp.zeros((), dtype))

    @eqx.filter_jit
    def add(self, rows: Float[Array, "rows dimension"], start: Array, states: States, beta: Array, k: int):
        """With one chunk more, whose first row has the number `start`."""
        thresholds = Euclidean().thresholds(rows)
        chunk = PatternChunk(
            rows, beta * (states @ rows.T + thresholds[None, :]), start + jnp.arange(len(rows))
        )
        scores, index = with_chunk((self.scores, self.index), chunk, k)
        norm = jnp.maximum(self.norm, jnp.sqrt(jnp.max(-2 * thresholds)))
        return _Pass(self.softmax.add(chunk, rows), scores, index, norm)

    def top_k(self) -> TopK:
        """The patterns of the largest scores, with their weights."""
        weights = jnp.exp(self.scores - self.softmax.peak[:, None]) / self.softmax.total[:, None]
        return TopK(self.scores, self.index, weights)
