"""An energy transformer that completes images from half of their patches, relaxed to equilibrium.

    python -m experiments.energy_transformer.run [--data cifar10] [--only mnist-ep]
    python -m experiments.energy_transformer.run --table

Images are patches of 4 x 4 pixels. Half of them are clamped, and the squared error of the others is the loss and the
result. The network is trained by the implicit gradient, without and with a spectral penalty and damping, and by
equilibrium propagation. One block of a plain transformer of about as many weights has the same training and masks, and
a second run at a rate of its own. An interrupted run goes on from its last checkpoint, and what is stored is not done
again.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from experiments.runs import markdown
from jaxtyping import Array, Bool, Float

from hopfax import Method, relax
from hopfax._internal.files import write_json
from hopfax._internal.provenance import circumstances
from hopfax.apps.completion.completers import AbstractCompleter, LinearGaussian, NearestNeighbour
from hopfax.apps.reproduce import fill_page
from hopfax.data import Dataset, load
from hopfax.gradients import ConjugateGradient, EquilibriumPropagation, Implicit
from hopfax.gradients.base import AbstractGradient
from hopfax.networks import HAM, PatchClamp, image_transformer
from hopfax.training import Completion, FixedGuess, SpectralPenalty, Trainer, TrainState, train_chunks
from hopfax.training.checkpoint import load_checkpoint, save_checkpoint
from hopfax.training.completion import AbstractCompletion, FeedForwardCompletion
from hopfax.training.masks import AbstractMasks

HERE = Path(__file__).parent
SIDE = 4  # pixels of a patch in each direction
IMPLICIT = Implicit(ConjugateGradient(rtol=1e-2, max_products=30))
DAMPED = Implicit(dataclasses.replace(IMPLICIT.adjoint, damping=0.2))
GRADIENTS: Mapping[str, AbstractGradient] = MappingProxyType(
    {
        "implicit": IMPLICIT,
        "penalised": IMPLICIT,
        "damped": DAMPED,
        "eight-heads": DAMPED,
        "ep": EquilibriumPropagation(),
        "penalised-ep": EquilibriumPropagation(),
    }
)
PENALTY = SpectralPenalty(2e4, limit=0.97)  # beside half of the squared error of all unknown pixels, about 10
PENALTIES: Mapping[str, SpectralPenalty] = MappingProxyType(
    {
        "penalised": PENALTY,
        "penalised-ep": PENALTY,
        "damped": SpectralPenalty(10.0, limit=0.97),
        "eight-heads": SpectralPenalty(60.0, limit=0.97),
    }
)
# Names of the other results: the plain block, also at the best of three rates, and what needs no training.
PLAIN, TUNED, SIMPLE = "plain", "plain-tuned", "simple"
DATA = ("mnist", "cifar10")
BY_GAUSSIAN = 1_000  # test images that the Gaussian completes
TITLES = {
    "implicit": "energy transformer, implicit gradient",
    "ep": "energy transformer, equilibrium propagation",
    "penalised": "energy transformer, implicit gradient, spectral penalty",
    "damped": "energy transformer, damped implicit gradient, weak spectral penalty",
    "eight-heads": "energy transformer of eight heads, damped implicit gradient, spectral penalty",
    "penalised-ep": "energy transformer, equilibrium propagation, spectral penalty",
    PLAIN: "plain transformer block",
    TUNED: "plain transformer block, its own rate",
}
HEAD = ("data", "", "squared error", "epochs", "weights", "CPU seconds", "converged, %", "evaluations")


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes and training; the squared error is that of an unknown pixel."""

    dim: int = 64
    heads: int = 4
    memories: int = 256
    epochs: int = 2
    batch: int = 64
    learning_rate: float = 0.0015
    rtol: float = 5e-3
    evaluations: int = 25
    tested: int = 10_000
    seed: int = 0


# Other epochs and rates of single results. Without damping the higher rate does not train.
CHANGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "damped": {"epochs": 4, "learning_rate": 0.003},
        "eight-heads": {"epochs": 1, "learning_rate": 0.003, "heads": 8},
        TUNED: {"epochs": 4, "learning_rate": 0.006},
    }
)


def grid_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many rows and columns of patches an image of this shape has."""
    return shape[0] // SIDE, shape[1] // SIDE


def patches(images: np.ndarray | Array, shape: tuple[int, ...]) -> Float[Array, "images tokens patch"]:
    """Rows of pixels of images of this shape as patches, row by row of the grid."""
    (rows, columns), channels = grid_of(shape), int(np.prod(shape[2:]))
    grid = images.reshape(-1, rows, SIDE, columns, SIDE, channels).transpose(0, 1, 3, 2, 4, 5)
    return jnp.asarray(grid.reshape(-1, rows * columns, SIDE * SIDE * channels))


class KnownPatches(AbstractMasks):
    """Half of the patches of each image are known, drawn at random; of an odd number the larger half."""

    def check(self, shape: tuple[int, ...]) -> None:
        return

    def draw(self, key: Array, shape: tuple[int, ...]) -> Bool[Array, "tokens patch"]:
        ranks = jnp.argsort(jnp.argsort(jr.uniform(key, shape[:1])))
        return jnp.broadcast_to((ranks < (shape[0] + 1) // 2)[:, None], shape)


class Plain(eqx.Module):
    """One block of a transformer: attention and a ReLU network, each after a layer normalisation, and skips."""

    embed: Array
    positions: Array
    unknown: Array
    attention: eqx.nn.MultiheadAttention
    norms: list[eqx.nn.LayerNorm]
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    read: eqx.nn.Linear

    def __init__(self, config: Config, tokens: int, patch: int, key: Array):
        keys, dim = jr.split(key, 6), config.dim
        self.embed = jr.normal(keys[0], (patch, dim)) / patch**0.5
        self.positions, self.unknown = jr.normal(keys[1], (tokens, dim)), jnp.zeros(dim)
        self.attention = eqx.nn.MultiheadAttention(config.heads, dim, key=keys[2])
        self.norms = [eqx.nn.LayerNorm(dim) for _ in range(3)]
        self.up = eqx.nn.Linear(dim, config.memories, key=keys[3])
        self.down = eqx.nn.Linear(config.memories, dim, key=keys[4])
        self.read = eqx.nn.Linear(dim, patch, key=keys[5])

    def __call__(self, image: Array, known: Array) -> Array:
        first, second, last = (jax.vmap(norm) for norm in self.norms)
        tokens = jnp.where(known[:, :1], image @ self.embed, self.unknown[None]) + self.positions
        normed = first(tokens)
        tokens = tokens + self.attention(normed, normed, normed)
        tokens = tokens + jax.vmap(lambda t: self.down(jax.nn.relu(self.up(t))))(second(tokens))
        return jax.vmap(self.read)(last(tokens))


def energy_model(config: Config, data: Dataset) -> HAM:
    grid = mean_patches(data).reshape(*grid_of(data.image_shape), -1)
    return image_transformer(grid, config.dim, config.heads, config.memories, key=jr.key(config.seed))


def mean_patches(data: Dataset) -> Float[Array, "tokens patch"]:
    """Those of the mean training image."""
    return patches(jnp.mean(data.train_images, axis=0), data.image_shape)[0]


def energy_task(config: Config, data: Dataset, gradient: str = "implicit") -> Completion:
    """The missing patches at equilibrium."""
    method = Method(gradient=GRADIENTS[gradient], rtol=config.rtol, max_steps=config.evaluations)
    clamp, guess = PatchClamp(mean_patches(data)), FixedGuess(0.0)
    task = Completion(method=method, masks=KnownPatches(), layer="image", guess=guess, clamp=clamp)
    return dataclasses.replace(task, penalty=PENALTIES.get(gradient))


def plain_model(config: Config, data: Dataset) -> Plain:
    tokens, patch = mean_patches(data).shape
    return Plain(config, tokens, patch, jr.key(config.seed))


def plain_task(data: Dataset) -> FeedForwardCompletion:
    return FeedForwardCompletion(masks=KnownPatches(), shape=mean_patches(data).shape)


def tested_patches(config: Config, data: Dataset) -> tuple[Array, Bool[Array, "images tokens patch"]]:
    """The patches of the first test images, and which of them are known."""
    tested = patches(data.test_images[: config.tested], data.image_shape)
    keys = jr.split(jr.key(config.seed + 2), len(tested))
    return tested, jax.vmap(lambda key: KnownPatches().draw(key, tested.shape[1:]))(keys)


def optimiser(config: Config, batches: int, tokens: int, patch: int) -> optax.GradientTransformation:
    """Adam on the mean squared error of a pixel, with a warm-up and a cosine decay, for epochs of so many batches."""
    steps = config.epochs * batches
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, min(50, steps // 2), max(steps, 2)
    )
    per_pixel = optax.scale(1 / (tokens // 2 * patch))
    return optax.chain(per_pixel, optax.clip_by_global_norm(1.0), optax.adam(schedule))


def train(
    model: Any, task: AbstractCompletion, images: Array, config: Config, file: Path
) -> tuple[Any, float]:
    """The trained model and its CPU seconds, from the checkpoint in `file` if there is one."""
    count, tokens, patch = images.shape
    trainer = Trainer(optimiser(config, count // config.batch, tokens, patch), task, config.batch)
    state, before = TrainState.begin(model, trainer, key=jr.key(config.seed + 1)), 0.0
    if file.exists():
        state, metadata = load_checkpoint(file, state)
        before = metadata["cpu_seconds"]
    began, flat, no_labels = time.process_time(), images.reshape(count, -1), jnp.zeros(count, jnp.int32)
    for chunk in train_chunks(trainer, state, flat, no_labels, epochs=config.epochs):
        state, seconds = chunk.state.copy(), before + time.process_time() - began
        save_checkpoint(file, state, {"cpu_seconds": seconds})
        means = ", ".join(f"{name} {value:.4f}" for name, value in chunk.means().items())
        print(
            f"{file.stem}, epoch {chunk.epoch}, {chunk.batch} of {chunk.batches}: {means}, {seconds:.0f} s",
            flush=True,
        )
        before, began = seconds, time.process_time()
    return state.model, before


def measure_network(config: Config, data: Dataset, gradient: str, file: Path) -> dict[str, Any]:
    """The energy transformer trained by a gradient: its error, and how the equilibria of test images were reached."""
    images = patches(data.train_images, data.image_shape)
    network, seconds = train(
        energy_model(config, data), energy_task(config, data, gradient), images, config, file
    )
    tested, known = tested_patches(config, data)
    clamp, method = PatchClamp(mean_patches(data)), Method(rtol=1e-3, max_steps=30)

    @eqx.filter_jit
    def complete(network, images, known):
        result = relax(network, clamp(images, known), method=method)
        return result.activation["image"], result.converged, result.steps

    chunks = [complete(network, tested[i : i + 500], known[i : i + 500]) for i in range(0, len(tested), 500)]
    guess, converged, steps = (jnp.concatenate(column) for column in zip(*chunks, strict=True))
    return {
        "error": _error(guess, tested, known),
        "converged": float(jnp.mean(converged)),
        "evaluations_mean": float(jnp.mean(steps)),
        "cpu_seconds": seconds,
        "weights": _weights(network),
    }


def measure_plain(config: Config, data: Dataset, file: Path) -> dict[str, Any]:
    """The plain block."""
    images = patches(data.train_images, data.image_shape)
    plain, seconds = train(plain_model(config, data), plain_task(data), images, config, file)
    tested, known = tested_patches(config, data)
    error = _error(jax.vmap(plain)(tested, known), tested, known)
    return {"error": error, "cpu_seconds": seconds, "weights": _weights(plain)}


def measure_simple(config: Config, data: Dataset) -> dict[str, Any]:
    """What needs no training: the mean image, the stored image that is nearest in the known patches, and a Gaussian.

    The Gaussian has the mean and covariance of all pixels of the training images. Each image has patches of its own
    missing, which takes a solve of its own, so it completes the first images only.
    """
    tested, known = tested_patches(config, data)
    flat = lambda x: np.asarray(x).reshape(len(x), -1)
    images = flat(patches(data.train_images, data.image_shape))

    def error(completer: AbstractCompleter, count: int) -> float:
        first, of_first = tested[:count], known[:count]
        completed = completer.complete(flat(first), flat(of_first)).reshape(first.shape)
        return _error(jnp.asarray(completed), first, of_first)

    return {
        "mean image": _error(jnp.broadcast_to(mean_patches(data), tested.shape), tested, known),
        "nearest neighbour of 20,000": error(NearestNeighbour(images[:20_000]), len(tested)),
        f"Gaussian of all pixels, {BY_GAUSSIAN:,} images": error(LinearGaussian(images), BY_GAUSSIAN),
    }


def _error(guess: Array, images: Array, known: Array) -> float:
    """The squared error of an unknown pixel."""
    return float(jnp.sum(jnp.where(known, 0, guess - images) ** 2) / jnp.sum(~known))


def _weights(model: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


def measure(name: str, config: Config, data: Dataset, folder: Path) -> dict[str, Any]:
    """The result of this name: a gradient, `PLAIN`, `TUNED` or `SIMPLE`."""
    file = folder / f"{data.name}-{name}"
    if name == SIMPLE:
        return {"error": measure_simple(config, data)}
    if name in GRADIENTS:
        return measure_network(config, data, name, file)
    return measure_plain(config, data, file)


def table(results: Path) -> str:
    """A row for each stored result, in Markdown, by falling error on each data set."""
    rows = []
    for data in DATA:
        stored = {name: _read(results / f"{data}-{name}.json") for name in (*GRADIENTS, PLAIN, TUNED)}
        of_data = [[data, *_cells(TITLES[name], result)] for name, result in stored.items() if result]
        simple = _read(results / f"{data}-{SIMPLE}.json")
        of_data += [
            [data, name, f"{error:.4f}", *[""] * 5]
            for name, error in (simple or {"error": {}})["error"].items()
        ]
        rows += sorted(of_data, key=lambda row: row[2])
    return markdown(HEAD, rows)


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _cells(title: str, result: Mapping[str, Any]) -> list[str]:
    converged, evaluations = result.get("converged"), result.get("evaluations_mean")
    return [
        title,
        f"{result['error']:.4f}",
        str(result["config"]["epochs"]),
        f"{result['weights']:,}",
        f"{result['cpu_seconds']:,.0f}",
        "" if converged is None else f"{100 * converged:.1f}",
        "" if evaluations is None else f"{evaluations:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=DATA, default="mnist")
    parser.add_argument("--table", action="store_true", help="put the table into the page, and train nothing")
    parser.add_argument("--only", default="", help="results whose names begin so, such as mnist-ep")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--runs", type=Path, default=Path("runs/energy_transformer"), help="of checkpoints")
    parser.add_argument("--tested", type=int, default=Config.tested)
    options = parser.parse_args()
    if options.table:
        fill_page(HERE / "README.md", table(options.out) + "\n")
        return
    config, data = Config(tested=options.tested), load(options.data)
    options.runs.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in (*GRADIENTS, PLAIN, TUNED, SIMPLE):
        path = options.out / f"{options.data}-{name}.json"
        if path.stem.startswith(options.only) and not path.exists():
            own = dataclasses.replace(config, **CHANGES.get(name, {}))
            result = {"config": dataclasses.asdict(own), **measure(name, own, data, options.runs)}
            write_json(path, {**result, "circumstances": circumstances()}, indent=1)
            print(path.stem, result, flush=True)


if __name__ == "__main__":
    main()
