"""Initial weights and biases with which large images are learned: the mean image is encoded as zero."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks import HAM, Bias
from .likelihoods import VISIBLE, AbstractLikelihood
from .networks import AbstractNetworks
from .posterior import LATENT, LOG_VARIANCE

INITIAL_LOG_VARIANCE = -2.5  # samples are close to their means, so that the decoder gets information
MIN_PROBABILITY = 0.01  # the initial probability of a pixel lies in [MIN_PROBABILITY, 1 - MIN_PROBABILITY]
WEIGHT_SCALES = {VISIBLE: 4.0, LATENT: 0.5, LOG_VARIANCE: 0.2}
"""Factors of the Xavier weights by layer; those of visible are divided by `slope`, those of latent by `√gain`."""


def networks_at_mean(
    networks: AbstractNetworks,
    likelihood: AbstractLikelihood,
    mean: Float[Array, " pixels"],
    hidden_state: float = 0.0,
) -> AbstractNetworks:
    """The untrained networks, changed so that the `mean` image is encoded as zero and decoded from zero.

    Biases are set such that every hidden neuron is at `hidden_state` there, every log-variance at
    `INITIAL_LOG_VARIANCE`, and the visible layer decodes to the mean image. Otherwise the decoder first learns the
    mean image and in doing so learns to ignore the latents. Weights are scaled for logits and hidden drives of
    order 1, whatever the slope and the gain are.
    Raises: `ValueError` for a likelihood without a `decoded_state`.
    """
    decoded = likelihood.decoded_state(jnp.clip(mean, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    encoded = likelihood.state(mean)

    def initialise(network: HAM) -> HAM:
        scaled = _scale_weights(network, likelihood.slope)
        return _set_biases(scaled, encoded, decoded, hidden_state)

    return jax.tree.map(initialise, networks, is_leaf=lambda node: isinstance(node, HAM))


def _scale_weights(network: HAM, slope: float) -> HAM:
    gain = network.layers[LATENT].lagrangian.linear_gain or 1.0
    divisors = {VISIBLE: slope, LATENT: math.sqrt(gain), LOG_VARIANCE: 1.0}
    factors = {name: WEIGHT_SCALES[name] / divisors[name] for name in WEIGHT_SCALES}
    scale = lambda synapse: math.prod(factors.get(name, 1.0) for name in synapse.layers)
    scaled = {n: jax.tree.map(lambda x, s=s: scale(s) * x, s) for n, s in network.synapses.items()}
    return HAM(network.layers, scaled)


def _set_biases(
    network: HAM, encoded: Float[Array, " pixels"], decoded: Float[Array, " pixels"], hidden_state: float
) -> HAM:
    """The biases at which each layer's drive is its state at the mean image, and the visible drive is `decoded`."""
    zero = network.zeros(jnp.float32)
    states = {name: zero[name] + hidden_state for name in network.order}
    states |= {VISIBLE: encoded, LATENT: zero[LATENT]}
    if LOG_VARIANCE in states:
        states[LOG_VARIANCE] = zero[LOG_VARIANCE] + INITIAL_LOG_VARIANCE
    drives = network.drive(network.activations(states), tuple(network.order))
    targets = {**states, VISIBLE: decoded}
    biases = {name: synapse for name, synapse in network.synapses.items() if isinstance(synapse, Bias)}
    values = [s.bias + targets[s.layers[0]] - drives[s.layers[0]] for s in biases.values()]
    return eqx.tree_at(lambda n: [n.synapses[name].bias for name in biases], network, values)
