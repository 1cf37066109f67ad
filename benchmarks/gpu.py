"""What hopfax does on this device: training steps, solvers, precision and recall, each against its floor.

    PYTHONPATH=src python benchmarks/gpu.py           # sizes for a GPU
    PYTHONPATH=src python benchmarks/gpu.py --small   # sizes for a CPU

It needs a checkout and Python with JAX, equinox, optimistix, lineax, optax and NumPy; nothing is installed or
downloaded. Weights and images are random. Times are medians of calls in turn, in milliseconds.

Floors: of a training step of 784-512-10 one product with its weight gradient and the update; of a convolutional one the
gradient step of the same feed-forward layers; of a recall step reading the patterns once.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import training_step
from common import arguments, interleaved, ratio, write
from conv_step import NETWORKS, examples, gradient_call, steps_of
from recall import normal

import hopfax
from hopfax.costs import SquaredError
from hopfax.diagnostics import array_cosines
from hopfax.gradients import ConjugateGradient, EquilibriumPropagation, Implicit
from hopfax.memory.sharded import ShardedPatterns
from hopfax.memory.similarities import Dot
from hopfax.memory.streaming import update
from hopfax.networks import ConvBlock
from hopfax.solvers import Anderson, Energy, Picard, Unguarded, batched_loop
from hopfax.training.recipes import low_feedback

DIMENSION, CHUNK = 256, 65_536  # of a pattern; patterns compared at once
DEFAULT = "default"
FLOATS = {"float32": "float32", "the device's default": "default"}  # TF32 on recent NVIDIA GPUs


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is computed.

    Attributes:
        layers: of a dense network.
        batches: examples relaxed at once.
        patterns: the numbers of patterns recalled from.
        queries: recalled at once.
        networks: layers of convolutional networks, by name.
    """

    layers: tuple[int, ...] = (784, 1990, 10)
    batches: tuple[int, ...] = (64, 1024)
    patterns: tuple[int, ...] = (1_000_000, 10_000_000)
    queries: int = 64
    networks: Mapping[str, tuple] = dataclasses.field(default_factory=lambda: NETWORKS)


SMALL = Sizes((784, 64, 10), (64,), (10_000,), 16, {"small": ((8, 8, 1), ConvBlock(4, 3, stride=2), 10)})


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(rounds=20)
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    options = parser.parse_args()
    sizes = SMALL if options.small else Sizes()
    parts = {"training": training, "solvers": solvers, "precision": precision, "recall": recall}
    device = jax.devices()[0]
    result: dict[str, Any] = {"device": device.device_kind, "platform": device.platform}
    for name, part in parts.items():
        result[name] = part(sizes, options.rounds)
        print(f"{name} is measured", flush=True)
    write("gpu", {**result, "sizes": _described(sizes)}, options.json)


def _described(sizes: Sizes) -> dict[str, Any]:
    return {**vars(sizes), "networks": {name: repr(layers) for name, layers in sizes.networks.items()}}


def training(sizes: Sizes, rounds: int) -> dict[str, Any]:
    """Training steps by the default method and by equilibrium propagation, over their floors."""
    images = jr.uniform(jr.key(1), (training_step.BATCH, training_step.LAYERS[0]))
    labels = jr.randint(jr.key(2), (training_step.BATCH,), 0, training_step.LAYERS[-1])
    ep = hopfax.Method(gradient=EquilibriumPropagation(0.1))
    dense = {
        "floor": training_step.floor(images),
        DEFAULT: training_step.step_of(hopfax.Method(), images, labels),
        "EP": training_step.step_of(ep, images, labels, SquaredError()),
    }
    rows = {"784-512-10": _over(training_step.of_one_step(interleaved(dense, rounds)), "floor")}
    for name, layers in sizes.networks.items():
        calls = {label: call for label, (call, _) in steps_of(layers).items()}
        rows[f"convolutional ({name})"] = _over(interleaved(calls, rounds), "feed-forward")
    return rows


def solvers(sizes: Sizes, rounds: int) -> dict[str, Any]:
    """The default against other solvers, with fewer checks of convergence, and without cutting of batches."""
    network = hopfax.chain(sizes.layers, key=jr.key(0))
    other = lambda solver: hopfax.Method(solver=solver)
    ways = {
        DEFAULT: hopfax.Method(),
        "exact energy": other(Anderson(safeguard=Energy())),
        "unguarded": other(Anderson(safeguard=Unguarded())),
        "Picard": other(Picard()),
        **{f"checked every {n} sweeps": hopfax.Method(check_every=n) for n in (5, 20)},
    }
    rows = {}
    for batch in sizes.batches:
        images = jr.uniform(jr.key(1), (batch, sizes.layers[0]))
        calls = {name: _relaxed(network, images, method) for name, method in ways.items()}
        with _whole_batches():
            calls["whole batches"] = _relaxed(network, images, hopfax.Method())
        rows[f"batch {batch}"] = _over(interleaved(calls, rounds), DEFAULT)
    return rows


def precision(sizes: Sizes, rounds: int) -> dict[str, Any]:
    """The gradient by EP with float32 products and with those of the device's default: time, and its worst array.

    The reference is the implicit gradient with float32 products, solved to 1e-6.
    """
    layers = list(sizes.networks.values())[-1]
    recipe = low_feedback(layers)
    problem = recipe.network(), *examples(layers)
    tight = dataclasses.replace(recipe.method, gradient=Implicit(ConjugateGradient(rtol=1e-6)), rtol=1e-6)
    with jax.default_matmul_precision("float32"):
        reference, _ = gradient_call(*problem, tight)()
    calls, cosines = {}, {}
    for name, floats in FLOATS.items():
        method = dataclasses.replace(recipe.method, gradient=EquilibriumPropagation(0.1))
        calls[name] = call = _with_precision(floats, gradient_call(*problem, method))
        cosines[name] = float(jnp.min(array_cosines(call()[0], reference)))
    return {"milliseconds": interleaved(calls, rounds), "worst cosine of an array": cosines}


def recall(sizes: Sizes, rounds: int) -> dict[str, Any]:
    """One recall step, against reading the patterns once."""
    return {f"{count} patterns": _recalled(count, sizes.queries, rounds) for count in sizes.patterns}


def _recalled(count: int, queries: int, rounds: int) -> dict[str, Any]:
    patterns, states = normal((count, DIMENSION, queries))
    stored = ShardedPatterns(patterns, Dot(), count, CHUNK)
    beta = jnp.float32(DIMENSION**-0.5)
    step, read = jax.jit(update), jax.jit(jnp.sum)
    calls = {
        "reading": lambda: read(patterns).block_until_ready(),
        "recall step": lambda: step(stored, states, beta).block_until_ready(),
    }
    times = interleaved(calls, rounds)
    bandwidth = patterns.nbytes / 1e6 / times["reading"]["median"]
    return _over(times, "reading") | {"gigabytes per second": bandwidth}


def _over(times: dict[str, dict[str, float]], floor: str) -> dict[str, Any]:
    ratios = {name: ratio(times, name, floor) for name in times if name != floor}
    return {"milliseconds": times, f"over {floor}": ratios}


def _relaxed(network, images, method) -> Callable[[], Any]:
    """A call that relaxes; it is compiled here."""
    relax = jax.jit(lambda images: hopfax.relax(network, {"input": images}, method=method).activation)
    compiled = relax.lower(images).compile()
    return lambda: jax.block_until_ready(compiled(images))


@contextlib.contextmanager
def _whole_batches() -> Iterator[None]:
    """What is compiled within keeps examples that have converged in the batch."""
    usual, batched_loop.MIN_BATCH = batched_loop.MIN_BATCH, 2**62
    jax.clear_caches()
    yield
    batched_loop.MIN_BATCH = usual
    jax.clear_caches()


def _with_precision(floats: str, call: Callable[[], Any]) -> Callable[[], Any]:
    def under():
        with jax.default_matmul_precision(floats):
            return call()

    return under


if __name__ == "__main__":
    main()
