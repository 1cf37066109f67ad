"""Wrong uses of associative memories, of their calibration, phase transition and capacity."""

import functools as ft

import jax.numpy as jnp
import numpy as np

from hopfax import Memory, ModernHopfield
from hopfax.lagrangians import KSubsets, Normmax, Polynomial, Softmax, Sparsemax
from hopfax.layers import (
    DecoderBlock,
    EncoderBlock,
    Hopfield,
    HopfieldLayer,
    HopfieldPooling,
    Relaxed,
    Repeated,
    Sizes,
)
from hopfax.memory import (
    AbstractIndex,
    Dot,
    Epanechnikov,
    FaissIndex,
    IndexedMemory,
    Mahalanobis,
    MappedMemory,
    RandomFeatureMemory,
    consolidate,
    emergent_minima,
    phase,
)
from hopfax.memory.binary import BinaryHopfield, RandomSchedule
from hopfax.memory.calibration import calibrate
from hopfax.memory.capacity import measure as capacity
from hopfax.memory.capacity import spurious
from hopfax.memory.capacity.memories import binary
from hopfax.memory.capacity.patterns import CorrelatedSigns, HierarchicalSigns, Mask, Noise
from hopfax.memory.storage_rules import hebb, storkey

from .networks import KEY
from .table import Row

NAN = float("nan")
PATTERNS = np.array([[1, 1, -1], [-1, 1, 1]], np.float32)
NOT_FINITE = np.array([[1, NAN, 0], [0, 1, 0]], np.float32)
SIGNS = np.array([[1.0, -1.0, 1.0, -1.0]], np.float32)


class Tensor:
    """An array of another library, which JAX does not take."""

    shape, ndim, dtype = (2, 3), 2, "float32"

    def __len__(self) -> int:
        return 2


class Nowhere(AbstractIndex):
    """An index that finds nothing."""

    exact: bool = False

    def search(self, queries, k):
        return np.full((len(queries), k), -1)


@ft.cache
def memory() -> Memory:
    return Memory.store(PATTERNS, 5.0)


def stored(patterns=PATTERNS, beta=1.0, **options) -> Memory:
    return Memory.store(patterns, beta, **options)


def fourfold() -> Memory:
    return stored(np.vstack([PATTERNS, -PATTERNS]))


def recalled(queries, known=None, **options) -> object:
    return memory().recall(queries, known, **options)


def binary_network() -> BinaryHopfield:
    return BinaryHopfield(np.zeros((4, 4), np.float32))


def trial(**options) -> capacity.Trial:
    return capacity.Trial(4, **options)


ROWS_OF_SIX = np.ones((3, 6), np.float32)


def hopfield(sizes=6, **options) -> Hopfield:
    return Hopfield(sizes, **{"heads": 2, "key": KEY, **options})


def associated(*rows, **masks) -> object:
    return hopfield()(*(rows or (ROWS_OF_SIX,)), **masks)


LAYERS = [
    Row("layer of width zero", lambda _: hopfield(0), ValueError, r"Sizes\(queries=0\).*at least 1"),
    Row("layer of width 2.5", lambda _: hopfield(2.5), ValueError, r"queries=2\.5.*whole number"),
    Row("layer of no outputs", lambda _: hopfield(Sizes(6, outputs=0)), ValueError, r"outputs=0"),
    Row("layer of no heads", lambda _: hopfield(heads=0), ValueError, r"heads=0.*at least 1"),
    Row("layer of four heads for six", lambda _: hopfield(heads=4), ValueError, r"no multiple of `heads=4`"),
    Row("layer at beta zero", lambda _: hopfield(beta=0.0), ValueError, r"`beta` must be positive"),
    Row("layer of betas NaN", lambda _: hopfield(beta=np.array([1, NAN])), ValueError, r"positive"),
    Row("layer of three betas", lambda _: hopfield(beta=np.ones(3)), ValueError, r"`beta` has shape.*\(2,\)"),
    Row("layer without a key", lambda _: hopfield(key=0), ValueError, r"Hopfield\(key=\.\.\.\)"),
    Row(
        "layer of an iteration by number",
        lambda _: hopfield(iteration=3),
        ValueError,
        r"iteration=3.*Repeated\(3\)",
    ),
    Row("minus one update", lambda _: Repeated(-1), ValueError, r"max_steps=-1"),
    Row("updates to a negative tolerance", lambda _: Repeated(1, -1.0), ValueError, r"tolerance=-1"),
    Row("relaxed by a name", lambda _: Relaxed("anderson"), ValueError, r"method.*Method\("),
    Row(
        "queries of another width",
        lambda _: associated(np.ones((3, 5))),
        ValueError,
        r"`patterns`.*\(rows, 6\)",
    ),
    Row(
        "a batch of queries", lambda _: associated(np.ones((2, 3, 6))), ValueError, r"Batch with `jax\.vmap`"
    ),
    Row("no patterns", lambda _: associated(ROWS_OF_SIX, ROWS_OF_SIX[:0]), ValueError, r"at least one row"),
    Row(
        "more values than patterns",
        lambda _: associated(ROWS_OF_SIX, ROWS_OF_SIX[:2], ROWS_OF_SIX),
        ValueError,
        r"3 rows for 2 patterns",
    ),
    Row(
        "association of a tensor",
        lambda _: associated(Tensor()),
        ValueError,
        r"np\.asarray",
    ),
    Row(
        "pattern mask of another length",
        lambda _: associated(pattern_mask=np.ones(2, bool)),
        ValueError,
        r"`pattern_mask` has shape \(2,\)",
    ),
    Row(
        "pattern mask of numbers",
        lambda _: associated(pattern_mask=np.ones(3)),
        ValueError,
        r"`pattern_mask` must be bool",
    ),
    Row(
        "pattern mask false everywhere",
        lambda _: associated(pattern_mask=np.zeros(3, bool)),
        ValueError,
        r"`pattern_mask` is false everywhere",
    ),
    Row(
        "association mask of another shape",
        lambda _: associated(association_mask=np.ones(3, bool)),
        ValueError,
        r"`association_mask` has shape \(3,\); it must be \(3, 3\)",
    ),
    Row(
        "association mask of numbers",
        lambda _: associated(association_mask=np.ones((3, 3))),
        ValueError,
        r"`association_mask` must be bool",
    ),
    Row(
        "pooling without a layer",
        lambda _: HopfieldPooling(Hopfield, ROWS_OF_SIX),
        ValueError,
        r"association=Hopfield\)",
    ),
    Row(
        "pooling by queries of another width",
        lambda _: HopfieldPooling(hopfield(), np.ones((1, 5))),
        ValueError,
        r"`queries` has shape \(1, 5\).*width 6",
    ),
    Row(
        "lookup of patterns NaN",
        lambda _: HopfieldLayer(hopfield(), ROWS_OF_SIX * NAN),
        ValueError,
        r"`patterns` must be finite",
    ),
    Row(
        "lookup of values of another width",
        lambda _: HopfieldLayer(hopfield(), ROWS_OF_SIX, np.ones((3, 5))),
        ValueError,
        r"`values` has shape \(3, 5\).*width 6",
    ),
    Row(
        "lookup of more values than patterns",
        lambda _: HopfieldLayer(hopfield(), ROWS_OF_SIX, np.ones((4, 6))),
        ValueError,
        r"4 rows for 3 patterns",
    ),
    Row(
        "encoder block of another width",
        lambda _: EncoderBlock(hopfield(Sizes(6, outputs=5)), 9, key=KEY),
        ValueError,
        r"width 6 and outputs of width 5",
    ),
    Row(
        "encoder block of nothing hidden",
        lambda _: EncoderBlock(hopfield(), 0, key=KEY),
        ValueError,
        r"hidden=0",
    ),
    Row(
        "decoder block of two widths",
        lambda _: DecoderBlock(hopfield(), hopfield(4), 9, key=KEY),
        ValueError,
        r"width 4, and `association` of 6",
    ),
]


ROWS = [
    Row("memory of NaN", lambda _: stored(NOT_FINITE), ValueError, r"`patterns` must be finite; rows \[0\]"),
    Row("memory of infinity", lambda _: stored(PATTERNS * np.inf), ValueError, r"`patterns` must be finite"),
    Row("memory of one pattern", lambda _: stored(PATTERNS[:1]), ValueError, r"two rows or more.*got 1"),
    Row(
        "memory of nothing",
        lambda _: stored(np.zeros((0, 3), np.float32)),
        ValueError,
        r"two rows or more.*got 0",
    ),
    Row(
        "memory of empty patterns",
        lambda _: stored(np.zeros((3, 0), np.float32)),
        ValueError,
        r"`patterns`.*\(3, 0\)",
    ),
    Row("memory of a vector", lambda _: stored(PATTERNS[0]), ValueError, r"`patterns`.*\(3,\).*row"),
    Row(
        "memory of images not flattened",
        lambda _: stored(np.zeros((4, 2, 2), np.float32)),
        ValueError,
        r"`patterns`.*\(4, 2, 2\).*reshape",
    ),
    Row("memory of a number", lambda _: stored(3.0), ValueError, r"`patterns`.*\(\)"),
    Row("memory of complex numbers", lambda _: stored(PATTERNS + 1j), ValueError, r"`patterns`.*complex"),
    Row(
        "memory of text", lambda _: stored(np.array([["a"], ["b"]])), ValueError, r"`patterns`.*real numbers"
    ),
    Row(
        "memory of a ragged list",
        lambda _: stored([[1.0, 2.0], [1.0]]),
        ValueError,
        r"`patterns`.*real numbers",
    ),
    Row("memory of a tensor", lambda _: stored(Tensor()), ValueError, r"`patterns`.*Tensor.*np\.asarray"),
    Row(
        "memory with values in a tensor",
        lambda _: stored(values=Tensor()),
        ValueError,
        r"`values`.*Tensor.*np\.asarray",
    ),
    Row(
        "memory with a metric by name",
        lambda _: stored(metric="x"),
        ValueError,
        r"`metric='x'`.*Mahalanobis\(\)",
    ),
    Row("metric without a ridge", lambda _: Mahalanobis(ridge=0.0), ValueError, r"Mahalanobis\(ridge=0\.0\)"),
    Row("metric of no patterns", lambda _: Mahalanobis(1), ValueError, r"neighbours=1.*at least 2"),
    Row(
        "recall with a metric, nothing unknown",
        lambda _: stored(metric=Mahalanobis()).recall(PATTERNS),
        ValueError,
        r"`known` is needed.*isnan",
    ),
    Row(
        "network of a memory with a metric",
        lambda _: stored(metric=Mahalanobis()).network(),
        ValueError,
        r"without a `metric`",
    ),
    Row("memory of None", lambda _: stored(None), ValueError, r"`patterns`"),
    Row("memory at beta zero", lambda _: stored(beta=0.0), ValueError, r"`beta=0\.0`.*positive"),
    Row("memory at negative beta", lambda _: stored(beta=-1.0), ValueError, r"`beta=-1\.0`.*positive"),
    Row("memory at beta NaN", lambda _: stored(beta=NAN), ValueError, r"`beta=nan`"),
    Row("memory at infinite beta", lambda _: stored(beta=float("inf")), ValueError, r"`beta=inf`"),
    Row(
        "memory at beta 'automatic'",
        lambda _: stored(beta="automatic"),
        ValueError,
        r"beta.*\"auto\".*'automatic'",
    ),
    Row("memory at complex beta", lambda _: stored(beta=1j), ValueError, r"`beta=1j`"),
    Row("memory at two betas", lambda _: stored(beta=np.ones(2)), ValueError, r"`beta=.*one number"),
    Row("memory at beta None", lambda _: stored(beta=None), ValueError, r"`beta=None`"),
    Row(
        "memory with values for another number of patterns",
        lambda _: stored(values=np.zeros((3, 1))),
        ValueError,
        r"`values` has 3 rows for 2 patterns",
    ),
    Row(
        "memory with values that are not finite",
        lambda _: stored(values=np.full((2, 1), NAN)),
        ValueError,
        r"`values` must be finite",
    ),
    Row(
        "memory with a vector of values",
        lambda _: stored(values=np.zeros(2)),
        ValueError,
        r"`values`.*\(2,\).*row",
    ),
    Row(
        "memory with a named similarity",
        lambda _: stored(similarity="dot"),
        ValueError,
        r"similarity='dot'.*Dot\(\)",
    ),
    Row("memory in chunks of nothing", lambda _: stored(chunk=0), ValueError, r"chunk=0.*at least 1"),
    Row("memory in chunks of a half", lambda _: stored(chunk=2.5), ValueError, r"chunk=2\.5.*whole"),
    Row(
        "sharded memory of NaN",
        lambda _: Memory.store_sharded(NOT_FINITE, 1.0),
        ValueError,
        r"`patterns` must be finite",
    ),
    Row(
        "sharded memory of a vector",
        lambda _: Memory.store_sharded(PATTERNS[0], 1.0),
        ValueError,
        r"`patterns`.*\(3,\)",
    ),
    Row(
        "sharded memory without devices",
        lambda _: Memory.store_sharded(PATTERNS, 1.0, devices=[]),
        ValueError,
        r"devices=\[\].*jax\.devices",
    ),
    Row("sharding over no devices", lambda _: memory().shard([]), ValueError, r"devices=\[\].*jax\.devices"),
    Row("sharding over names", lambda _: memory().shard(["cpu:0"]), ValueError, r"devices.*'cpu:0'"),
    Row(
        "query of another width",
        lambda _: recalled(np.zeros(4)),
        ValueError,
        r"`queries` has 4 elements in a row, the patterns have 3",
    ),
    Row(
        "query of three axes",
        lambda _: recalled(np.zeros((1, 1, 3))),
        ValueError,
        r"`queries` has shape \(1, 1, 3\)",
    ),
    Row("query of a number", lambda _: recalled(1.0), ValueError, r"`queries` has shape \(\)"),
    Row(
        "no queries",
        lambda _: recalled(np.zeros((0, 3))),
        ValueError,
        r"`queries` has shape \(0, 3\).*at least one",
    ),
    Row(
        "query with NaN and no mask",
        lambda _: recalled(NOT_FINITE),
        ValueError,
        r"`queries`.*`known`.*rows \[0\]",
    ),
    Row(
        "query with infinity", lambda _: recalled(PATTERNS * np.inf), ValueError, r"`queries` must be finite"
    ),
    Row(
        "query with infinity in a known element",
        lambda _: recalled(PATTERNS * np.array([np.inf, 1, 1]), np.array([True, False, False])),
        ValueError,
        r"`queries` must be finite where `known`.*rows \[0, 1\]",
    ),
    Row("query in a tensor", lambda _: recalled(Tensor()), ValueError, r"`queries`.*Tensor.*np\.asarray"),
    Row("mask in a tensor", lambda _: recalled(PATTERNS, Tensor()), ValueError, r"`known`.*np\.asarray"),
    Row("query of complex numbers", lambda _: recalled(PATTERNS + 1j), ValueError, r"`queries`.*complex"),
    Row(
        "query of text", lambda _: recalled(np.array(["a", "b", "c"])), ValueError, r"`queries`.*real numbers"
    ),
    Row(
        "mask of another shape",
        lambda _: recalled(PATTERNS, np.ones(2, bool)),
        ValueError,
        r"`known` has shape \(2,\).*\(2, 3\) or \(3,\)",
    ),
    Row(
        "mask of numbers",
        lambda _: recalled(PATTERNS, np.array([0.0, 0.5, 1.0])),
        ValueError,
        r"`known`.*bool",
    ),
    Row(
        "recall to a negative tolerance",
        lambda _: recalled(PATTERNS, tolerance=-1.0),
        ValueError,
        r"tolerance=-1\.0",
    ),
    Row(
        "recall to a tolerance of NaN",
        lambda _: recalled(PATTERNS, tolerance=NAN),
        ValueError,
        r"tolerance=nan",
    ),
    Row("recall in negative steps", lambda _: recalled(PATTERNS, max_steps=-1), ValueError, r"max_steps=-1"),
    Row("recall in half steps", lambda _: recalled(PATTERNS, max_steps=1.5), ValueError, r"max_steps=1\.5"),
    Row(
        "recall of no candidates",
        lambda _: recalled(PATTERNS, candidates=0),
        ValueError,
        r"candidates=0.*at least 1",
    ),
    Row(
        "recall of half candidates",
        lambda _: recalled(PATTERNS, candidates=1.5),
        ValueError,
        r"candidates.*1\.5",
    ),
    Row(
        "modern network of NaN",
        lambda _: ModernHopfield(NOT_FINITE, 1.0),
        ValueError,
        r"`patterns` must be finite; rows \[0\]",
    ),
    Row(
        "modern network of a vector",
        lambda _: ModernHopfield(PATTERNS[0], 1.0),
        ValueError,
        r"`patterns`.*\(3,\).*row",
    ),
    Row(
        "modern network of nothing",
        lambda _: ModernHopfield(np.zeros((0, 3), np.float32), 1.0),
        ValueError,
        r"`patterns`.*\(0, 3\)",
    ),
    Row(
        "modern network of complex numbers",
        lambda _: ModernHopfield(PATTERNS + 1j, 1.0),
        ValueError,
        r"`patterns`.*complex",
    ),
    Row(
        "modern network at beta zero", lambda _: ModernHopfield(PATTERNS, 0.0), ValueError, r"beta.*positive"
    ),
    Row(
        "modern network at two betas",
        lambda _: ModernHopfield(PATTERNS, np.ones(2)),
        ValueError,
        r"beta.*one positive",
    ),
    Row(
        "modern network with a made separation",
        lambda _: ModernHopfield(PATTERNS, 1.0, separation=Softmax(1.0)),
        ValueError,
        r"separation.*Softmax",
    ),
    Row(
        "modern network with a named similarity",
        lambda _: ModernHopfield(PATTERNS, 1.0, similarity="dot"),
        ValueError,
        r"similarity='dot'",
    ),
    Row(
        "modern network with named visible neurons",
        lambda _: ModernHopfield(PATTERNS, 1.0, visible="tanh"),
        ValueError,
        r"visible.*'tanh'",
    ),
    Row(
        "modern network with a mask for other patterns",
        lambda _: ModernHopfield(PATTERNS, 1.0, pattern_mask=np.ones(3, bool)),
        ValueError,
        r"`pattern_mask`.*\(3,\).*\(2,\)",
    ),
    Row(
        "modern network with a mask of numbers",
        lambda _: ModernHopfield(PATTERNS, 1.0, pattern_mask=np.ones(2)),
        ValueError,
        r"`pattern_mask`.*bool.*float64",
    ),
    Row(
        "modern network of padding",
        lambda _: ModernHopfield(PATTERNS, 1.0, pattern_mask=np.zeros(2, bool)),
        ValueError,
        r"`pattern_mask` is false everywhere",
    ),
    Row(
        "modern energy with a mask of another width",
        lambda _: ModernHopfield(PATTERNS, 1.0).energy(jnp.zeros(3), np.ones(2, bool)),
        ValueError,
        r"`known`.*\(2,\).*\(3,\)",
    ),
    Row(
        "modern network in a tensor",
        lambda _: ModernHopfield(Tensor(), 1.0),
        ValueError,
        r"`patterns`.*Tensor.*np\.asarray",
    ),
    Row(
        "modern network with too few values",
        lambda _: ModernHopfield(PATTERNS, 1.0, values=np.zeros((1, 2), np.float32)),
        ValueError,
        r"`values` has 1 rows for 2 patterns",
    ),
    Row(
        "modern update of another width",
        lambda _: ModernHopfield(PATTERNS, 1.0).update(jnp.zeros(4)),
        ValueError,
        r"state.*\(4,\).*\(3,\)",
    ),
    Row(
        "modern energy of a batch",
        lambda _: ModernHopfield(PATTERNS, 1.0).energy(jnp.zeros((2, 3))),
        ValueError,
        r"state.*\(2, 3\).*vmap",
    ),
    Row(
        "binary network of patterns that are no signs",
        lambda _: BinaryHopfield.store(SIGNS * 0.5),
        ValueError,
        r"`patterns` must be -1 or 1",
    ),
    Row(
        "binary network of NaN",
        lambda _: BinaryHopfield.store(SIGNS * NAN),
        ValueError,
        r"`patterns` must be -1 or 1",
    ),
    Row(
        "binary network of a vector",
        lambda _: BinaryHopfield.store(SIGNS[0]),
        ValueError,
        r"`patterns`.*\(4,\).*row",
    ),
    Row(
        "binary network of nothing",
        lambda _: BinaryHopfield.store(SIGNS[:0]),
        ValueError,
        r"`patterns`.*\(0, 4\)",
    ),
    Row(
        "binary network by a named rule",
        lambda _: BinaryHopfield.store(SIGNS, "hebb"),
        ValueError,
        r"`rule='hebb'`.*function",
    ),
    Row(
        "binary weights that are not symmetric",
        lambda _: BinaryHopfield(np.triu(np.ones((3, 3), np.float32), 1)),
        ValueError,
        r"`weights` must be symmetric",
    ),
    Row(
        "binary weights with a diagonal",
        lambda _: BinaryHopfield(np.eye(3, dtype=np.float32)),
        ValueError,
        r"zero diagonal",
    ),
    Row(
        "binary weights of NaN",
        lambda _: BinaryHopfield(np.full((3, 3), NAN, np.float32)),
        ValueError,
        r"`weights`",
    ),
    Row(
        "binary weights that are not square",
        lambda _: BinaryHopfield(np.zeros((3, 2), np.float32)),
        ValueError,
        r"`weights`.*\(3, 2\)",
    ),
    Row(
        "binary bias of another size",
        lambda _: BinaryHopfield(np.zeros((3, 3), np.float32), jnp.zeros(2)),
        ValueError,
        r"`bias`.*\(2,\).*\(3,\)",
    ),
    Row(
        "binary query of another width",
        lambda _: binary_network().recall(np.ones((2, 3), np.float32)),
        ValueError,
        r"`queries` has shape \(2, 3\).*4",
    ),
    Row(
        "binary query of grey values",
        lambda _: binary_network().recall(SIGNS * 0.5),
        ValueError,
        r"`queries` must be -1 or 1",
    ),
    Row(
        "binary recall of no sweeps",
        lambda _: binary_network().recall(SIGNS, max_sweeps=0),
        ValueError,
        r"max_sweeps=0",
    ),
    Row(
        "binary recall with a named schedule",
        lambda _: binary_network().recall(SIGNS, schedule="random"),
        ValueError,
        r"schedule='random'",
    ),
    Row(
        "random schedule with a seed for a key",
        lambda _: binary_network().recall(SIGNS, schedule=RandomSchedule(0)),
        ValueError,
        r"key=.*jax\.random\.key.*got 0",
    ),
    Row("Hebb's rule on a vector", lambda _: hebb(jnp.asarray(SIGNS[0])), ValueError, r"`patterns`.*\(4,\)"),
    Row(
        "Storkey's rule on a vector",
        lambda _: storkey(jnp.asarray(SIGNS[0])),
        ValueError,
        r"`patterns`.*\(4,\)",
    ),
    Row(
        "calibration of equal patterns",
        lambda _: calibrate(np.ones((3, 2), np.float32)),
        ValueError,
        r"all equal.*two different",
    ),
    Row("calibration of NaN", lambda _: calibrate(NOT_FINITE), ValueError, r"`patterns` must be finite"),
    Row("calibration of a vector", lambda _: calibrate(PATTERNS[0]), ValueError, r"`patterns`.*\(3,\)"),
    Row(
        "calibration for no fraction",
        lambda _: calibrate(PATTERNS, 0.0),
        ValueError,
        r"`fraction`.*\(0, 1\].*0\.0",
    ),
    Row("calibration for 99 per cent", lambda _: calibrate(PATTERNS, 99), ValueError, r"`fraction`.*got 99"),
    Row(
        "calibration with half probes",
        lambda _: calibrate(PATTERNS, probes=1.5),
        ValueError,
        r"`probes=1\.5`.*whole",
    ),
    Row("thresholds of one pattern", lambda _: phase.thresholds(1), ValueError, r"`n=1`.*at least"),
    Row("thresholds of half patterns", lambda _: phase.thresholds(2.5), ValueError, r"`n=2\.5`.*whole"),
    Row(
        "patterns at cosine one",
        lambda _: phase.equidistant_patterns(3, 5, 1.0, 1.0, KEY),
        ValueError,
        r"cosine.*below 1",
    ),
    Row(
        "patterns at an impossible cosine",
        lambda _: phase.equidistant_patterns(3, 5, 1.0, -0.9, KEY),
        ValueError,
        r"cosine.*-0\.9",
    ),
    Row(
        "patterns in too few dimensions",
        lambda _: phase.equidistant_patterns(5, 2, 1.0, 0.0, KEY),
        ValueError,
        r"dimension.*2",
    ),
    Row(
        "patterns of no length",
        lambda _: phase.equidistant_patterns(3, 5, 0.0, 0.0, KEY),
        ValueError,
        r"norm.*positive",
    ),
    Row(
        "patterns with a seed for a key",
        lambda _: phase.equidistant_patterns(3, 5, 1.0, 0.0, 7),
        ValueError,
        r"key=.*jax\.random\.key.*got 7",
    ),
    Row(
        "clusters farther apart within than across",
        lambda _: phase.cluster_thresholds(2, 2, 0.1, 0.5),
        ValueError,
        r"`across`.*below `within`.*0\.5",
    ),
    Row(
        "effective beta of a negative beta",
        lambda _: phase.effective_beta(-1.0, 1.0, 0.0),
        ValueError,
        r"beta.*positive.*-1",
    ),
    Row(
        "minima at falling betas",
        lambda _: phase.count_minima(PATTERNS, np.array([2.0, 1.0])),
        ValueError,
        r"`betas`.*increasing",
    ),
    Row("minima at no betas", lambda _: phase.count_minima(PATTERNS, np.array([])), ValueError, r"`betas`"),
    Row(
        "hysteresis of a pattern that is not there",
        lambda _: phase.hysteresis(PATTERNS, np.array([1.0, 2.0]), index=2),
        ValueError,
        r"`index`.*2 patterns.*got 2",
    ),
    Row(
        "classification of a state of another width",
        lambda _: phase.classify(ModernHopfield(PATTERNS, 1.0), jnp.zeros(4)),
        ValueError,
        r"state.*\(4,\)",
    ),
    Row("trial of no neurons", lambda _: capacity.Trial(0), ValueError, r"neurons.*at least 1"),
    Row("trial at overlap two", lambda _: trial(overlap=2.0), ValueError, r"overlap.*2\.0"),
    Row("trial of half queries", lambda _: trial(queries=1.5), ValueError, r"queries=1\.5.*whole"),
    Row(
        "capacity at no fraction",
        lambda _: capacity.capacity(binary(hebb), trial(), KEY, fraction=0.0),
        ValueError,
        r"`fraction`.*\(0, 1\]",
    ),
    Row(
        "recall rate of no patterns",
        lambda _: capacity.recall_rate(binary(hebb), trial(), 0, KEY),
        ValueError,
        r"count.*at least 1",
    ),
    Row(
        "more successes than trials", lambda _: capacity.wilson(3, 2), ValueError, r"successes.*3.*trials.*2"
    ),
    Row("confidence of 95", lambda _: capacity.wilson(1, 2, 95), ValueError, r"confidence.*95"),
    Row("flips of 110 per cent", lambda _: capacity.Flip(1.1), ValueError, r"fraction=1\.1"),
    Row("noise of negative width", lambda _: Noise(-1.0), ValueError, r"std=-1\.0"),
    Row("mask of NaN", lambda _: Mask(NAN), ValueError, r"fraction=nan"),
    Row("correlation of one", lambda _: CorrelatedSigns(1.0), ValueError, r"correlation=1\.0"),
    Row(
        "hierarchy closer across than within",
        lambda _: HierarchicalSigns(2, 0.2, 0.6),
        ValueError,
        r"across=0\.6.*within=0\.2",
    ),
    Row(
        "spurious states of two patterns",
        lambda _: spurious.census(binary(hebb), jnp.asarray(np.vstack([SIGNS, -SIGNS])), 8, KEY),
        ValueError,
        r"patterns.*at least 3",
    ),
    *LAYERS,
    Row("normmax at alpha one", lambda _: Normmax(1.0), ValueError, r"alpha=1\.0.*above 1"),
    Row("normmax of negative beta", lambda _: Normmax(2.0, -1.0), ValueError, r"beta.*positive"),
    Row("subsets of none", lambda _: KSubsets(0), ValueError, r"k=0.*at least 1"),
    Row(
        "subsets of three of two patterns",
        lambda _: stored(separation=ft.partial(KSubsets, 3)),
        ValueError,
        r"k=3.*has 2",
    ),
    Row(
        "automatic beta of subsets",
        lambda _: stored(beta="auto", separation=ft.partial(KSubsets, 2)),
        ValueError,
        r"`beta` of `KSubsets`.*give a number",
    ),
    Row(
        "memory with polynomial weights",
        lambda _: stored(separation=ft.partial(Polynomial, 3)),
        ValueError,
        r"`separation` Polynomial.*ModernHopfield",
    ),
    Row(
        "memory with the object of a separation",
        lambda _: stored(separation=Softmax(1.0)),
        ValueError,
        r"is an object; give its class",
    ),
    Row("epanechnikov of NaN", lambda _: Epanechnikov(NAN), ValueError, r"beta.*finite"),
    Row(
        "epanechnikov by product",
        lambda _: stored(separation=Epanechnikov, similarity=Dot()),
        ValueError,
        r"similarity.*Euclidean",
    ),
    Row(
        "network of an epanechnikov memory",
        lambda _: stored(separation=Epanechnikov).network(),
        ValueError,
        r"separation.*must be a Lagrangian",
    ),
    Row(
        "minima that merge at no distance",
        lambda _: emergent_minima(memory(), PATTERNS, merge=0.0),
        ValueError,
        r"`merge`.*positive",
    ),
    Row("consolidation into one", lambda _: consolidate(memory(), 1), ValueError, r"count=1.*at least 2"),
    Row(
        "consolidation to no precision", lambda _: consolidate(fourfold(), 2, rtol=0.0), ValueError, r"`rtol`"
    ),
    Row(
        "consolidation at no distance",
        lambda _: consolidate(fourfold(), 2, merge=-1.0),
        ValueError,
        r"`merge`",
    ),
    Row("consolidation into all", lambda _: consolidate(memory(), 2), ValueError, r"less than the 2"),
    Row("adding patterns of another width", lambda _: memory().add(SIGNS), ValueError, r"4 elements.*give 3"),
    Row("adding NaN", lambda _: memory().add(NOT_FINITE), ValueError, r"`patterns` must be finite"),
    Row(
        "adding values to a memory of none",
        lambda _: memory().add(PATTERNS, PATTERNS),
        ValueError,
        r"`values`.*only there",
    ),
    Row("removing a pattern that is not there", lambda _: memory().remove(2), ValueError, r"from 0 to 1"),
    Row("removing by half a number", lambda _: memory().remove([0.5]), ValueError, r"whole numbers"),
    Row("removing all but one", lambda _: memory().remove([0]), ValueError, r"leaves 1.*two or more"),
    Row(
        "adding to a memory over devices",
        lambda _: memory().shard().add(PATTERNS),
        ValueError,
        r"`add`.*one device",
    ),
    Row(
        "random features of an odd number",
        lambda _: RandomFeatureMemory.store(PATTERNS, 1.0, 7, KEY),
        ValueError,
        r"features=7.*even",
    ),
    Row(
        "random features without a key",
        lambda _: RandomFeatureMemory.store(PATTERNS, 1.0, 8, 0),
        ValueError,
        r"key.*jax\.random\.key",
    ),
    Row(
        "random features of other patterns",
        lambda _: RandomFeatureMemory.store(PATTERNS, 1.0, 8, KEY).add(SIGNS),
        ValueError,
        r"4 elements.*give 3",
    ),
    Row(
        "index for more patterns than there are",
        lambda _: IndexedMemory(memory(), Nowhere(), k=3),
        ValueError,
        r"k=3.*2 patterns",
    ),
    Row(
        "index of a sparse memory",
        lambda _: IndexedMemory(stored(separation=Sparsemax), Nowhere(), k=1),
        ValueError,
        r"separation.*Softmax",
    ),
    Row(
        "index of a memory with a metric",
        lambda _: IndexedMemory(stored(metric=Mahalanobis()), Nowhere(), k=1),
        ValueError,
        r"`memory` must have no `metric`",
    ),
    Row(
        "index with a bound of two",
        lambda _: IndexedMemory(memory(), Nowhere(), k=1, largest_bound=2.0),
        ValueError,
        r"largest_bound=2\.0.*from 0 to 1",
    ),
    Row(
        "mapped memory of one row",
        lambda _: MappedMemory(PATTERNS[:1], 1.0),
        ValueError,
        r"two rows or more.*1",
    ),
    Row("mapped memory without beta", lambda _: MappedMemory(PATTERNS, 0.0), ValueError, r"beta.*positive"),
    Row("mapped memory without chunks", lambda _: MappedMemory(PATTERNS, 1.0, 0), ValueError, r"chunk=0"),
    Row(
        "mapped memory and queries of another width",
        lambda _: MappedMemory(PATTERNS, 1.0).recall(PATTERNS[:, :2]),
        ValueError,
        r"2 elements.*patterns have 3",
    ),
    Row(
        "codes that do not divide a pattern",
        lambda _: FaissIndex.compressed(PATTERNS, 2),
        ValueError,
        r"code_bytes=2.*divisor",
    ),
    Row(
        "codes of too few patterns",
        lambda _: FaissIndex.compressed(PATTERNS, 1, cells=3),
        ValueError,
        r"3 cells need 256",
    ),
]
