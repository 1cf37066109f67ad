"""One step of recall over many patterns: a streamed softmax, and others that compute all scores at once."""

import importlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ...memory.sharded import ShardedPatterns
from ...memory.similarities import Dot
from ...memory.streaming import update
from .benchmark import Benchmark, Implementation
from .peers import Peers, quiet_torch

PATTERNS, DIMENSION, BATCH, CHUNK = 100_000, 256, 64, 4096
OURS = "hopfax"


def implementations(peers: Peers) -> Mapping[str, Implementation]:
    """hopfax, plain JAX, PyTorch, hopfield-layers and torchhd."""
    patterns = jr.normal(jr.key(0), (PATTERNS, DIMENSION), jnp.float32)
    queries = jr.normal(jr.key(1), (BATCH, DIMENSION), jnp.float32)
    beta = DIMENSION**-0.5
    exact = np.asarray(_plain(patterns, queries, beta)())
    check = lambda output: {"largest difference from softmax": np.max(np.abs(np.asarray(output) - exact))}
    rows, ours = ShardedPatterns(patterns, Dot(), PATTERNS, CHUNK), jax.jit(update)
    call = lambda: ours(rows, queries, jnp.asarray(beta, jnp.float32)).block_until_ready()
    entries = {OURS: Implementation(call, check, ours=True)}
    entries["plain JAX"] = Implementation(
        _plain(patterns, queries, beta), check, "the compiled formula, no library"
    )
    makers = {
        "PyTorch": ((), _torch),
        "torchhd": (("torchhd",), _torchhd),
        "hopfield-layers": (("hflayers",), _layers),
    }
    for name, (packages, make) in makers.items():
        if peers.has("torch", *packages):
            entries[name] = Implementation(make(np.array(patterns), np.array(queries), beta), check)
    return entries


def _plain(patterns, queries, beta: float):
    formula = jax.jit(lambda p, q: jax.nn.softmax(beta * q @ p.T, axis=1) @ p)
    return lambda: formula(patterns, queries).block_until_ready()


def _without_gradients(call):
    torch = quiet_torch()

    def call_without():
        with torch.inference_mode():
            return call()

    return call_without


def _torch(patterns, queries, beta: float):
    torch = quiet_torch()
    stored, query = torch.from_numpy(patterns), torch.from_numpy(queries)
    return _without_gradients(lambda: torch.softmax(beta * query @ stored.T, dim=-1) @ stored)


def _torchhd(patterns, queries, beta: float):
    torch = quiet_torch()
    attention = importlib.import_module("torchhd").memory.attention
    stored, query = torch.from_numpy(patterns), torch.from_numpy(queries)
    return _without_gradients(lambda: attention(query, stored, stored, beta))


def _layers(patterns, queries, beta: float):
    """Its Hopfield layer without learned projections: one head, one update, patterns as keys and values."""
    torch = quiet_torch()
    learned = ("stored_pattern", "state_pattern", "pattern_projection")
    module = importlib.import_module("hflayers").Hopfield(
        scaling=beta,
        update_steps_max=0,
        disable_out_projection=True,
        **{f"{name}_as_static": True for name in learned},
        **{f"normalize_{name}": False for name in learned},
        **{f"normalize_{name}_affine": False for name in learned},
    )
    stored, query = torch.from_numpy(patterns)[None], torch.from_numpy(queries)[None]
    return _without_gradients(lambda: module((stored, query, stored))[0])


RECALLING = Benchmark(
    "recall",
    f"one update over {PATTERNS:,} patterns of {DIMENSION} values, batch {BATCH}",
    OURS,
    implementations,
)
