"""Sparse separations of a `Memory`: the weights of the model whatever the chunks; memories that grow and shrink."""

import functools as ft
import itertools
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import slow_except

import hopfax
from hopfax import Memory, memory
from hopfax.lagrangians import Entmax, KSubsets, Normmax, Softmax, Sparsemax
from hopfax.memory import Dot, Epanechnikov, Euclidean, sparse_streams
from hopfax.memory.phase import StateKind
from hopfax.memory.sharded import ShardedPatterns
from hopfax.memory.similarities import AbstractSimilarity
from hopfax.memory.streaming import read, top_k, update

PATTERNS = np.asarray(jr.normal(jr.key(0), (11, 6)))
QUERIES = np.asarray(PATTERNS[:7] + 0.3 * jr.normal(jr.key(1), (7, 6)))
SPARSE = {
    "sparsemax": Sparsemax,
    "entmax": ft.partial(Entmax, 1.5),
    "entmax3": ft.partial(Entmax, 3.0),
    "normmax": ft.partial(Normmax, 2.0),
    "subsets": ft.partial(KSubsets, 2),
}
sparse = pytest.mark.parametrize("separation", SPARSE.values(), ids=SPARSE)


@sparse
@pytest.mark.parametrize(("chunk", "kept"), [(4, 3), pytest.param(4, 64, marks=pytest.mark.slow), (4096, 64)])
def test_streams_have_the_weights_of_the_model(separation, chunk, kept, monkeypatch):
    """With 3 scores kept, more patterns have weight than are kept, and the threshold is refined."""
    monkeypatch.setattr(sparse_streams, "LARGEST", kept)
    values = np.asarray(jr.normal(jr.key(2), (11, 2)))
    networks = [hopfax.ModernHopfield(PATTERNS, b, separation=separation, values=values) for b in (0.1, 2.0)]

    @jax.jit
    def streamed(x, beta):
        stored = ShardedPatterns(jnp.asarray(PATTERNS), Dot(), 11, chunk, separation=separation(1.0))
        top = top_k(stored, x, beta, 5)
        return update(stored, x, beta), read(stored, x, beta, jnp.asarray(values)), top.weights, top.index

    for network in networks:
        state, value, weights, index = streamed(jnp.asarray(QUERIES), jnp.asarray(network.memory.beta))
        expected = jax.jit(jax.vmap(lambda x, n=network: (n.update(x), n.read(x), n.weights(x))))(QUERIES)
        np.testing.assert_allclose(state, expected[0], atol=1e-12)
        np.testing.assert_allclose(value, expected[1], atol=1e-12)
        np.testing.assert_allclose(weights, -np.sort(-np.asarray(expected[2]))[:, :5], atol=1e-12)
        np.testing.assert_allclose(np.take_along_axis(np.asarray(expected[2]), np.asarray(index), 1), weights)


@sparse
def test_many_patterns_with_weight_in_float32(separation):
    """At a low beta hundreds of patterns have weight: far more than the first pass keeps."""
    patterns = np.asarray(jr.normal(jr.key(3), (1000, 8), jnp.float32))
    stored = ShardedPatterns(jnp.asarray(patterns), Euclidean(), 1000, 128, separation=separation(1.0))
    network = hopfax.ModernHopfield(patterns, 1e-5, separation=separation, similarity=Euclidean())
    queries, beta = jnp.asarray(patterns[:5]), jnp.asarray(1e-5, jnp.float32)
    weights = np.asarray(jax.vmap(network.weights)(queries))
    assert np.count_nonzero(weights[0]) > sparse_streams.LARGEST
    np.testing.assert_allclose(jax.jit(update)(stored, queries, beta), weights @ patterns, atol=2e-5)


@pytest.mark.parametrize("separation", [Sparsemax, Epanechnikov])
def test_working_memory_does_not_grow_with_the_number_of_patterns(separation):
    def temporary(count):
        stored = ShardedPatterns(jnp.zeros((count, 8)), Euclidean(), count, 64, separation=separation(1.0))
        arguments = eqx.partition((stored, jnp.zeros((4, 8)), jnp.asarray(1.0)), eqx.is_array)
        of_arrays = lambda arrays: update(*eqx.combine(arrays, arguments[1]))
        compiled = jax.jit(of_arrays).lower(arguments[0]).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # The lists of chunk numbers of the passes are all that grows: one number for 64 patterns in each of three.
    assert temporary(64 * 100) - temporary(64 * 10) <= 3 * 90 * 8


@pytest.mark.parametrize("separation", [*(v for k, v in SPARSE.items() if k != "subsets"), Epanechnikov])
def test_at_the_automatic_beta_patterns_are_recalled_exactly(separation):
    stored = Memory.store(PATTERNS, separation=separation)
    recalled = stored.recall(PATTERNS)
    assert np.mean(recalled.weight == 1) >= 0.99
    np.testing.assert_allclose(recalled.state, PATTERNS, atol=1e-12)
    assert np.all(recalled.kind == StateKind.PATTERN)
    below = Memory.store(PATTERNS, 0.95 * float(stored.beta), separation=separation).recall(PATTERNS)
    assert np.any(below.weight < 1)


def test_subsets_of_two_are_recalled_as_the_mean_of_two():
    stored = Memory.store(PATTERNS, 50.0, separation=ft.partial(KSubsets, 2))
    recalled = stored.recall((PATTERNS[3] + PATTERNS[7]) / 2 + 0.01)
    assert set(recalled.members[recalled.members >= 0]) == {3, 7}
    np.testing.assert_allclose(recalled.state, (PATTERNS[3] + PATTERNS[7]) / 2, atol=1e-12)


def within(center, patterns, beta):
    return np.sum((patterns - center) ** 2, axis=1) * beta < 2


def test_epanechnikov_minima_are_the_patterns_and_means_found_by_brute_force():
    """The mean of a set is a minimum where exactly this set lies within the radius: all 2^8 sets are tried."""
    patterns, beta = np.asarray(jr.normal(jr.key(5), (8, 2))), 2.0
    subsets = [np.array(s) for n in range(1, 9) for s in itertools.combinations(range(8), n)]
    means = np.array([patterns[s].mean(axis=0) for s in subsets])
    minima = [
        m
        for s, m in zip(subsets, means, strict=True)
        if np.array_equal(np.flatnonzero(within(m, patterns, beta)), s)
    ]
    result = memory.emergent_minima(Memory.store(patterns, beta, separation=Epanechnikov), means)
    np.testing.assert_allclose(np.sort(result.states, axis=0), np.sort(minima, axis=0), atol=1e-12)
    stored = [np.min(np.linalg.norm(patterns - m, axis=1)) < 1e-3 for m in minima]
    assert result.emergent.sum() == len(minima) - sum(stored) > 0
    energy = jax.jit(jax.vmap(lambda x: Epanechnikov(beta).energy(jnp.asarray(patterns), x)))
    around = result.states[:, None] + 1e-4 * np.stack([np.eye(2), -np.eye(2)]).reshape(4, 2)
    assert np.all(np.asarray(energy(around.reshape(-1, 2))).reshape(-1, 4) > energy(result.states)[:, None])


def test_outside_of_every_radius_the_first_of_the_nearest_patterns_is_recalled():
    """Also at the same distance from two, where their mean would be no minimum."""
    stored = Memory.store(np.array([[0.0, 0.0], [4.0, 0.0]]), 2.0, separation=Epanechnikov, chunk=1)
    recalled = stored.recall(np.array([[2.0, 0.0], [2.1, 0.0], [2.0, 9.0]]))
    np.testing.assert_array_equal(recalled.state, [[0, 0], [4, 0], [0, 0]])


def test_outside_of_every_radius_rows_in_reserve_have_no_weight():
    stored = Memory.store(PATTERNS[:8], 2.0, separation=Epanechnikov).add(PATTERNS[8:9]).stored
    far = PATTERNS[:1] + 3 * (PATTERNS[:1] - PATTERNS[:9].mean(axis=0))
    top = top_k(stored, jnp.asarray(far), jnp.asarray(2.0), 16)
    np.testing.assert_array_equal(top.weights, np.eye(16)[:1])
    np.testing.assert_array_equal(top.index[0, 9:], -1)
    assert top.index[0, 0] == 0


def test_epanechnikov_energy_falls_and_is_left_where_it_is_infinite():
    beta, separation = 1.5, Epanechnikov(1.5)
    state = np.asarray(3 * jr.normal(jr.key(6), (40, 6)))
    stored = Memory.store(PATTERNS, beta, separation=Epanechnikov)
    energies = jax.jit(jax.vmap(lambda x: separation.energy(jnp.asarray(PATTERNS), x)))
    before = np.asarray(energies(state))
    assert np.isinf(before).any()
    for _ in range(4):
        state = stored.recall(state, max_steps=1).state
        after = np.asarray(energies(state))
        assert np.all(after <= before + 1e-12)
        before = after
    assert np.isfinite(after).all()
    # The update is minus the gradient, in units of its denominator.
    gradient = jax.vmap(jax.grad(lambda x: separation.energy(jnp.asarray(PATTERNS), x)))(QUERIES)
    moved = stored.recall(QUERIES, max_steps=1).state - QUERIES
    cosines = np.sum(-gradient * moved, axis=1) / np.maximum(
        np.linalg.norm(gradient, axis=1) * np.linalg.norm(moved, axis=1), 1e-30
    )
    assert np.all((cosines > 1 - 1e-9) | (np.linalg.norm(moved, axis=1) < 1e-9))


@pytest.mark.parametrize("separation", [*SPARSE.values(), Epanechnikov, Softmax])
def test_files_keep_the_separation(tmp_path, separation):
    stored = Memory.store(PATTERNS, 2.0, separation=separation)
    stored.save(tmp_path / "memory")
    loaded = Memory.load(tmp_path / "memory")
    assert eqx.tree_equal(loaded.stored.separation, separation(1.0))
    np.testing.assert_array_equal(loaded.recall(QUERIES).state, stored.recall(QUERIES).state)


class Counted(AbstractSimilarity):
    """`Euclidean()`, which counts how often it is traced."""

    counts: list = eqx.field(static=True)

    def thresholds(self, patterns):
        self.counts.append(patterns.shape)
        return Euclidean().thresholds(patterns)

    def marginal_thresholds(self, patterns, known):
        return Euclidean().marginal_thresholds(patterns, known)


class Traces(list):
    """A list that is equal to itself alone, so that it can be static."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def assert_same_recall(actual, expected, queries=QUERIES):
    for name in ("state", "kind", "index", "size", "weight", "confidence", "steps", "value"):
        left, right = (getattr(m.recall(queries), name) for m in (actual, expected))
        if left is not None:
            np.testing.assert_allclose(left, right, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("separation", slow_except([Softmax, Sparsemax, Epanechnikov], [Sparsemax]))
def test_a_memory_that_grew_and_shrank_is_one_of_the_patterns_it_has(separation):
    values = np.arange(22.0).reshape(11, 2)
    make = lambda rows: Memory.store(PATTERNS[rows], 4.0, values=values[rows], separation=separation, chunk=4)
    grown = make(np.arange(3)).add(PATTERNS[3:5], values[3:5]).add(PATTERNS[5:], values[5:])
    assert_same_recall(grown, make(np.arange(11)))
    np.testing.assert_array_equal(grown.patterns, PATTERNS)
    removed = grown.remove([0, 7, 7])
    left = np.delete(np.arange(11), [0, 7])
    np.testing.assert_array_equal(removed.patterns, PATTERNS[left])
    assert_same_recall(removed, make(left))
    known = np.arange(6) < 4
    np.testing.assert_allclose(
        removed.recall(QUERIES, known).state, make(left).recall(QUERIES, known).state, atol=1e-12
    )


def test_recall_is_compiled_once_for_each_doubling():
    traces = Traces()
    stored = Memory.store(PATTERNS[:8], 4.0, similarity=Counted(traces)).add(PATTERNS[8:9])
    stored.recall(QUERIES)
    once = len(traces)
    for i in range(9, 11):
        stored = stored.add(PATTERNS[i : i + 1])
        stored.recall(QUERIES)
    stored.remove(2).recall(QUERIES)
    assert len(traces) == once
    assert len(stored.stored.patterns) == 16


def test_patterns_in_reserve_take_part_in_nothing(tmp_path):
    """Two patterns in eight rows: the third best is none, files hold two, and the network has two."""
    stored = Memory.store(PATTERNS[:4], 4.0).add(PATTERNS[4:5]).remove([1, 2, 3])
    assert stored.network().patterns.shape == (2, 6)
    assert set(stored.recall(PATTERNS).index) <= {0, 1}
    stored.save(tmp_path / "memory")
    assert_same_recall(Memory.load(tmp_path / "memory"), stored)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", memory.AveragingWarning)
        low = Memory.store(PATTERNS[:2], 1e-3)
        assert_same_recall(low, low.add(PATTERNS[2:]).remove(np.arange(2, 11)))
    np.testing.assert_allclose(stored.shard().recall(QUERIES).state, stored.recall(QUERIES).state, atol=1e-12)
