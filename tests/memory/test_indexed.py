"""Recall from the nearest patterns: the bound holds, and where it is too large the exact memory answers."""

import warnings

import jax
import jax.random as jr
import numpy as np
import pytest
from scipy.special import softmax

from hopfax import Memory
from hopfax.memory import AveragingWarning
from hopfax.memory.indexed import AbstractIndex, FaissIndex, IndexedMemory

PATTERNS = np.asarray(jr.normal(jr.key(0), (200, 6)))
QUERIES = np.asarray(PATTERNS[:20] + 0.2 * jr.normal(jr.key(1), (20, 6)))


class BruteForce(AbstractIndex):
    """Compares all patterns, with NumPy."""

    patterns: np.ndarray
    exact: bool = True

    def search(self, queries, k):
        distances = np.sum((queries[:, None] - self.patterns[None]) ** 2, axis=2)
        return np.argsort(distances, axis=1)[:, :k]


def memories(beta, k=8, largest_bound=1e-3, index=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AveragingWarning)
        memory = Memory.store(PATTERNS, beta)
    return memory, IndexedMemory(memory, index or BruteForce(PATTERNS), k, largest_bound)


def test_where_the_bound_is_small_recall_is_that_of_the_memory():
    memory, indexed = memories(20.0, k=24)
    expected, result = memory.recall(QUERIES), indexed.recall(QUERIES)
    assert not result.exact.all()
    assert np.all(result.bound <= 1e-3)
    np.testing.assert_array_equal(result.index, expected.index)
    np.testing.assert_allclose(result.state, expected.state, atol=5e-3)
    np.testing.assert_allclose(result.weight, expected.weight, atol=5e-3)
    assert result.converged.all()


@pytest.mark.parametrize("beta", [1.0, 5.0, 20.0])
def test_the_bound_is_at_least_the_weight_that_was_left_out(beta):
    _, indexed = memories(beta, largest_bound=1.0)
    distances = np.sum((QUERIES[:, None] - PATTERNS[None]) ** 2, axis=2)
    left_out = 1 - np.sort(softmax(-beta * distances / 2, axis=1), axis=1)[:, -8:].sum(axis=1)
    once = indexed.recall(QUERIES, max_steps=1)
    assert np.all(once.bound >= left_out - 1e-12)
    assert np.all(once.bound <= 1)
    exact = softmax(-beta * distances / 2, axis=1) @ PATTERNS
    spread = 2 * np.linalg.norm(PATTERNS, axis=1).max()
    assert np.all(np.linalg.norm(once.state - exact, axis=1) <= once.bound * spread + 1e-12)


class Incomplete(BruteForce):
    """Returns the nearest patterns, but no more than `most` of them."""

    most: int = 2

    def search(self, queries, k):
        return np.where(np.arange(k) < self.most, BruteForce.search(self, queries, k), -1)


def test_where_the_index_returns_fewer_the_bound_counts_the_others_too():
    distances = np.sum((QUERIES[:, None] - PATTERNS[None]) ** 2, axis=2)
    left_out = 1 - np.sort(softmax(-0.1 * distances / 2, axis=1), axis=1)[:, -2:].sum(axis=1)
    once = memories(0.1, 200, 1.0, Incomplete(PATTERNS))[1].recall(QUERIES, max_steps=1)
    assert np.all(once.bound >= left_out)
    memory, indexed = memories(20.0, index=Incomplete(PATTERNS, most=0))
    result = indexed.recall(QUERIES)
    assert result.exact.all()
    np.testing.assert_array_equal(result.state, memory.recall(QUERIES).state)


def test_where_the_bound_is_large_the_memory_answers():
    for memory, indexed in (memories(1.0), memories(20.0, k=24, largest_bound=0.0)):
        result, expected = indexed.recall(QUERIES), memory.recall(QUERIES)
        assert result.exact.all()
        for name in ("state", "index", "weight", "steps"):
            np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))
        np.testing.assert_array_equal(result.bound, 0)


def test_unsure_queries_are_recalled_with_more_patterns_before_all():
    memory, few = memories(20.0, k=2)
    more = IndexedMemory(memory, BruteForce(PATTERNS), 2, largest_k=96)
    first, second = few.recall(QUERIES), more.recall(QUERIES)
    assert second.exact.sum() < first.exact.sum()
    assert np.all(second.bound <= 1e-3)
    np.testing.assert_allclose(second.state, memory.recall(QUERIES).state, atol=5e-3)
    with pytest.raises(ValueError, match="largest_k"):
        IndexedMemory(memory, BruteForce(PATTERNS), 6, largest_k=5)


def test_of_all_patterns_nothing_is_left_out():
    memory, indexed = memories(2.0, k=200)
    result = indexed.recall(QUERIES)
    np.testing.assert_allclose(result.bound, 0, atol=1e-15)
    np.testing.assert_allclose(result.state, memory.recall(QUERIES).state, atol=1e-9)


def test_faiss_finds_the_nearest_patterns():
    pytest.importorskip("faiss")
    for index in (FaissIndex.flat(PATTERNS), FaissIndex.graph(PATTERNS)):
        _, indexed = memories(20.0, k=24, index=index)
        numbers = index.search(QUERIES, 8)
        assert np.mean(numbers == BruteForce(PATTERNS).search(QUERIES, 8)) > 0.95
        np.testing.assert_allclose(
            indexed.recall(QUERIES).state, memories(20.0, k=24)[1].recall(QUERIES).state, atol=1e-3
        )
    assert FaissIndex.flat(jax.numpy.asarray(PATTERNS)).exact
