"""A memory whose patterns stay in a file: every update reads them once, in chunks.

The weights are those of `hopfax.memory.streams`; here the loop over chunks runs on the host.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from .._internal.checks import as_integer, require, require_integer, require_matrix
from ..solvers.equilibrium import Status
from .inputs import check_beta, check_limits
from .recall import Recall, check_queries, classify
from .retrieval import Progress, advance, initial_progress, largest_norm
from .sharded import PatternChunk, Query
from .similarities import Euclidean
from .streams import OnlineSoftmax, TopK, no_scores, with_chunk

States = Float[Array, "batch dimension"]


class MappedMemory(eqx.Module):
    """Patterns in a file, recalled by the softmax of squared distances without loading all of them.

    Recall is that of `Memory(similarity=Euclidean())`. An update holds one chunk in memory, and takes the time to read
    all patterns once; `IndexedMemory` reads only those near to a query.

    Args:
        patterns: in rows, memory-mapped: `numpy.load(path, mmap_mode="r")`. Rows that are not finite raise an
            error when they are read.
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
        progress, limit = initial_progress(states), jnp.asarray(tolerance)
        for _ in range(max_steps):
            if not bool(jnp.any(progress[1] > tolerance)):
                break
            progress = self._read(progress[0], 0).update(progress, limit)
        result = self._described(progress, tolerance, as_integer("candidates", candidates, 1))
        return result if array.ndim == 2 else jax.tree.map(lambda x: np.asarray(x[0]), result)

    def _dtype(self) -> Any:
        """The dtype of the patterns, but float32 at least."""
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

    def _described(self, progress: Progress, tolerance: float, candidates: int) -> Recall:
        """What the last states consist of."""
        states, residual, steps = progress
        count = len(self.patterns)
        top = self._read(states, min(candidates + 1, count)).top_k()
        kind, members, size, confidence = classify(top, count, count)
        status = jnp.where(residual <= tolerance, Status.converged, Status.max_steps)
        fields = (states, kind, top.index[:, 0], members, size, confidence, top.weights[:, 0])
        return Recall(*map(np.asarray, (*fields, steps, residual, status)))


class _Pass(eqx.Module):
    """What a pass has gathered so far: the softmax of all rows, the `k` largest scores, the largest norm of a row."""

    softmax: OnlineSoftmax
    scores: Float[Array, "batch k"]
    index: Int[Array, "batch k"]
    norm: Float[Array, ""]

    @staticmethod
    def begin(states: States, k: int) -> "_Pass":
        query = Query.of(states)
        return _Pass(OnlineSoftmax.empty(states, query), *no_scores(query, k), jnp.zeros((), states.dtype))

    @eqx.filter_jit
    def add(self, rows: Float[Array, "rows dimension"], start: Array, states: States, beta: Array, k: int):
        """The pass with one more chunk, whose first row has the number `start`."""
        thresholds = Euclidean().thresholds(rows)
        chunk = PatternChunk(
            rows, beta * (states @ rows.T + thresholds[None, :]), start + jnp.arange(len(rows))
        )
        scores, index = with_chunk((self.scores, self.index), chunk, k)
        norm = jnp.maximum(self.norm, largest_norm(rows))
        return _Pass(self.softmax.add(chunk, rows), scores, index, norm)

    @eqx.filter_jit
    def update(self, progress: Progress, tolerance: Array) -> Progress:
        """One update of the states that have not converged."""
        return advance(progress, self.softmax.mixture / self.softmax.total[:, None], self.norm, tolerance)

    def top_k(self) -> TopK:
        """The patterns of the largest scores, with their weights."""
        weights = jnp.exp(self.scores - self.softmax.peak[:, None]) / self.softmax.total[:, None]
        return TopK(self.scores, self.index, weights)
