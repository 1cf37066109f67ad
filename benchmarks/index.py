"""Recall from an index against the exact stream over all patterns, and from patterns that stay in their file.

    python benchmarks/index.py [--patterns 1000000 --queries 64]
    python benchmarks/index.py --mapped FILE   # ten million patterns in FILE, which is written if it is not there

Patterns are training images, each turned, scaled and shifted at random and read at 16 x 16 points: 256 values. Queries
are patterns with noise, and `beta` is that of `memory.calibrate`. Every way recalls until it converges; times are
medians of calls in turn. Building an index is timed once, and so is the exact recall from the file. Recall from an
index is timed by itself: queries whose bound is too large are counted, and not answered by all patterns as by default.
"""

import functools as ft
import resource
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from common import arguments, interleaved, ratio, write

from hopfax.data import load
from hopfax.memory import FaissIndex, IndexedMemory, MappedMemory, Memory, calibrate

SIDE = 16  # points of an image in each direction
NOISE = 0.2  # of a query; images lie in [0, 1]
SMALL = 1e-3  # a bound
BLOCK = 50_000  # rows made at once
EXACT = "exact stream"


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(rounds=2)
    parser.add_argument("--patterns", type=int)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--cells", type=int)
    parser.add_argument("--k", type=int, default=1024)
    parser.add_argument("--graph", action="store_true", help="a graph too, which takes minutes to build")
    parser.add_argument("--mapped", type=Path, metavar="FILE")
    options = parser.parse_args()
    count = options.patterns or (10_000_000 if options.mapped else 1_000_000)
    settings = {
        "data": options.data,
        "patterns": count,
        "dimension": SIDE**2,
        "queries": options.queries,
        "noise": NOISE,
        "k": options.k,
        "cells": options.cells or (4096 if options.mapped else 1024),
    }
    if options.mapped:
        write("index_mapped", mapped(options.mapped, settings, options.rounds), options.json)
    else:
        write("index", in_memory(settings, options.graph, options.rounds), options.json)


def in_memory(settings: dict[str, Any], graph: bool, rounds: int) -> dict[str, Any]:
    """The exact stream, codes, and a graph where it is asked for, over the same patterns."""
    patterns = np.empty((settings["patterns"], SIDE**2), np.float32)
    fill(patterns, settings["data"])
    queries, beta = noisy(patterns, settings["queries"]), float(calibrate(patterns).recall_beta)
    memory = Memory.store(patterns, beta)
    codes = ft.partial(FaissIndex.compressed, patterns, cells=settings["cells"])
    built = {"codes": timed(codes)}
    if graph:
        built["graph"] = timed(lambda: FaissIndex.graph(patterns))
    alone = lambda index: IndexedMemory(memory, index, settings["k"], largest_bound=1.0)
    indexed = {name: alone(index) for name, (index, _) in built.items()}
    exact = memory.recall(queries)
    calls = {name: lambda one=one: one.recall(queries) for name, one in indexed.items()}
    times = interleaved({EXACT: lambda: memory.recall(queries).state, **calls}, rounds)
    results = {name: compared(call(), exact) for name, call in calls.items()}
    for name, (_, seconds) in built.items():
        results[name] |= {"seconds to build": seconds, "exact stream over it": ratio(times, EXACT, name)}
    updates = int(exact.steps.max())
    return {**settings, "beta": beta, "exact updates": updates, "milliseconds": times, "indices": results}


def mapped(path: Path, settings: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Codes over patterns in a file, and the exact passes over the file."""
    if not path.exists():
        shape = (settings["patterns"], SIDE**2)
        fill(np.lib.format.open_memmap(path, "w+", np.float32, shape), settings["data"])
    patterns = np.load(path, mmap_mode="r")
    queries, beta = noisy(patterns, settings["queries"]), float(calibrate(patterns).recall_beta)
    memory = MappedMemory(patterns, beta)
    index, seconds = timed(lambda: FaissIndex.compressed(patterns, cells=settings["cells"]))
    indexed = IndexedMemory(memory, index, settings["k"], largest_bound=1.0)
    times = interleaved({"codes": lambda: indexed.recall(queries)}, rounds)
    private = private_bytes()
    exact, exact_seconds = timed(lambda: memory.recall(queries))
    codes = {**compared(indexed.recall(queries), exact), "seconds to build": seconds}
    codes |= {"bytes in memory": private, "bytes in the file": path.stat().st_size}
    exactly = {"exact updates": int(exact.steps.max()), "exact seconds": exact_seconds}
    return {**settings, "beta": beta, "milliseconds": times, **exactly, "codes": codes}


def fill(patterns: np.ndarray, data: str) -> None:
    """Writes the patterns, block by block."""
    dataset = load(data)
    images = jnp.asarray(dataset.train_images.reshape(-1, *dataset.image_shape[:2]))
    for start in range(0, len(patterns), BLOCK):
        block = patterns[start : start + BLOCK]
        block[:] = seen(images, jr.fold_in(jr.key(0), start), len(block))


@ft.partial(jax.jit, static_argnames="count")
def seen(images: jax.Array, key: jax.Array, count: int) -> jax.Array:
    """`count` of the images, turned by up to 15 degrees, scaled by up to a tenth and shifted by up to a tenth."""
    which, moved = jr.split(key)
    angle, scale, down, right = jr.uniform(moved, (4, count), minval=-1)
    middle = (images.shape[1] - 1) / 2
    grid = jnp.linspace(-middle, middle, SIDE)

    def one(number, angle, scale, down, right):
        turn, stretch = angle * np.pi / 12, 1 + scale / 10
        row = stretch * (jnp.cos(turn) * grid[:, None] - jnp.sin(turn) * grid[None, :])
        column = stretch * (jnp.sin(turn) * grid[:, None] + jnp.cos(turn) * grid[None, :])
        places = [row + middle * (1 + down / 5), column + middle * (1 + right / 5)]
        return jax.scipy.ndimage.map_coordinates(images[number], places, 1).ravel()

    return jax.vmap(one)(jr.randint(which, (count,), 0, len(images)), angle, scale, down, right)


def noisy(patterns: np.ndarray, count: int) -> np.ndarray:
    """Patterns from all parts of the table, with noise."""
    chosen = np.array(patterns[:: len(patterns) // count][:count])
    return chosen + NOISE * np.random.default_rng(1).standard_normal(chosen.shape, dtype=np.float32)


def compared(result: Any, exact: Any) -> dict[str, Any]:
    """The bounds, and how far recall from an index is from the exact one where the bound is small."""
    sure = result.bound <= SMALL
    return {
        "median bound": float(np.median(result.bound)),
        "queries of small bound": int(sure.sum()),
        "same pattern": float(np.mean(result.index == exact.index)),
        "largest difference where the bound is small": float(
            np.max(np.abs(result.state - exact.state)[sure], initial=0)
        ),
    }


def timed(make: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return jax.block_until_ready(make()), time.perf_counter() - start


def private_bytes() -> int:
    """What the process holds itself, without pages of mapped files."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
