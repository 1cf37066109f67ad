"""A memory in a file: recall is that of a `Memory`, whatever the size of a chunk, and no more than a chunk is read."""

import jax.random as jr
import numpy as np
import pytest

from hopfax import Memory
from hopfax.memory import FaissIndex, IndexedMemory, MappedMemory

PATTERNS = np.asarray(jr.normal(jr.key(0), (500, 8)))
QUERIES = np.asarray(PATTERNS[:20] + 0.3 * jr.normal(jr.key(1), (20, 8)))
BETA = 12.0


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "patterns.npy", PATTERNS.astype(np.float32))
    return np.load(tmp_path / "patterns.npy", mmap_mode="r")


@pytest.mark.parametrize("chunk", [1, 37, 500, 1000])
def test_recall_is_that_of_a_memory_for_every_size_of_a_chunk(mapped, chunk):
    if chunk == 1:
        mapped = mapped[:40]
    expected = Memory.store(np.asarray(mapped), BETA).recall(QUERIES)
    result = MappedMemory(mapped, BETA, chunk).recall(QUERIES)
    for name in ("state", "weight", "confidence", "residual"):
        np.testing.assert_allclose(getattr(result, name), getattr(expected, name), atol=2e-5)
    for name in ("index", "kind", "members", "size", "steps", "status"):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))


def test_one_query_and_few_steps(mapped):
    memory = MappedMemory(mapped, 0.5)
    one, all_ = memory.recall(QUERIES[0], max_steps=2), memory.recall(QUERIES, max_steps=2)
    assert one.state.shape == (8,)
    np.testing.assert_allclose(one.state, all_.state[0], atol=1e-6)
    assert int(one.steps) == 2
    assert not one.converged


class OneChunk(np.ndarray):
    """Refuses to hand out more than 100 rows."""

    def __getitem__(self, key):
        rows = np.asarray(super().__getitem__(key))
        assert len(rows) <= 100
        return rows


def test_no_more_than_a_chunk_is_read_at_once(mapped):
    result = MappedMemory(mapped.view(OneChunk), BETA, chunk=100).recall(QUERIES)
    assert np.mean(result.index == np.arange(20)) > 0.9


def test_rows_that_are_not_finite_are_found_in_recall():
    patterns = PATTERNS.copy()
    patterns[-1, 0] = np.nan
    with pytest.raises(ValueError, match="`patterns` must be finite"):
        MappedMemory(patterns, BETA, chunk=100).recall(QUERIES)


def test_integers_in_the_file_are_recalled_as_numbers():
    bits = (PATTERNS > 0).astype(np.uint8)[:16]
    result = MappedMemory(bits, 20.0).recall(bits[3].astype(float))
    np.testing.assert_allclose(result.state, bits[3], atol=1e-3)


def test_codes_of_patterns_in_a_file_lead_to_the_nearest(mapped):
    pytest.importorskip("faiss")
    index = FaissIndex.compressed(mapped, 8, cells=4, probes=4, chunk=100)
    memory = MappedMemory(mapped, 20.0)
    result = IndexedMemory(memory, index, k=24).recall(QUERIES)
    expected = memory.recall(QUERIES)
    np.testing.assert_array_equal(result.index, expected.index)
    np.testing.assert_allclose(result.state, expected.state, atol=2e-3)
    assert not result.exact.all()
    assert np.all(result.bound <= 1e-3)
    every = IndexedMemory(memory, index, k=24, largest_bound=0.0).recall(QUERIES)
    np.testing.assert_array_equal(every.state, expected.state)
