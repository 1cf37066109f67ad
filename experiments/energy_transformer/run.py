"""An energy transformer that completes MNIST from half of its patches, relaxed to equilibrium.

    python -m experiments.energy_transformer.run --out experiments/energy_transformer/results

Images are 49 patches of 4 x 4. 25 of them are clamped, and the squared error of the others is the
loss and the result. One block of a plain transformer of about as many weights has the same training and masks. An
interrupted run goes on from its last checkpoint.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Bool, Float

from hopfax import Method, relax
from hopfax._internal.files import write_json
from hopfax._internal.provenance import circumstances
from hopfax.apps.completion.completers import NearestNeighbour
from hopfax.data import Dataset, mnist
from hopfax.gradients import ConjugateGradient, Implicit
from hopfax.networks import HAM, PatchClamp, image_transformer
from hopfax.training import Completion, FixedGuess, Trainer, TrainState, train_chunks
from hopfax.training.checkpoint import load_checkpoint, save_checkpoint
from hopfax.training.completion import AbstractCompletion, FeedForwardCompletion
from hopfax.training.masks import AbstractMasks

TOKENS, PATCH, KNOWN = 49, 16, 25


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


def patches(images: np.ndarray) -> Float[Array, "images tokens patch"]:
    """Rows of 28 x 28 pixels as 7 x 7 patches."""
    return jnp.asarray(images.reshape(-1, 7, 4, 7, 4).transpose(0, 1, 3, 2, 4).reshape(-1, TOKENS, PATCH))


class KnownPatches(AbstractMasks):
    """25 patches of each image are known, drawn at random."""

    def check(self, shape: tuple[int, ...]) -> None:
        return

    def draw(self, key: Array, shape: tuple[int, ...]) -> Bool[Array, "tokens patch"]:
        ranks = jnp.argsort(jnp.argsort(jr.uniform(key, shape[:1])))
        return jnp.broadcast_to((ranks < KNOWN)[:, None], shape)


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

    def __init__(self, config: Config, key: Array):
        keys, dim = jr.split(key, 6), config.dim
        self.embed = jr.normal(keys[0], (PATCH, dim)) / PATCH**0.5
        self.positions, self.unknown = jr.normal(keys[1], (TOKENS, dim)), jnp.zeros(dim)
        self.attention = eqx.nn.MultiheadAttention(config.heads, dim, key=keys[2])
        self.norms = [eqx.nn.LayerNorm(dim) for _ in range(3)]
        self.up = eqx.nn.Linear(dim, config.memories, key=keys[3])
        self.down = eqx.nn.Linear(config.memories, dim, key=keys[4])
        self.read = eqx.nn.Linear(dim, PATCH, key=keys[5])

    def __call__(self, image: Array, known: Array) -> Array:
        first, second, last = (jax.vmap(norm) for norm in self.norms)
        tokens = jnp.where(known[:, :1], image @ self.embed, self.unknown[None]) + self.positions
        normed = first(tokens)
        tokens = tokens + self.attention(normed, normed, normed)
        tokens = tokens + jax.vmap(lambda t: self.down(jax.nn.relu(self.up(t))))(second(tokens))
        return jax.vmap(self.read)(last(tokens))


def energy_model(config: Config, mean: Array) -> HAM:
    grid = mean.reshape(7, 7, PATCH)
    return image_transformer(grid, config.dim, config.heads, config.memories, key=jr.key(config.seed))


def energy_task(config: Config, mean: Array) -> Completion:
    """The missing patches at equilibrium, by the implicit gradient."""
    adjoint = ConjugateGradient(rtol=1e-2, max_products=30)
    method = Method(gradient=Implicit(adjoint), rtol=config.rtol, max_steps=config.evaluations)
    guess = FixedGuess(0.0)
    return Completion(method=method, masks=KnownPatches(), layer="image", guess=guess, clamp=PatchClamp(mean))


def plain_task() -> FeedForwardCompletion:
    return FeedForwardCompletion(masks=KnownPatches(), shape=(TOKENS, PATCH))


def drawn_masks(config: Config, count: int) -> Bool[Array, "images tokens patch"]:
    """Which patches of the first test images are known."""
    keys = jr.split(jr.key(config.seed + 2), count)
    return jax.vmap(lambda key: KnownPatches().draw(key, (TOKENS, PATCH)))(keys)


def optimiser(config: Config, batches: int) -> optax.GradientTransformation:
    """Adam on the mean squared error of a pixel, with a warm-up and a cosine decay, for epochs of so many batches."""
    steps = config.epochs * batches
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, min(50, steps // 2), max(steps, 2)
    )
    per_pixel = optax.scale(1 / ((TOKENS - KNOWN) * PATCH))
    return optax.chain(per_pixel, optax.clip_by_global_norm(1.0), optax.adam(schedule))


def train(
    model: Any, task: AbstractCompletion, images: Array, config: Config, file: Path
) -> tuple[Any, float]:
    """The trained model and its CPU seconds, from the checkpoint in `file` if there is one."""
    trainer = Trainer(optimiser(config, len(images) // config.batch), task, config.batch)
    state, before = TrainState.begin(model, trainer, key=jr.key(config.seed + 1)), 0.0
    if file.exists():
        state, metadata = load_checkpoint(file, state)
        before = metadata["cpu_seconds"]
    began, flat, no_labels = (
        time.process_time(),
        images.reshape(len(images), -1),
        jnp.zeros(len(images), jnp.int32),
    )
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


def measure(config: Config, data: Dataset, folder: Path) -> dict[str, Any]:
    """Every row: the error of an unknown pixel on the test images, and how the equilibria were reached."""
    mean = jnp.mean(patches(data.train_images), axis=0)
    images, tested = patches(data.train_images), patches(data.test_images)[: config.tested]
    known = drawn_masks(config, len(tested))
    error = lambda guess: float(jnp.sum(jnp.where(known, 0, guess - tested) ** 2) / jnp.sum(~known))
    network, seconds = train(
        energy_model(config, mean),
        energy_task(config, mean),
        images,
        config,
        folder / "energy",
    )
    plain, plain_seconds = train(
        Plain(config, jr.key(config.seed)), plain_task(), images, config, folder / "plain"
    )
    method = Method(rtol=1e-3, max_steps=30)

    @eqx.filter_jit
    def complete(network, images, known):
        result = relax(network, PatchClamp(mean)(images, known), method=method)
        return result.activation["image"], result.converged, result.steps

    chunks = [complete(network, tested[i : i + 500], known[i : i + 500]) for i in range(0, len(tested), 500)]
    guess, converged, steps = (jnp.concatenate(column) for column in zip(*chunks, strict=True))
    count = lambda model: sum(x.size for x in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
    return {
        "error": {
            "energy transformer": error(guess),
            "plain transformer block": error(jax.vmap(plain)(tested, known)),
            "mean image": error(jnp.broadcast_to(mean, tested.shape)),
            "nearest neighbour of 20,000": error(_nearest(images[:20_000], tested, known)),
        },
        "converged": float(jnp.mean(converged)),
        "evaluations_mean": float(jnp.mean(steps)),
        "cpu_seconds": {"energy transformer": seconds, "plain transformer block": plain_seconds},
        "weights": {"energy transformer": count(network), "plain transformer block": count(plain)},
    }


def _nearest(stored: Array, images: Array, known: Array) -> Array:
    """The stored image that is nearest in the known patches, for each image."""
    flat = lambda x: np.asarray(x).reshape(len(x), -1)
    return jnp.asarray(NearestNeighbour(flat(stored)).complete(flat(images), flat(known))).reshape(
        images.shape
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--runs", type=Path, default=Path("runs/energy_transformer"), help="of checkpoints")
    parser.add_argument("--epochs", type=int, default=Config.epochs)
    parser.add_argument("--tested", type=int, default=Config.tested)
    options = parser.parse_args()
    config = Config(epochs=options.epochs, tested=options.tested)
    options.runs.mkdir(parents=True, exist_ok=True)
    result = {"config": dataclasses.asdict(config), **measure(config, mnist(), options.runs)}
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "mnist.json", {**result, "circumstances": circumstances()})
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
