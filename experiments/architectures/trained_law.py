"""Does the energy of trained convolutional networks ever rise? Sweep by sweep from random states, in float64.

    python -m experiments.architectures.trained_law [--seed 0] [--smoke] [--table]

The networks are trained on the embedded digits by the recipe `conv`, one for each combination of pool and neurons.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from benchmarks.common import circumstances

from hopfax import HAM
from hopfax._internal.files import write_json
from hopfax._internal.tree import cast
from hopfax.data import Dataset, digits
from hopfax.networks import ConvBlock
from hopfax.training import Recipe, train_in_memory
from hopfax.training.recipes import conv
from hopfax.updates import Coloured, Problem

from .energy_law import (
    NEURONS,
    POOLS,
    allowed,
    command,
    guarded_sweeps,
    plain_sweeps,
    random_start,
    relative_rises,
)

COMBINATIONS = (
    *((pool, name) for pool in ("average", "max") for name in ("ReLU", "HardSigmoid")),
    ("max", "Tanh"),
)
SHAPE, CHANNELS = (8, 8, 1), (8, 16)
START_STD = 2.0


def main(arguments: Sequence[str] | None = None) -> None:
    command(__doc__, arguments, "trained_law", run, table)


def run(options: argparse.Namespace, path: Path) -> None:
    """One network of each combination."""
    size = (
        {"epochs": 1, "sweeps": 6, "images": 4}
        if options.smoke
        else {"epochs": 30, "sweeps": 60, "images": 250}
    )
    rows = {}
    for pool, neurons in COMBINATIONS[: 1 if options.smoke else None]:
        rows[f"{pool}, {neurons}"] = _row(pool, neurons, options.seed, **size)
        print(rows, flush=True)
    result = {"config": {**size, "seed": options.seed, "start_std": START_STD}, "rows": rows}
    write_json(path, {**result, "circumstances": circumstances()}, indent=1)


def recipe(pool: str, neurons: str, epochs: int, seed: int) -> Recipe:
    """Two convolutions 3 x 3, the first of them pooled, and a dense output."""
    first, second = (ConvBlock(channels, 3) for channels in CHANNELS)
    plain = conv((SHAPE, dataclasses.replace(first, pool=POOLS[pool]), second, 10))
    architecture = dataclasses.replace(plain.architecture, hidden=NEURONS[neurons])
    return dataclasses.replace(plain, architecture=architecture, epochs=epochs, seed=seed, batch_size=50)


def _row(pool: str, neurons: str, seed: int, *, epochs: int, sweeps: int, images: int) -> dict[str, Any]:
    """The test error of one network, and the rises of its energy over plain sweeps and under the default solver."""
    dataset = digits()
    trained = train_in_memory(recipe(pool, neurons, epochs, seed), dataset)
    row: dict[str, Any] = {"test error": 1 - trained.summary()["test_accuracy"]}
    with jax.enable_x64(True):
        model = cast(trained.network, jnp.float64)
        for name, sweep in {"plain": plain_sweeps, "default solver": guarded_sweeps}.items():
            row[name] = _rises(model, dataset, sweep, sweeps, images)
    return row


def _rises(model: HAM, dataset: Dataset, sweep: Any, sweeps: int, images: int) -> dict[str, Any]:
    """What a run of so many sweeps from random states does, for each image."""

    @jax.jit
    @jax.vmap
    def one(image, key):
        problem = Problem(model.condition({"input": image}), Coloured())
        return sweep(problem, random_start(problem, START_STD, key), sweeps)

    inputs = jnp.asarray(dataset.test_images[:images].reshape(-1, *SHAPE), jnp.float64)
    runs = zip(*map(np.asarray, one(inputs, jr.split(jr.key(0), len(inputs)))), strict=True)
    rises = [relative_rises(*run) for run in runs]
    beyond = [np.count_nonzero(rise > allowed()) for rise in rises]
    return {
        "images": len(rises),
        "sweeps": int(sum(rise.size for rise in rises)),
        "largest rise": float(max(rise.max(initial=-np.inf) for rise in rises)),
        "sweeps with a rise": int(sum(beyond)),
        "images with a rise": int(np.count_nonzero(beyond)),
    }


def table(result: dict[str, Any]) -> str:
    """One row for each network, in Markdown."""
    head = (
        "| pool | neurons | test error | images | largest rise | sweeps that rise | of the default solver |"
    )
    rows = [head, "| --- " * 7 + "|"]
    for name, row in result["rows"].items():
        plain, solver = row["plain"], row["default solver"]
        counts = [f"{each['sweeps with a rise']} of {each['sweeps']}" for each in (plain, solver)]
        error = f"{100 * row['test error']:.1f} %"
        cells = [*name.split(", "), error, str(plain["images"]), f"{plain['largest rise']:.1e}", *counts]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
