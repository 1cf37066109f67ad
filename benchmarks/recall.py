"""One recall step over many patterns against the matrix products it cannot do without, plain JAX and PyTorch.

    python benchmarks/recall.py [--patterns 100000 --dimension 256 --batch 64]
    python benchmarks/recall.py --large   # one recall over 1,000,000 x 768 and the peak memory of the process

All in float32, on the same random patterns. Ours passes through the patterns in chunks; "products" are `q P^T` and the
product with `P` alone, at once and in chunks of the same size. PyTorch takes part where it is installed.
"""

import importlib.util
import os
import resource
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from common import arguments, interleaved, ratio, write
from jax import lax

from hopfax.memory.memory import Memory
from hopfax.memory.sharded import ShardedPatterns
from hopfax.memory.similarities import Dot, Euclidean
from hopfax.memory.streaming import update

OURS, PRODUCTS, CHUNKED = "hopfax, product", "the two products", "the two products, chunked"
PLAIN, TORCH = "plain JAX", "PyTorch"
UNIT = 1024 if sys.platform == "linux" else 1  # of `ru_maxrss`, in bytes


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--patterns", type=int)
    parser.add_argument("--dimension", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--chunk", type=int, default=4096)
    parser.add_argument(
        "--large", action="store_true", help="one recall over a million patterns, and its memory"
    )
    options = parser.parse_args()
    usual = (1_000_000, 768, 16) if options.large else (100_000, 256, 64)
    asked = options.patterns, options.dimension, options.batch
    shape = tuple(own or other for own, other in zip(asked, usual, strict=True))
    if options.large:
        write("recall_large", large(shape, options.chunk), options.json)
    else:
        write("recall", timed(shape, options.chunk, options.rounds), options.json)


def timed(shape: tuple[int, ...], chunk: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of each contestant in turn, and how far ours is from plain softmax."""
    patterns, queries = normal(shape)
    beta = jnp.asarray(shape[1] ** -0.5, jnp.float32)
    calls = _contestants(patterns, queries, beta, chunk)
    difference = float(jnp.max(jnp.abs(calls[OURS]() - calls[PLAIN]())))
    times = interleaved(calls, rounds)
    least = min((PRODUCTS, CHUNKED), key=lambda name: times[name]["median"])
    ratios = {
        "over the faster products": ratio(times, OURS, least),
        "plain JAX over ours": ratio(times, PLAIN, OURS),
    }
    if TORCH in times:
        ratios["PyTorch over ours"] = ratio(times, TORCH, OURS)
    names = dict(zip(("patterns", "dimension", "batch"), shape, strict=True))
    return {
        **names,
        "chunk": chunk,
        "milliseconds": times,
        "ratios": ratios,
        "largest difference": difference,
    }


def _contestants(patterns, queries, beta, chunk: int) -> dict[str, Any]:
    ours = jax.jit(update)
    calls = {}
    for name, similarity in ((OURS, Dot()), ("hopfax, distance", Euclidean())):
        rows = ShardedPatterns(patterns, similarity, len(patterns), chunk)
        calls[name] = lambda rows=rows: ours(rows, queries, beta).block_until_ready()
    for name, function in ((PRODUCTS, _products), (PLAIN, _softmax)):
        calls[name] = lambda f=jax.jit(function): f(patterns, queries, beta).block_until_ready()
    chunked = jax.jit(_products_in_chunks, static_argnums=3)
    calls[CHUNKED] = lambda: chunked(patterns, queries, beta, chunk).block_until_ready()
    if importlib.util.find_spec("torch"):
        calls[TORCH] = _torch(np.asarray(patterns), np.asarray(queries), float(beta))
    return calls


def _softmax(patterns, queries, beta):
    return jax.nn.softmax(beta * queries @ patterns.T, axis=1) @ patterns


def _products(patterns, queries, beta):
    return (beta * queries @ patterns.T) @ patterns


def _products_in_chunks(patterns, queries, beta, chunk: int):
    """Whole chunks in a loop, then what is left; the scores of one chunk at a time."""
    whole = len(patterns) // chunk
    add = lambda total, some: total + (beta * queries @ some.T) @ some

    def body(i, total):
        return add(total, lax.dynamic_slice_in_dim(patterns, i * chunk, chunk))

    return add(lax.fori_loop(0, whole, body, jnp.zeros_like(queries)), patterns[whole * chunk :])


def _torch(patterns: np.ndarray, queries: np.ndarray, beta: float):
    # Its idle threads would otherwise spin on the cores that the others are timed on.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    stored, asked = torch.from_numpy(patterns.copy()), torch.from_numpy(queries.copy())

    def call():
        with torch.inference_mode():
            return torch.softmax(beta * asked @ stored.T, dim=-1) @ stored

    return call


def large(shape: tuple[int, ...], chunk: int) -> dict[str, Any]:
    """Recall of noisy patterns out of very many, to the fixed point, and the peak memory of the process.

    `beta` is such that the effective one of these patterns is 100.
    """
    patterns = _in_blocks(shape)
    started = _peak()
    memory = Memory.store(patterns, 100 / shape[1], similarity=Dot(), chunk=chunk)
    chosen = np.linspace(0, len(patterns) - 1, shape[2]).astype(int)
    noise = 0.5 * jr.normal(jr.key(2), (shape[2], shape[1]), jnp.float32)
    queries = np.asarray(patterns[chosen] + noise)
    began = time.perf_counter()
    recall = memory.recall(queries)
    names = dict(zip(("patterns", "dimension", "batch"), shape, strict=True))
    return {
        **names,
        "patterns": len(patterns),
        "chunk": chunk,
        "recalled": float(np.mean(recall.index == chosen)),
        "largest number of steps": int(recall.steps.max()),
        "seconds with compilation": time.perf_counter() - began,
        "bytes of the patterns": patterns.nbytes,
        "peak bytes with the patterns made": started,
        "peak bytes after recall": _peak(),
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def _in_blocks(shape: tuple[int, ...], blocks: int = 100) -> jax.Array:
    """Normal patterns, their number a multiple of `blocks`, made in no more memory than they take."""
    make = lambda key: jr.normal(key, (shape[0] // blocks, shape[1]), jnp.float32)
    keys = jr.split(jr.key(0), blocks)
    return jax.jit(lambda keys: lax.map(make, keys).reshape(-1, shape[1]))(keys).block_until_ready()


def normal(shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Normal patterns and queries; `shape` has the number of patterns, the dimension and the number of queries."""
    patterns = jr.normal(jr.key(0), shape[:2], jnp.float32)
    return patterns.block_until_ready(), jr.normal(jr.key(1), (shape[2], shape[1]), jnp.float32)


if __name__ == "__main__":
    main()
