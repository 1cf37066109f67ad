"""Recall from the nearest patterns alone, found by an index, with a bound on the weight of all others.

At useful `beta` a few patterns have nearly all the weight. An index finds the nearest `k` of `N` patterns without
comparing all. With the squared distances `d_j²` in rising order, each of the other patterns has at most the weight of
the `k`-th. So the share of the others is at most `r / (1 + r)` with
`r = (N - k) exp(-beta d_k² / 2) / Σ_{j<=k} exp(-beta d_j² / 2)`. Derived here.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from .._internal.checks import (
    as_integer,
    require,
    require_integer,
    require_kind,
    require_matrix,
    require_number,
)
from .._internal.jit import kept_result
from .._internal.optional import needed
from .inputs import check_limits
from .mapped import MappedMemory
from .memory import Memory
from .recall import check_queries

_LEAST_TRAINED, _TRAINED = 256, 64  # entries of a code book, and patterns for each centroid

Queries = Float[np.ndarray, "queries dimension"]


class AbstractIndex(eqx.Module):
    """Finds the nearest patterns of a query."""

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether `search` always returns the nearest patterns."""

    @abstractmethod
    def search(self, queries: Queries, k: int) -> Int[np.ndarray, "queries k"]:
        """The numbers of the `k` nearest patterns of each query; -1 where the search returns fewer."""


class FaissIndex(AbstractIndex):
    """An index of the library faiss, of squared Euclidean distances. Needs `pip install 'hopfax[index]'`.

    Args:
        index: of faiss, which has all patterns under their numbers.
        exact: whether it compares all patterns, as `IndexFlatL2` does.
    """

    index: Any
    exact: bool = False

    @staticmethod
    def graph(patterns: Real[Array | np.ndarray, "patterns dimension"], neighbours: int = 32) -> "FaissIndex":
        """A graph of near patterns (HNSW), which nearly always finds the nearest, in time that grows with `log N`.

        Raises: `ValueError` for what is no matrix or fewer than 2 `neighbours`; `PackageMissing` without faiss.
        """
        require_matrix("patterns", patterns)
        faiss = needed("an index needs faiss", "faiss", "'hopfax[index]'")
        index = faiss.IndexHNSWFlat(patterns.shape[1], as_integer("neighbours", neighbours, 2))
        index.add(np.ascontiguousarray(patterns, np.float32))
        return FaissIndex(index)

    @staticmethod
    def compressed(
        patterns: Real[np.ndarray, "patterns dimension"],
        code_bytes: int = 32,
        *,
        cells: int = 1024,
        probes: int = 16,
        chunk: int = 65_536,
    ) -> "FaissIndex":
        """Codes of `code_bytes` bytes for the patterns, in cells of near patterns (IVF with product quantisation).

        The patterns are read in chunks, so they may be memory-mapped and larger than memory. A search
        looks into the `probes` nearest cells and compares codes; `IndexedMemory` then reads the `k` best patterns and
        compares them exactly.

        Raises: `ValueError` for what is no matrix, `code_bytes` that do not divide the elements of a row, numbers
            below 1, and fewer patterns than 256 or than cells; `PackageMissing` without faiss.
        """
        require_matrix("patterns", patterns)
        count, width = patterns.shape
        for name, value in {
            "code_bytes": code_bytes,
            "cells": cells,
            "probes": probes,
            "chunk": chunk,
        }.items():
            require_integer(name, value, 1)
        require(
            width % code_bytes == 0,
            f"`code_bytes={code_bytes}` does not divide the {width} elements of a pattern; take a divisor.",
        )
        least = max(cells, _LEAST_TRAINED)
        require(
            count >= least,
            f"`patterns` has {count} rows; {cells} cells need {least}. Take fewer cells, or `FaissIndex.flat`.",
        )
        faiss = needed("an index needs faiss", "faiss", "'hopfax[index]'")
        index = faiss.index_factory(width, f"IVF{cells},PQ{code_bytes}")
        index.nprobe = probes
        index.do_polysemous_training = False  # is for search by Hamming distances, and takes most of the time
        sample = patterns[:: max(count // (_TRAINED * least), 1)]
        index.train(np.ascontiguousarray(sample, np.float32))
        for start in range(0, count, chunk):
            index.add(np.ascontiguousarray(patterns[start : start + chunk], np.float32))
        return FaissIndex(index)

    @staticmethod
    def flat(patterns: Real[Array | np.ndarray, "patterns dimension"]) -> "FaissIndex":
        """Compares all patterns. Raises: as `graph`."""
        require_matrix("patterns", patterns)
        faiss = needed("an index needs faiss", "faiss", "'hopfax[index]'")
        index = faiss.IndexFlatL2(patterns.shape[1])
        index.add(np.ascontiguousarray(patterns, np.float32))
        return FaissIndex(index, exact=True)

    def search(self, queries: Queries, k: int) -> Int[np.ndarray, "queries k"]:
        return self.index.search(np.ascontiguousarray(queries, np.float32), k)[1]


class IndexedRecall(eqx.Module):
    """What was recalled, one entry for each query.

    Args:
        state: the recalled values.
        index: the pattern with the largest weight.
        weight: its retrieval weight.
        bound: the patterns that the last update did not compare have at most this share of the weight, from 0 to 1,
            provided that the index returned the nearest ones; 0 where the exact memory answered.
        exact: whether the exact memory answered.
        steps: how many updates were made.
        converged: whether the last step was within the tolerance.
    """

    state: Float[np.ndarray, "queries dimension"]
    index: Int[np.ndarray, " queries"]
    weight: Float[np.ndarray, " queries"]
    bound: Float[np.ndarray, " queries"]
    exact: Bool[np.ndarray, " queries"]
    steps: Int[np.ndarray, " queries"]
    converged: Bool[np.ndarray, " queries"]


class IndexedMemory(eqx.Module):
    """A `Memory` that compares queries with the nearest `k` patterns of an index alone, where that is enough.

    Each update differs from the exact one by at most `bound` times the largest distance of two patterns. The bound
    holds if the index finds the nearest patterns: always for one that is `exact`, nearly always for a graph. Queries
    whose bound exceeds `largest_bound` are recalled again with four times as many patterns, up to `largest_k`, and then
    answered by the memory, which compares all.

    Args:
        memory: a `MappedMemory`, or a `Memory` with softmax and `Euclidean()`, without a metric, on one device.
        index: of the same patterns.
        k: how many patterns are compared.
        largest_bound: from 0 to 1; with 0, all queries are answered by the memory.
        largest_k: the most patterns that are compared without comparing all; None for `k`.
    Raises: `ValueError` for other memories, `k` below 1 or above the number of patterns, `largest_k` below `k`, and
        bounds out of range.
    """

    memory: Memory | MappedMemory
    index: AbstractIndex
    k: int = 32
    largest_bound: float = 1e-3
    largest_k: int | None = None

    def __check_init__(self):
        require_kind("memory", self.memory, (Memory, MappedMemory), "Memory.store(patterns)")
        require_kind("index", self.index, AbstractIndex, "FaissIndex.graph(patterns)")
        self.memory.require_distances()
        require_integer("k", self.k, 1)
        number = len(self.memory.patterns)
        require(self.k <= number, f"`k={self.k}` is more than the {number} patterns; take fewer.")
        if self.largest_k is not None:
            require_integer("largest_k", self.largest_k, self.k)
        require_number("largest_bound", self.largest_bound, lambda x: 0 <= x <= 1, "a number from 0 to 1")

    def recall(
        self,
        queries: Real[Array | np.ndarray, "queries dimension"],
        *,
        tolerance: float = 1e-5,
        max_steps: int = 100,
    ) -> IndexedRecall:
        """Repeats the update from each query until it converges, as `Memory.recall`.

        The unit of steps is the largest norm of the patterns that are compared.
        Raises: `ValueError` for queries that do not fit, or limits out of range.
        """
        array, _ = check_queries(queries, None, self._patterns.shape[1])
        check_limits(tolerance, max_steps, least=1)
        rows = np.atleast_2d(np.asarray(array)).astype(np.result_type(self._patterns, np.float32))
        exact = lambda rows: self._exact(rows, tolerance, max_steps)
        if self.largest_bound == 0:
            return exact(rows)
        result = self._near(rows, self.k, tolerance, max_steps)
        for k in self._larger():
            result = self._again(result, rows, lambda rows, k=k: self._near(rows, k, tolerance, max_steps))
        return self._again(result, rows, exact)

    def _larger(self) -> Iterator[int]:
        """`4 k`, `16 k`, ... up to `largest_k`."""
        k, most = self.k, min(self.largest_k or self.k, len(self._patterns))
        while k < most:
            k = min(4 * k, most)
            yield k

    def _again(
        self, result: IndexedRecall, rows: Queries, recall: Callable[[Queries], IndexedRecall]
    ) -> IndexedRecall:
        """`result`, with the queries whose bound is too large answered by `recall`."""
        unsure = result.bound > self.largest_bound
        if not unsure.any():
            return result

        def merged(old, new):
            old = old.copy()
            old[unsure] = new
            return old

        return jax.tree.map(merged, result, recall(rows[unsure]))

    @property
    @kept_result
    def _patterns(self) -> Real[np.ndarray, "patterns dimension"]:
        return np.asarray(self.memory.patterns)

    def _near(self, states: Queries, k: int, tolerance: float, max_steps: int) -> IndexedRecall:
        """Recall from the nearest patterns of each state."""
        states, count = states.copy(), len(states)
        steps, residual = np.zeros(count, int), np.full(count, np.inf)
        best, weight, bound = np.zeros(count, int), np.zeros(count), np.ones(count)
        for _ in range(max_steps):
            active = np.flatnonzero(residual > tolerance)
            if not len(active):
                break
            new, best[active], weight[active], bound[active], unit = self._update(states[active], k)
            residual[active] = np.linalg.norm(new - states[active], axis=1) / unit
            states[active], steps[active] = new, steps[active] + 1
        return IndexedRecall(states, best, weight, bound, np.zeros(count, bool), steps, residual <= tolerance)

    def _update(
        self, states: Queries, k: int
    ) -> tuple[Queries, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The updated states, the nearest pattern, its weight among the `k` nearest, the bound on all others, and the
        unit of residuals: the largest norm of the `k` nearest."""
        numbers = self.index.search(states, k)
        valid = numbers >= 0
        rows = self._patterns[np.where(valid, numbers, 0)].astype(states.dtype, copy=False)
        distances = np.where(valid, np.sum((rows - states[:, None]) ** 2, axis=2), np.inf)
        nearest = distances.min(axis=1, keepdims=True)
        nearest = np.where(np.isfinite(nearest), nearest, 0)
        factors = np.exp(-float(self.memory.beta) / 2 * (distances - nearest))
        total = factors.sum(axis=1)
        # Where the search returned fewer than `k`, the others may be as near as the nearest of these.
        largest_other = np.where(valid.all(axis=1), factors.min(axis=1), 1)
        others = (len(self._patterns) - valid.sum(axis=1)) * largest_other
        # The nearest has the factor 1, unless there is none.
        weights = factors / np.maximum(total, 1)[:, None]
        top = np.argmax(weights, axis=1)[:, None]
        of_top = lambda values: np.take_along_axis(values, top, axis=1)[:, 0]
        new = np.einsum("qk,qkd->qd", weights, rows).astype(states.dtype)
        unit = np.linalg.norm(rows, axis=2).max(axis=1)
        return new, of_top(numbers), of_top(weights), others / (total + others), np.where(unit > 0, unit, 1)

    def _exact(self, rows: Queries, tolerance: float, max_steps: int) -> IndexedRecall:
        """The recall by the memory, which compares all patterns."""
        result = self.memory.recall(rows, tolerance=tolerance, max_steps=max_steps)
        names = ("state", "index", "weight", "steps", "converged")
        arrays = {name: np.asarray(getattr(result, name)) for name in names}
        return IndexedRecall(**arrays, bound=np.zeros(len(rows)), exact=np.ones(len(rows), bool))
