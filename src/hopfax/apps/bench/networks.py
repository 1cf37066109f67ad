"""Networks with a dial for difficulty: random couplings of a given spectral radius, a bias for each example."""

import jax.numpy as jnp
import jax.random as jr

from ...lagrangians import Tanh
from ...networks.ham import HAM
from ...networks.layers import Layer
from ...networks.synapses.dense import Bias, Dense

SIZES = (64, 128, 64, 32)


def network(radius: float, seed: int, sizes=SIZES, batch: int = 64):
    """A tanh chain and `batch` sets of biases `N(0, 0.1²)`; the symmetric coupling matrix has spectral radius `radius`.

    Around 1 the updates barely contract; far above, there are many minima.
    """
    keys = jr.split(jr.key(seed), 2 * len(sizes))
    names = [f"layer{i}" for i in range(len(sizes))]
    weights = [
        jr.normal(k, shape) for k, shape in zip(keys, zip(sizes, sizes[1:], strict=False), strict=False)
    ]
    scale = radius / jnp.linalg.norm(_coupling(weights, sizes), 2)
    layers = {name: Layer(n, Tanh()) for name, n in zip(names, sizes, strict=True)}
    dense = [
        Dense(pair, scale * w) for pair, w in zip(zip(names, names[1:], strict=False), weights, strict=False)
    ]
    biases = [0.1 * jr.normal(k, (batch, n)) for k, n in zip(keys[len(sizes) :], sizes, strict=True)]
    return lambda own: HAM(layers, [*dense, *map(Bias, names, own)]), biases


def _coupling(weights, sizes):
    """The symmetric matrix over all neurons."""
    starts = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    matrix = jnp.zeros((starts[-1], starts[-1]))
    for i, weight in enumerate(weights):
        block = (slice(starts[i], starts[i + 1]), slice(starts[i + 1], starts[i + 2]))
        matrix = matrix.at[block].set(weight).at[block[1], block[0]].set(weight.T)
    return matrix
