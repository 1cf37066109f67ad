"""`Memory` equals its model, whatever the chunks and devices; masks; files; errors."""

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
from hopfax.memory import inputs, phase
from hopfax.memory.memory import AveragingWarning, Memory
from hopfax.memory.phase import StateKind
from hopfax.memory.sharded import ShardedPatterns
from hopfax.memory.similarities import Dot, Euclidean
from hopfax.memory.streaming import top_k, update
from hopfax.networks.layers import PartialClamp

PATTERNS = np.asarray(jr.normal(jr.key(0), (11, 6)))
QUERIES = np.asarray(PATTERNS[:7] + 0.3 * jr.normal(jr.key(1), (7, 6)))
MEMORY = Memory.store(PATTERNS, 4.0, chunk=4)


@pytest.mark.parametrize("similarity", [Dot(), Euclidean()], ids=["dot", "euclidean"])
@pytest.mark.parametrize("chunk", [3, 11, 4096])
def test_update_and_largest_weights_are_those_of_the_model_whatever_the_chunk(chunk, similarity):
    stored, beta = ShardedPatterns(jnp.asarray(PATTERNS), similarity, 11, chunk), jnp.asarray(1.3)
    network, queries = hopfax.ModernHopfield(PATTERNS, beta, similarity=similarity), jnp.asarray(QUERIES)
    states, top = jax.jit(lambda x: (update(stored, x, beta), top_k(stored, x, beta, 5)))(queries)
    updates, weights = jax.jit(jax.vmap(lambda x: (network.update(x), network.weights(x))))(queries)
    weights = np.asarray(weights)
    np.testing.assert_allclose(states, updates, atol=1e-12)
    np.testing.assert_allclose(top.weights, -np.sort(-weights)[:, :5], atol=1e-12)
    np.testing.assert_array_equal(top.index, np.argsort(-weights)[:, :5])


def test_with_a_mask_distances_are_over_the_known_elements():
    stored, beta = ShardedPatterns(jnp.asarray(PATTERNS), Euclidean(), 11, 4), jnp.asarray(1.3)
    known = jnp.broadcast_to(jnp.arange(6) < 4, QUERIES.shape)
    states = jax.jit(update)(stored, jnp.asarray(QUERIES), beta, known)
    distances = np.sum((QUERIES[:, None, :4] - PATTERNS[None, :, :4]) ** 2, axis=2)
    np.testing.assert_allclose(states, softmax(-1.3 * distances / 2, axis=1) @ PATTERNS, atol=1e-12)


def test_scores_far_below_zero_and_far_above_do_not_overflow():
    stored = ShardedPatterns(jnp.array([[1.0], [-1.0], [3.0]], jnp.float32), Dot(), 3, 1)
    states = jnp.array([[1e4], [-1e4]], jnp.float32)
    np.testing.assert_array_equal(update(stored, states, jnp.asarray(100.0, jnp.float32)), [[3.0], [-1.0]])


def test_recall_is_relaxing_the_ham():
    recalled = MEMORY.recall(QUERIES, tolerance=1e-12, max_steps=1000)
    expected = hopfax.relax(
        MEMORY.network().ham(),
        start={"visible": jnp.asarray(QUERIES)},
        method=hopfax.Method(rtol=0, atol=1e-13, max_steps=1000),
    )
    np.testing.assert_allclose(recalled.state, expected.state["visible"], atol=1e-10)
    assert recalled.converged.all()


def test_known_elements_are_fixed_as_by_a_clamp_and_the_others_filled_in():
    known = np.arange(6) < 3
    queries = np.where(known, PATTERNS[:4], np.nan)
    recalled = MEMORY.recall(queries, known, tolerance=1e-12, max_steps=1000)
    np.testing.assert_array_equal(recalled.state[:, :3], PATTERNS[:4, :3])
    start = jnp.asarray(MEMORY.recall(queries, known, max_steps=0).state)
    clamp = {"visible": PartialClamp(start, jnp.asarray(known))}
    expected = hopfax.relax(
        MEMORY.network().ham(),
        clamp,
        start={"visible": start},
        method=hopfax.Method(rtol=0, atol=1e-13, max_steps=1000),
    )
    np.testing.assert_allclose(recalled.state, expected.state["visible"], atol=1e-9)


@pytest.mark.parametrize("similarity", [Dot(), Euclidean()], ids=["dot", "euclidean"])
def test_whatever_unknown_elements_hold_has_no_influence(similarity):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AveragingWarning)
        memory = Memory.store(PATTERNS, 1.5, similarity=similarity, chunk=4)
    known = np.arange(6) < 3
    expected = memory.recall(QUERIES, known)
    for filler in (0.0, 7.0, -1e30, np.nan, np.inf):
        recalled = memory.recall(np.where(known, QUERIES, filler), known)
        for name in ("state", "kind", "index", "weight", "steps", "residual"):
            one, other = getattr(recalled, name), getattr(expected, name)
            np.testing.assert_array_equal(one, other, err_msg=f"{name}, with {filler}")


def test_halves_of_integer_images_with_zeros_in_the_hole_are_completed():
    images = (255 * data.digits().train_images[:500]).astype(np.uint8)
    known = np.arange(64) >= 32
    memory = Memory.store(images)
    recalled = memory.recall(np.where(known, images, 0).astype(np.uint8), known=known)
    assert np.mean(recalled.index == np.arange(500)) >= 0.98
    with_nan = memory.recall(np.where(known, images, np.nan), known=known)
    np.testing.assert_array_equal(recalled.index, with_nan.index)


def test_kinds_are_those_of_the_classification_of_the_model():
    for beta in (0.02, 0.3, 4.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AveragingWarning)
            memory = Memory.store(PATTERNS, beta, similarity=Dot())
        recalled, network = memory.recall(QUERIES), memory.network()
        expected = jax.vmap(lambda x, net=network: phase.classify(net, x))(jnp.asarray(recalled.state))
        for name in ("kind", "size", "index", "confidence"):
            np.testing.assert_allclose(getattr(recalled, name), getattr(expected, name), atol=1e-9)
        members = [
            set(np.flatnonzero(row)) if k else set()
            for row, k in zip(expected.members, expected.kind, strict=True)
        ]
        assert [set(row[row >= 0]) for row in recalled.members] == members


def test_one_pattern_is_recalled_with_confidence_and_an_average_as_a_subset():
    rows = 3.0 * np.eye(6)
    single = Memory.store(rows, 5.0).recall(rows[2] + 0.1)
    assert (single.kind, single.index, single.size, single.members[0]) == (StateKind.PATTERN, 2, 1, 2)
    assert single.confidence > 0.999
    pair = Memory.store(rows, 5.0).recall((rows[1] + rows[4]) / 2)
    assert pair.kind == StateKind.SUBSET
    assert set(pair.members[pair.members >= 0]) == {1, 4}
    wide = Memory.store(rows, 5.0).recall(rows[:4].mean(axis=0), candidates=3)
    assert wide.kind == StateKind.GLOBAL


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


@pytest.mark.parametrize("known", [None, np.arange(6) < 4], ids=["whole", "masked"])
def test_a_batch_from_which_converged_queries_are_dropped_recalls_as_each_alone(known):
    """60 queries are cut to 20 and to 5; some of them need many steps, and some are stopped."""
    queries = np.asarray(2 * jr.normal(jr.key(5), (60, 6)))
    memory = Memory.store(PATTERNS, 1.1, chunk=4)
    options = {"known": known, "tolerance": 1e-9, "max_steps": 40}
    together = memory.recall(queries, **options)
    alone = [memory.recall(query, **options) for query in queries]
    np.testing.assert_array_equal(together.steps, [one.steps for one in alone])
    np.testing.assert_array_equal(together.status, [one.status for one in alone])
    np.testing.assert_allclose(together.state, [one.state for one in alone], atol=1e-12)
    assert np.ptp(together.steps) > 20
    assert 0 < np.sum(~together.converged) < 60


def test_numpy_comes_back_as_numpy_and_jax_as_jax():
    assert isinstance(MEMORY.recall(QUERIES).state, np.ndarray)
    assert isinstance(MEMORY.recall(jnp.asarray(QUERIES)).state, jax.Array)
    assert MEMORY.recall(np.ones(6, int)).state.shape == (6,)


@pytest.mark.parametrize("similarity", [Dot(), Euclidean()], ids=["dot", "euclidean"])
def test_working_memory_does_not_grow_with_the_number_of_patterns(similarity):
    def temporary(count):
        stored = ShardedPatterns(jnp.zeros((count, 8)), similarity, count, 64)
        compiled = jax.jit(update).lower(stored, jnp.zeros((4, 8)), jnp.asarray(1.0)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    # The loop's list of chunk numbers is all that grows: one number for 64 patterns of 8 values.
    assert temporary(64 * 100) - temporary(64 * 10) <= 90 * 8


def test_auto_recalls_digits_from_noise_and_from_halves_where_one_over_root_d_averages():
    digits = data.digits().train_images[:200].astype(float)
    noisy = digits + 0.2 * np.asarray(jr.normal(jr.key(3), digits.shape))
    half = np.where(np.arange(64) < 32, digits, np.nan)
    with pytest.warns(AveragingWarning):
        attention = Memory.store(digits, 1 / 8)
    memory = Memory.store(digits)
    for queries, known in ((noisy, None), (half, np.arange(64) < 32)):
        right = [np.mean(m.recall(queries, known).index == np.arange(200)) for m in (attention, memory)]
        assert right[1] > 0.9
        assert right[1] > right[0] + 0.2


@pytest.mark.parametrize("chunk", [4, 4096])
def test_values_are_read_out_with_the_weights_of_the_keys(chunk):
    labels = np.asarray(jr.normal(jr.key(5), (11, 3)))
    memory = Memory.store(PATTERNS, 4.0, values=labels, chunk=chunk)
    recalled, without = memory.recall(QUERIES), Memory.store(PATTERNS, 4.0, chunk=chunk).recall(QUERIES)
    expected = jax.vmap(memory.network().read)(jnp.asarray(recalled.state))
    np.testing.assert_allclose(recalled.value, expected, atol=1e-12)
    np.testing.assert_array_equal(recalled.state, without.state)
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
    assert isinstance(loaded.stored.similarity, Euclidean)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


ABOUT = {"format": "hopfax memory", "version": "1", "similarity": "dot"}
METRIC = '{"kind": "Mahalanobis", "neighbours": 1, "ridge": 0.1}'


def altered(tmp_path, change, metadata=None):
    path = tmp_path / "memory.safetensors"
    MEMORY.save(path)
    tensors = change(load_file(path))
    save_file(tensors, path, metadata or ABOUT)
    return path


@pytest.mark.parametrize(
    ("change", "metadata", "message"),
    [
        (lambda t: t, {"format": "other"}, "its format is 'other'"),
        (lambda t: t, {"format": "hopfax memory", "version": "1", "similarity": "cosine"}, "'cosine'"),
        (lambda t: {"beta": t["beta"]}, None, "its tensors have"),
        (lambda t: {**t, "patterns": np.full((2, 2), np.nan)}, None, "not all finite"),
        (lambda t: {**t, "beta": np.asarray(-1.0)}, None, "its beta is -1.0"),
        (lambda t: {**t, "values": np.ones((3, 2))}, None, r"its values, of shape \(3, 2\)"),
        (lambda t: t, {**ABOUT, "separation": "3"}, "its separation cannot be read: 3 does not describe"),
        (lambda t: t, {**ABOUT, "separation": "{"}, "its separation cannot be read"),
        (
            lambda t: t,
            {**ABOUT, "metric": '{"kind": "Softmax", "beta": 1.0}'},
            "its metric cannot be read: 'Soft",
        ),
        (lambda t: t, {**ABOUT, "metric": METRIC}, r"its metric cannot be read: .*neighbours=1"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, change, metadata, message):
    with pytest.raises(ValueError, match=message):
        Memory.load(altered(tmp_path, change, metadata))


def test_a_file_that_is_not_a_memory_is_refused_by_name(tmp_path):
    (tmp_path / "text").write_text("not tensors")
    with pytest.raises(ValueError, match="text is not a safetensors file"):
        Memory.load(tmp_path / "text")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Memory.load(tmp_path / "nothing")


def test_arrays_of_another_byte_order_are_converted(tmp_path):
    expected = MEMORY.recall(QUERIES)
    for dtype in (">f8", ">f4"):
        memory = Memory.store(PATTERNS.astype(dtype), 4.0, chunk=4)
        recalled = memory.recall(QUERIES.astype(dtype))
        np.testing.assert_allclose(recalled.state, expected.state, rtol=1e-5)
    np.save(tmp_path / "patterns.npy", PATTERNS.astype(">f8"))
    mapped = Memory.store_sharded(np.load(tmp_path / "patterns.npy", mmap_mode="r"), 4.0)
    np.testing.assert_allclose(mapped.recall(QUERIES).state, expected.state, rtol=1e-12)


def test_tensors_of_other_libraries_are_refused_with_the_remedy():
    tensor = type("Tensor", (), {"__module__": "torch", "shape": (2, 3), "dtype": "float32"})()
    with pytest.raises(ValueError, match=r"`patterns` is a `torch.Tensor`; .* `np.asarray\(patterns\)`"):
        inputs.as_array("patterns", tensor)


def test_storing_warns_of_a_beta_in_the_averaging_regime():
    unit = np.eye(6)
    spinodal = phase.thresholds(6).spinodal  # in beta too, for orthonormal patterns
    with pytest.warns(AveragingWarning, match="likely to average"):
        Memory.store(unit, 0.95 * spinodal)
    Memory.store(unit, 1.05 * spinodal)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Memory.store(np.array([[1.0, np.nan], [0.0, 1.0]]), 1.0), r"rows \[0\]"),
        (lambda: Memory.store(np.ones((1, 3)), 1.0), "two rows or more"),
        (lambda: Memory.store(PATTERNS, -1.0), "`beta=-1.0` must be one number, positive"),
        (lambda: Memory.store(PATTERNS, 1.0, values=np.ones((3, 2))), "`values` has 3 rows for 11"),
        (lambda: Memory.store(PATTERNS, 1.0, values=np.full((11, 2), np.inf)), "`values` must be finite"),
        (lambda: MEMORY.recall(np.ones(5)), "5 elements in a row, the patterns have 6"),
        (lambda: MEMORY.recall(np.full(6, np.nan)), "finite where `known` is true"),
        (lambda: MEMORY.recall(QUERIES, np.ones(5, bool)), "`known` has shape"),
        (lambda: MEMORY.recall(np.full(6, np.nan), np.arange(6) > 0), r"rows \[0\]"),
        (lambda: MEMORY.recall(QUERIES, candidates=0), "`candidates=0`"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_sharded_over_devices_it_recalls_the_same():
    """In a process of its own: the number of devices is fixed when JAX starts."""
    program = """
        import jax, numpy as np
        from hopfax.memory import Mahalanobis, Memory
        rng = np.random.default_rng(0)
        patterns = rng.normal(size=(10, 6)).astype(np.float32)
        queries = patterns + 0.2 * rng.normal(size=(10, 6)).astype(np.float32)
        whole = Memory.store(patterns, 3.0, values=rng.normal(size=(10, 2)))
        sharded = whole.shard()
        assert len(sharded.stored.patterns.sharding.device_set) == 4
        assert sharded.stored.patterns.addressable_shards[0].data.shape == (3, 6)
        a, b = whole.recall(queries), sharded.recall(queries)
        np.testing.assert_allclose(a.state, b.state, atol=1e-5)
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_allclose(a.value, b.value, atol=1e-5)
        np.testing.assert_allclose(a.confidence, b.confidence, atol=1e-5)
        np.testing.assert_array_equal(sharded.patterns, patterns)
        unknown = np.arange(6) >= 3
        a, b = (m.recall(np.where(unknown, 0, queries), ~unknown) for m in (whole, sharded))
        np.testing.assert_allclose(a.state, b.state, atol=1e-5)
        whole = Memory.store(patterns, metric=Mahalanobis(neighbours=7))
        for sharded in (whole.shard(), whole.add(queries[:3]).remove([10, 11, 12]).shard()):
            a, b = (m.recall(queries, ~unknown) for m in (whole, sharded))
            np.testing.assert_allclose(a.state, b.state, atol=1e-4)
            np.testing.assert_array_equal(a.index, b.index)
        from hopfax.lagrangians import Sparsemax
        from hopfax.memory import Epanechnikov
        for separation, beta in ((Sparsemax, 0.02), (Sparsemax, 2.0), (Epanechnikov, 0.3)):
            whole = Memory.store(patterns, beta, separation=separation)
            a, b = whole.recall(queries), whole.add(queries[:3]).remove([10, 11, 12]).shard().recall(queries)
            for name in ("state", "weight", "size"):
                np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-5)
    """
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env={**os.environ, **flags}, capture_output=True
    )
    assert process.returncode == 0, process.stderr.decode()[-2000:]


@pytest.mark.slow
def test_memories_work_without_optional_packages():
    """In a process in which hopfax itself can import none of them; JAX needs SciPy and may."""
    program = """
        import builtins, importlib, sys
        absent, plain, dynamic = ("scipy", "sklearn", "matplotlib"), builtins.__import__, importlib.import_module
        def refuse(name, importer):
            if name.split(".")[0] in absent and importer.startswith("hopfax"):
                raise ImportError(f"No module named {name!r}")
        def import_(name, globals=None, locals=None, fromlist=(), level=0):
            if level == 0:
                refuse(name, (globals or {}).get("__name__", ""))
            return plain(name, globals, locals, fromlist, level)
        def import_module(name, package=None):
            refuse(name, sys._getframe(1).f_globals["__name__"])
            return dynamic(name, package)
        builtins.__import__, importlib.import_module = import_, import_module
        import numpy as np
        import hopfax, hopfax.memory
        from hopfax.memory import phase
        patterns = np.random.default_rng(0).normal(size=(10, 6))
        memory = hopfax.Memory.store(patterns)
        assert memory.recall(patterns).index.tolist() == list(range(10))
        assert memory.recall(patterns, known=np.arange(6) < 4).converged.all()
        assert hopfax.memory.calibrate(patterns).beta > 0
        network = memory.network()
        assert phase.is_minimum(network, network.retrieve(network.patterns[0]).state)
        assert phase.thresholds(100).spinodal > 7
        try:
            phase.branches(5, 7.0)
        except ImportError as error:
            assert "pip install 'hopfax[apps]'" in str(error), error
        else:
            raise AssertionError("SciPy could be imported")
    """
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environment, capture_output=True
    )
    assert process.returncode == 0, process.stderr.decode()[-2000:]
