"""How long the first training step takes, compilation included, without and with JAX's cache of compiled code.

    python benchmarks/first_call.py

Each measurement is a process of its own, because what one compiles the next would find. "first call" is from the
call of the compiled step to its result; importing, data and the making of the network come before. Training steps of
the papers' networks by their recipes, and of two convolutional networks by equilibrium propagation; "cold" with an
empty cache, "warm" with what the cold one left there. "CPU" seconds are those of all threads.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.random as jr
from common import arguments, write

from hopfax.gradients import EquilibriumPropagation
from hopfax.training import TrainState, conv_layers, make_step
from hopfax.training.classifier import make_trainer
from hopfax.training.recipes import Recipe, conv, goemaere2023, goemaere2024

NETWORKS = {
    "goemaere2023": lambda: goemaere2023((784, 512, 10), "HAM-EO"),
    "goemaere2024, 3 layers": lambda: goemaere2024((784, 1990, 10), "HAM-EO"),
    "goemaere2024, 5 layers": lambda: goemaere2024((784, 1280, 510, 200, 10), "HAM-EO"),
    "goemaere2024, 7 layers": lambda: goemaere2024((784, 1024, 512, 256, 128, 70, 10), "HAM-EO"),
    "conv, 28 x 28, equilibrium propagation": lambda: _by_nudging(conv_layers((28, 28), 10)),
    "conv3, 32 x 32 x 3, equilibrium propagation": lambda: _by_nudging(conv_layers((32, 32, 3), 10, "conv3")),
}
EXAMPLES = 60_000


def _by_nudging(layers) -> Recipe:
    return dataclasses.replace(conv(layers), gradient=EquilibriumPropagation())


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(rounds=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(first_call(options.one)))
    else:
        seconds = {name: _of(name, options.rounds) for name in NETWORKS}
        write("first_call", {"rounds": options.rounds, "seconds": seconds}, options.json)


def _of(name: str, rounds: int) -> dict[str, float]:
    """Medians over `rounds` pairs of processes."""
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(_in_a_process(name, cache))
            warm.append(_in_a_process(name, cache))
    median = lambda runs, what: statistics.median(run[what] for run in runs)
    return {
        "first call, cold": median(cold, "first"),
        "first call, cold, CPU": median(cold, "CPU"),
        "first call, warm": median(warm, "first"),
        "second call": median(warm, "second"),
    }


def _in_a_process(name: str, cache: str) -> dict[str, float]:
    settings = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"}
    command = [sys.executable, str(Path(__file__)), "--one", name]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def first_call(name: str) -> dict[str, float]:
    """Seconds of the first step of a network of `NETWORKS`, and of the next."""
    recipe = NETWORKS[name]()
    network = recipe.network()
    shape = network.layers["input"].shape
    trainer = make_trainer(recipe, EXAMPLES, shape)
    state = TrainState.begin(network, trainer, key=jr.key(0))
    images = jr.uniform(jr.key(1), (recipe.batch_size, *shape))
    labels = jr.randint(jr.key(2), (recipe.batch_size,), 0, recipe.layers[-1])
    step = eqx.filter_jit(make_step(trainer))
    began = time.process_time()
    first = _seconds(step, state, images, labels)
    processor = time.process_time() - began
    return {"first": first, "CPU": processor, "second": _seconds(step, state, images, labels)}


def _seconds(step, *arguments) -> float:
    began = time.perf_counter()
    jax.block_until_ready(eqx.filter(step(*arguments), eqx.is_array))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
