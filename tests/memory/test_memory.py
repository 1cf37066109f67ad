"""A memory that one can use: the same as its model, whatever the chunks and devices; files; refusals."""

import os
import subprocess
import sys
import textwrap
import warnings

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import softmax

import hopfax
from hopfax import data
from hopfax.memory import phase
from hopfax.memory.memory import AveragingWarning, Memory
from hopfax.memory.phase import Kind
from hopfax.memory.similarities import Dot, Euclidean
from hopfax.memory.streaming import Rows, leaders, step
from hopfax.networks.layers import PartialClamp

PATTERNS = np.asarray(jr.normal(jr.key(0), (11, 6)))
QUERIES = np.asarray(PATTERNS[:7] + 0.3 * jr.normal(jr.key(1), (7, 6)))
MEMORY = Memory.store(PATTERNS, 4.0, chunk=4)


@pytest.mark.parametrize("similarity", [Dot(), Euclidean()], ids=["dot", "euclidean"])
@pytest.mark.parametrize("chunk", [3, 11, 4096])
def test_a_step_and_its_leaders_are_the_models_whatever_the_chunk(chunk, similarity):
    rows, beta = Rows(jnp.asarray(PATTERNS), similarity, 11, chunk), jnp.asarray(1.3)
    network = hopfax.ModernHopfield(PATTERNS, beta, similarity=similarity)
    found = jax.jit(lambda x: (step(rows, x, beta), leaders(rows, x, beta, 5)))(jnp.asarray(QUERIES))
    np.testing.assert_allclose(found[0], jax.vmap(network.update)(jnp.asarray(QUERIES)), atol=1e-12)
    shares = np.asarray(jax.vmap(network.association)(jnp.asarray(QUERIES)))
    np.testing.assert_allclose(found[1].shares, -np.sort(-shares)[:, :5], atol=1e-12)
    np.testing.assert_array_equal(found[1].index, np.argsort(-shares)[:, :5])


def test_with_unknown_values_distances_are_over_the_known_ones():
    rows, beta, known = Rows(jnp.asarray(PATTERNS), Euclidean(), 11, 4), jnp.asarray(1.3), jnp.arange(6) < 4
    found = jax.jit(step)(rows, jnp.asarray(QUERIES), beta, jnp.broadcast_to(known, QUERIES.shape))
    distances = np.sum((QUERIES[:, None, :4] - PATTERNS[None, :, :4]) ** 2, axis=2)
    np.testing.assert_allclose(found, softmax(-1.3 * distances / 2, axis=1) @ PATTERNS, atol=1e-12)


def test_scores_far_below_zero_and_far_above_do_not_overflow():
    rows = Rows(jnp.array([[1.0], [-1.0], [3.0]], jnp.float32), Dot(), 3, 1)
    states = jnp.array([[1e4], [-1e4]], jnp.float32)
    np.testing.assert_array_equal(step(rows, states, jnp.asarray(100.0, jnp.float32)), [[3.0], [-1.0]])


def test_recall_is_relaxing_the_ham():
    found = MEMORY.recall(QUERIES, tolerance=1e-12, max_steps=1000)
    expected = hopfax.relax(
        MEMORY.network().ham(),
        start={"visible": jnp.asarray(QUERIES)},
        method=hopfax.Method(rtol=0, atol=1e-13, max_steps=1000),
    )
    np.testing.assert_allclose(found.state, expected.state["visible"], atol=1e-10)
    assert found.converged.all()


def test_known_values_are_held_as_by_a_clamp_and_the_rest_found():
    known = np.arange(6) < 3
    queries = np.where(known, PATTERNS[:4], np.nan)
    found = MEMORY.recall(queries, known, tolerance=1e-12, max_steps=1000)
    np.testing.assert_array_equal(found.state[:, :3], PATTERNS[:4, :3])
    start = jnp.asarray(MEMORY.recall(queries, known, max_steps=0).state)
    clamp = {"visible": PartialClamp(start, jnp.asarray(known))}
    expected = hopfax.relax(
        MEMORY.network().ham(),
        clamp,
        start={"visible": start},
        method=hopfax.Method(rtol=0, atol=1e-13, max_steps=1000),
    )
    np.testing.assert_allclose(found.state, expected.state["visible"], atol=1e-9)


def test_classes_are_those_of_the_phase_analysis():
    for beta in (0.02, 0.3, 4.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AveragingWarning)
            memory = Memory.store(PATTERNS, beta, similarity=Dot())
        found = memory.recall(QUERIES)
        states = jnp.asarray(found.state)
        expected = jax.vmap(phase.classify, in_axes=(None, 0, None))(jnp.asarray(PATTERNS), states, beta)
        for name in ("kind", "size", "index", "confidence"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-9)
        listed = [set(row[row >= 0]) for row in found.members]
        wanted = [
            set(np.flatnonzero(row)) if k else set()
            for row, k in zip(expected.members, expected.kind, strict=True)
        ]
        assert listed == wanted


def test_one_pattern_is_named_with_confidence_and_a_blend_as_a_subset():
    rows = 3.0 * np.eye(6)
    single = Memory.store(rows, 5.0).recall(rows[2] + 0.1)
    assert (single.kind, single.index, single.size, single.members[0]) == (Kind.PATTERN, 2, 1, 2)
    assert single.confidence > 0.999
    pair = Memory.store(rows, 5.0).recall((rows[1] + rows[4]) / 2)
    assert pair.kind == Kind.SUBSET
    assert set(pair.members[pair.members >= 0]) == {1, 4}
    wide = Memory.store(rows, 5.0).recall(rows[:4].mean(axis=0), candidates=3)
    assert wide.kind == Kind.GLOBAL


def test_each_query_has_its_own_result_and_the_batch_changes_none():
    before = QUERIES.copy()
    batch = MEMORY.recall(QUERIES)
    np.testing.assert_array_equal(QUERIES, before)
    for i in range(3):
        alone = MEMORY.recall(QUERIES[i])
        np.testing.assert_allclose(alone.state, batch.state[i], atol=1e-13)
        assert alone.steps == batch.steps[i]
    cut = MEMORY.recall(QUERIES, max_steps=1)
    np.testing.assert_array_equal(cut.converged, batch.steps <= 1)


def test_numpy_comes_back_as_numpy_and_jax_as_jax():
    assert isinstance(MEMORY.recall(QUERIES).state, np.ndarray)
    assert isinstance(MEMORY.recall(jnp.asarray(QUERIES)).state, jax.Array)
    assert MEMORY.recall(np.ones(6, int)).state.shape == (6,)


@pytest.mark.parametrize("similarity", [Dot(), Euclidean()], ids=["dot", "euclidean"])
def test_working_memory_does_not_grow_with_the_number_of_patterns(similarity):
    def temporary(count):
        rows = Rows(jnp.zeros((count, 8)), similarity, count, 64)
        compiled = jax.jit(step).lower(rows, jnp.zeros((4, 8)), jnp.asarray(1.0)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # The loop's list of chunk numbers is all that grows: one number for 64 patterns of 8 values.
    assert temporary(64 * 100) - temporary(64 * 10) <= 90 * 8


def test_auto_recalls_digits_from_noise_and_halves_where_one_over_root_d_averages():
    digits = data.digits().train_images[:200].astype(float)
    noisy = digits + 0.2 * np.asarray(jr.normal(jr.key(3), digits.shape))
    half = np.where(np.arange(64) < 32, digits, np.nan)
    with pytest.warns(AveragingWarning):
        usual = Memory.store(digits, 1 / 8)
    memory = Memory.store(digits)
    for queries, known in ((noisy, None), (half, np.arange(64) < 32)):
        right = [np.mean(each.recall(queries, known).index == np.arange(200)) for each in (usual, memory)]
        assert right[1] > 0.9
        assert right[1] > right[0] + 0.2


@pytest.mark.parametrize("chunk", [4, 4096])
def test_values_are_read_out_with_the_shares_of_the_keys(chunk):
    labels = np.asarray(jr.normal(jr.key(5), (11, 3)))
    memory = Memory.store(PATTERNS, 4.0, values=labels, chunk=chunk)
    found = memory.recall(QUERIES)
    expected = jax.vmap(memory.network().read)(jnp.asarray(found.state))
    np.testing.assert_allclose(found.value, expected, atol=1e-12)
    np.testing.assert_array_equal(found.state, Memory.store(PATTERNS, 4.0, chunk=chunk).recall(QUERIES).state)
    sharp = Memory.store(PATTERNS, 400.0, values=labels).recall(PATTERNS[3])
    np.testing.assert_allclose(sharp.value, labels[3], atol=1e-9)
    assert MEMORY.recall(QUERIES).value is None


def test_files_keep_values(tmp_path):
    labels = np.eye(11)[:, :4]
    Memory.store(PATTERNS, 2.0, values=labels).save(tmp_path / "memory")
    np.testing.assert_array_equal(Memory.load(tmp_path / "memory").values, labels)


def test_files_give_back_the_same_memory(tmp_path):
    path = tmp_path / "memory.safetensors"
    Memory.store(PATTERNS, 2.0, similarity=Euclidean()).save(path)
    loaded = Memory.load(path)
    np.testing.assert_array_equal(loaded.patterns, PATTERNS)
    assert float(loaded.beta) == 2.0
    assert isinstance(loaded.rows.similarity, Euclidean)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def spoiled(tmp_path, spoil, about=None):
    path = tmp_path / "memory.safetensors"
    MEMORY.save(path)
    tensors = spoil(load_file(path))
    save_file(tensors, path, about or {"format": "hopfax memory", "version": "1", "similarity": "dot"})
    return path


@pytest.mark.parametrize(
    ("spoil", "about", "message"),
    [
        (lambda t: t, {"format": "other"}, "its format is 'other'"),
        (lambda t: t, {"format": "hopfax memory", "version": "1", "similarity": "cosine"}, "'cosine'"),
        (lambda t: {"beta": t["beta"]}, None, "its tensors have"),
        (lambda t: {**t, "patterns": np.full((2, 2), np.nan)}, None, "not all finite"),
        (lambda t: {**t, "beta": np.asarray(-1.0)}, None, "its beta is -1.0"),
        (lambda t: {**t, "values": np.ones((3, 2))}, None, r"its values, of shape \(3, 2\)"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, spoil, about, message):
    with pytest.raises(ValueError, match=message):
        Memory.load(spoiled(tmp_path, spoil, about))


def test_what_is_no_file_of_ours_is_refused_by_name(tmp_path):
    (tmp_path / "text").write_text("not tensors")
    with pytest.raises(ValueError, match="no safetensors file"):
        Memory.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Memory.load(tmp_path / "nothing")


def test_beta_in_the_averaging_regime_is_warned_of():
    unit = np.eye(6)
    needed = phase.thresholds(6).spinodal  # of orthonormal patterns: no factor
    with pytest.warns(AveragingWarning, match="likely to average"):
        Memory.store(unit, 0.95 * needed)
    Memory.store(unit, 1.05 * needed)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Memory.store(np.array([[1.0, np.nan], [0.0, 1.0]]), 1.0), r"rows \[0\]"),
        (lambda: Memory.store(np.ones((1, 3)), 1.0), "two rows or more"),
        (lambda: Memory.store(PATTERNS, -1.0), "`beta=-1.0` must be one number, positive"),
        (lambda: Memory.store(PATTERNS, 1.0, values=np.ones((3, 2))), "`values` has 3 rows for 11"),
        (lambda: Memory.store(PATTERNS, 1.0, values=np.full((11, 2), np.inf)), "`values` must be finite"),
        (lambda: MEMORY.recall(np.ones(5)), "5 values a row, patterns 6"),
        (lambda: MEMORY.recall(np.full(6, np.nan)), "NaN where `known` is false"),
        (lambda: MEMORY.recall(QUERIES, np.ones(5, bool)), "`known` has shape"),
        (lambda: MEMORY.recall(QUERIES, candidates=0), "`candidates=0`"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_spread_over_devices_it_recalls_the_same():
    """In a process of its own: the number of devices is fixed when JAX starts."""
    program = """
        import jax, numpy as np
        from hopfax.memory import Memory
        rng = np.random.default_rng(0)
        patterns = rng.normal(size=(10, 6)).astype(np.float32)
        queries = patterns + 0.2 * rng.normal(size=(10, 6)).astype(np.float32)
        whole = Memory.store(patterns, 3.0, values=rng.normal(size=(10, 2)))
        spread = whole.shard()
        assert len(spread.rows.patterns.sharding.device_set) == 4
        assert spread.rows.patterns.addressable_shards[0].data.shape == (3, 6)
        a, b = whole.recall(queries), spread.recall(queries)
        np.testing.assert_allclose(a.state, b.state, atol=1e-5)
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_allclose(a.value, b.value, atol=1e-5)
        np.testing.assert_allclose(a.confidence, b.confidence, atol=1e-5)
        np.testing.assert_array_equal(spread.patterns, patterns)
    """
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env={**os.environ, **flags}, capture_output=True
    )
    assert found.returncode == 0, found.stderr.decode()[-2000:]
