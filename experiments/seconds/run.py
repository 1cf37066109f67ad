"""Is acceleration faster in seconds? Times a training step by each path from the same trained network.

    python -m experiments.seconds.run [--only HAM-784-1990] [--network DIR] [--smoke]

Keep the machine quiet. `--network` is a folder with a trained network of these layers, in place of training one.
"""

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.common import circumstances, interleaved

from hopfax import load_model, objective
from hopfax._internal.files import write_json
from hopfax.costs import StateSquaredError
from hopfax.data import Dataset, load
from hopfax.method import Method
from hopfax.networks import AbstractNetwork
from hopfax.training import ClassifierJob, train

from .config import Config, configs, smoke

HERE = Path(__file__).parent
RUNS = Path("runs/seconds")
STEPS_AN_EPOCH = 937


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    for config in (smoke if options.smoke else configs)(options.seed):
        if config.name.startswith(options.only):
            result = run(config, options.network, options.runs / config.name, options.rounds)
            path = options.results / f"{config.name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, result, indent=1)
            print(table(result), flush=True)


def run(config: Config, network: Path | None, folder: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds a step, iterations and residuals of each model."""
    dataset = load(config.data)
    model = load_model(network) if network else _train(config, dataset, folder)
    batches = _batches(dataset, config)
    steps = {name: _step(model, method) for name, method in config.methods.items()}
    calls = {name: lambda step=step: _all(step, batches) for name, step in steps.items()}
    times = interleaved(calls, rounds)
    stats = {name: _stats([step(*batch)[0] for batch in batches]) for name, step in steps.items()}
    rows = {name: _row(times[name], stats[name], config) for name in steps}
    trained = str(network.name) if network else f"{config.epochs} epochs"
    return {"config": config.json(), "trained": trained, "models": rows, "circumstances": circumstances()}


def table(result: Mapping[str, Any]) -> str:
    """One line a model."""
    base = next(iter(result["models"].values()))["ms a step"]
    lines = [
        f"| {name} | {row['iterations']:.1f} | {row['slowest of a batch']:.1f} | {row['ms a step']:.1f} | "
        f"{row['seconds an epoch']:.1f} | {base / row['ms a step']:.2f} | {row['did not converge']} |"
        for name, row in result["models"].items()
    ]
    return "\n".join(lines)


def _train(config: Config, dataset: Dataset, folder: Path) -> AbstractNetwork:
    recipe = dataclasses.replace(config.recipe, epochs=config.epochs)
    return train(ClassifierJob(recipe, dataset), folder, resume=True)[0]


def _batches(dataset: Dataset, config: Config) -> list[tuple[jax.Array, jax.Array]]:
    """The first ones of the training set, as state of the input and one-hot target."""
    size = config.recipe.batch_size
    count = min(config.batches, len(dataset.train_labels) // size)
    images = jnp.asarray(dataset.train_images[: count * size]).reshape(count, size, -1)
    labels = jax.nn.one_hot(dataset.train_labels[: count * size], dataset.classes).reshape(count, size, -1)
    return list(zip(images, labels, strict=True))


def _step(model: AbstractNetwork, method: Method) -> Callable:
    """Loss, its gradient and the statistics of the forward solve, compiled; the optimiser is the same for all."""

    @eqx.filter_jit
    def step(images, targets):
        def loss(model):
            values, equilibrium = objective(
                model, {"input": images}, StateSquaredError(), targets, method=method
            )
            return jnp.mean(values), equilibrium.statistics

        (_, statistics), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(model)
        return statistics, gradient

    return step


def _all(step: Callable, batches) -> None:
    for batch in batches:
        jax.block_until_ready(eqx.filter(step(*batch), eqx.is_array))


def _stats(statistics: list) -> dict[str, float]:
    every = lambda name: np.concatenate([np.asarray(getattr(s, name)) for s in statistics])
    slowest = np.mean([np.max(np.asarray(s.evaluations)) for s in statistics])
    return {
        "iterations": float(every("evaluations").mean()),
        "slowest of a batch": float(slowest),
        "worst relative residual": float(every("relative_residual").max()),
        "did not converge": int((every("status") != 0).sum()),
    }


def _row(times: dict[str, float], stats: dict[str, float], config: Config) -> dict[str, Any]:
    step = times["median"] / config.batches
    return {"ms a step": step, "seconds an epoch": step * STEPS_AN_EPOCH / 1e3, **stats, "ms of all": times}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="networks whose names begin so, such as HAM-784-1990")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", type=Path, help="folder of a trained network")
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the networks in training")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
