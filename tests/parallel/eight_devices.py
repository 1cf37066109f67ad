"""A program with eight devices, which prints the numbers that `test_devices.py` checks as JSON."""

import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from hopfax import Memory, chain, objective
from hopfax.costs import StateSquaredError
from hopfax.data import Dataset
from hopfax.lagrangians import Sigmoid
from hopfax.papers import paper_method
from hopfax.parallel.mesh import device_grid, device_mesh, local_copy, replicate, shard_layers
from hopfax.parallel.sharded_checkpoint import load_sharded, save_sharded
from hopfax.training import Classification, ClassifierJob, Trainer, TrainState, train, train_chunks
from hopfax.training.classifier import make_trainer
from hopfax.training.loaders import ShardedLoader
from hopfax.training.recipes import Recipe
from hopfax.training.trainer import gradient_over
from hopfax.updates.block import Coloured
from hopfax.updates.problem import Problem

IMAGES = np.asarray(jr.uniform(jr.key(3), (70, 16), jnp.float32))
LABELS = (IMAGES[:, 0] > IMAGES[:, 1]).astype(np.int32)
METHOD = dataclasses.replace(paper_method("HAM-EO", steps=60, backward=4), rtol=1e-6)


def difference(a, b) -> float:
    """The largest of any leaf, relative to the largest entry of that leaf."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    arrays = [(np.asarray(x, float), np.asarray(y, float)) for x, y in pairs if eqx.is_array(x) and x.size]
    return max(float(np.abs(x - y).max() / max(np.abs(x).max(), 1e-9)) for x, y in arrays)


def one_gradient() -> dict:
    """The gradient and the counts of a batch of 16, on one device and on eight."""
    model = chain((16, 8, 2), key=jr.key(0))
    trainer = Trainer(optax.adam(0.01), Classification(METHOD), batch_size=16)
    batch = jnp.asarray(IMAGES[:16]), jnp.asarray(LABELS[:16])
    mesh, step = device_mesh(), jnp.zeros((), jnp.int32)
    gradient = eqx.filter_jit(gradient_over)
    whole = gradient(None, trainer.task, model, batch, step)
    parts = gradient(mesh, trainer.task, replicate(model, mesh), batch, step)
    return {
        "gradient": difference(whole[0], parts[0]),
        "loss": difference(whole[1].loss, parts[1].loss),
        "counts": [[int(t.correct), int(t.did_not_converge)] for t in (whole[1], parts[1])],
        "local_copy_is_equal": difference(parts[0], local_copy(parts[0])),
    }


def shares() -> dict:
    """The rows that each device gets of two batches of eight in random order."""
    order = np.random.default_rng(0).permutation(70)
    feed = ShardedLoader(IMAGES, LABELS, 8, 3, device_mesh()).batches(order, 2, 4)
    batches = np.stack([np.asarray(feed.batch(jnp.asarray(i))[0]) for i in (2, 3)])
    return {
        "as_on_one": difference(IMAGES[order[16:32]].reshape(2, 8, 16), batches),
        "share": list(feed.images.addressable_shards[0].data.shape),
    }


def runs(folder: Path) -> dict:
    """Weights of a run on one device, of runs begun on eight and ended on one and on two, and of one on a grid."""
    dataset = Dataset("toy", IMAGES, LABELS, IMAGES[:5], LABELS[:5], 2, image_shape=(4, 4))
    recipe = Recipe(
        layers=(16, 8, 2), epochs=2, batch_size=16, model="HAM-EO", rtol=1e-6, learning_rate=0.001
    )
    expected, rows = train(ClassifierJob(recipe, dataset), folder / "whole")
    numbers = on_a_grid(recipe, expected)
    for devices in (1, 2):
        run = folder / str(devices)
        train(ClassifierJob(recipe, dataset), run, devices=8, stop_after=1)
        weights, later = train(ClassifierJob(recipe, dataset), run, devices=devices, resume=True)
        numbers[f"weights_8_then_{devices}"] = difference(expected, weights)
        numbers[f"loss_8_then_{devices}"] = max(
            abs(a.loss / b.loss - 1) for a, b in zip(rows, later, strict=True)
        )
    return numbers


def on_a_grid(recipe: Recipe, expected) -> dict:
    """The same run with layers sharded over rows of two devices, and batches over four rows."""
    mesh, trainer = device_grid(4, 2), make_trainer(recipe, len(IMAGES))
    network, key = shard_layers(recipe.network(), mesh), jr.fold_in(jr.key(recipe.seed), 1)
    state = TrainState.begin(network, trainer, key=key)
    *_, last = train_chunks(trainer, state, IMAGES, LABELS, epochs=2, mesh=mesh)
    matrices = [x for x in jax.tree.leaves(last.state) if np.shape(x) == (16, 8)]  # weights and moments
    shards = {tuple(x.addressable_shards[0].data.shape) for x in matrices}
    return {"weights_grid": difference(expected, last.state.model), "shards": [len(matrices), *shards]}


def sharded_layers() -> dict:
    """Equilibria, gradients and the collective operations of a network with two layers sharded over eight devices."""
    model, mesh = chain((16, 64, 12, 32, 2), Sigmoid(), key=jr.key(0)), device_mesh(axis="model")
    sharded, clamp = shard_layers(model, mesh), {"input": jnp.asarray(IMAGES[:5])}
    targets = jnp.eye(2, dtype=jnp.float32)[LABELS[:5]]

    def loss(model):
        values, equilibrium = objective(model, clamp, StateSquaredError(), targets, method=METHOD)
        return jnp.mean(values), equilibrium

    step = eqx.filter_jit(eqx.filter_grad(loss, has_aux=True))
    (gradient, one), (gradient_sharded, eight) = step(model), step(sharded)
    specs = {
        name: list(s.weight.sharding.spec) for name, s in sharded.synapses.items() if hasattr(s, "weight")
    }
    return {
        "specs": specs,
        "states": difference(one.state, eight.state),
        "gradient": difference(gradient, gradient_sharded),
        "collectives": _collectives(sharded, mesh),
        "converged": bool(eight.converged.all()),
    }


def _collectives(model, mesh) -> list[str]:
    """The collective operations in one compiled sweep."""

    def sweep(model, image, states):
        return Problem(model.condition({"input": image}), Coloured()).evaluate(states)[0]

    unknowns = {"hidden2": jnp.zeros((5, 12), jnp.float32), "output": jnp.zeros((5, 2), jnp.float32)}
    arguments = replicate((jnp.asarray(IMAGES[:5]), unknowns), mesh)
    compiled = eqx.filter_jit(jax.vmap(sweep, in_axes=(None, 0, 0))).lower(model, *arguments).compile()
    names = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    return re.findall(rf" ({names})(?:-start)?\(", compiled.compiled.as_text())


def sharded_memory(folder: Path) -> dict:
    """Recall with patterns that eight devices read from a file, and with all of them on one device."""
    rng = np.random.default_rng(0)
    patterns = rng.normal(size=(11, 6)).astype(np.float32)
    queries = patterns + 0.1 * rng.normal(size=patterns.shape).astype(np.float32)
    np.save(folder / "patterns.npy", patterns)
    sharded = Memory.store_sharded(np.load(folder / "patterns.npy", mmap_mode="r"), 3.0)
    whole, parts = Memory.store(patterns, 3.0).recall(queries), sharded.recall(queries)
    patterns[3, 0] = np.nan
    return {
        "states": difference(whole.state, parts.state),
        "same": np.array_equal(whole.index, parts.index),
        "share": list(sharded.stored.patterns.addressable_shards[0].data.shape),
        "error": _error(lambda: Memory.store_sharded(patterns, 3.0)),
    }


def sharded_checkpoint(folder: Path) -> dict:
    """A network sharded over eight devices, saved, and loaded onto two and onto one; and what does not fit."""
    model, other = chain((16, 64, 2), key=jr.key(0)), chain((16, 64, 2), key=jr.key(1))
    save_sharded(folder / "parts", (shard_layers(model, device_mesh(axis="model")), jr.key(7)))
    on_two = shard_layers(other, device_mesh(2, axis="model"))
    two, one = (load_sharded(folder / "parts", (template, jr.key(0))) for template in (on_two, other))
    wrong = lambda: load_sharded(folder / "parts", (chain((16, 32, 2), key=jr.key(0)), jr.key(0)))
    weights = two[0].synapses["input-hidden"].weight
    return {
        "differences": [difference(model, two[0]), difference(model, one[0])],
        "keys": [jr.key_data(key).tolist() == jr.key_data(jr.key(7)).tolist() for key in (two[1], one[1])],
        "shard": list(weights.addressable_shards[0].data.shape),
        "errors": [_error(wrong), _error(lambda: save_sharded(folder / "parts", model))],
    }


def refusals() -> list[str]:
    """The errors for a number of devices, a batch and layers that are not allowed."""
    mesh, model = device_mesh(), chain((16, 64, 2), key=jr.key(0))
    dataset = Dataset("toy", IMAGES, LABELS, IMAGES[:5], LABELS[:5], 2, image_shape=(4, 4))
    folder = Path(sys.argv[1]) / "refused"
    attempts = (
        lambda: device_mesh(9),
        lambda: train(ClassifierJob(Recipe(layers=(16, 8, 2), batch_size=12), dataset), folder, devices=8),
        lambda: shard_layers(model, mesh),
        lambda: shard_layers(model, mesh, axis="data", layers=["output"]),
        lambda: shard_layers(model, mesh, axis="data", layers=["nowhere"]),
    )
    return [_error(attempt) for attempt in attempts]


def _error(attempt) -> str:
    try:
        attempt()
    except ValueError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    results = {"one_gradient": one_gradient(), "shares": shares(), "sharded_layers": sharded_layers()}
    results["sharded_memory"] = sharded_memory(Path(sys.argv[1]))
    if importlib.util.find_spec("orbax"):
        results["sharded_checkpoint"] = sharded_checkpoint(Path(sys.argv[1]))
    results |= {"runs": runs(Path(sys.argv[1])), "refusals": refusals()}
    sys.stdout.write(json.dumps(results))
