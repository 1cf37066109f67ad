"""A start from which large images are learned: at the mean image, with small signals."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.ham import HAM
from ..networks.synapses.dense import Bias
from .costs import LATENT, LOG_VARIANCE
from .likelihoods import VISIBLE, OffsetBernoulli
from .model import HopfieldVAE, Image

LOG_VARIANCE_AT_START = -2.5  # a sample is near its mean, so that the decoder has something to go by
WEIGHTS = {
    VISIBLE: 4.0,
    LATENT: 0.5,
    LOG_VARIANCE: 0.2,
}  # times Xavier's; visible over slope, latent over √gain
SURE = 0.01  # a pixel's probability at the start lies in [SURE, 1 - SURE]


def at_mean(vae: HopfieldVAE, mean: Image) -> HopfieldVAE:
    """The untrained `vae` with biases such that the `mean` image is encoded as zero, log-variances as -2.5.

    There every hidden neuron is at its centre, and it drives the visible layer to the mean image. Without that the
    decoder first learns the mean image, and on the way unlearns to use the latents. Weights are scaled for signals
    of order 1 in logits and hidden neurons, whatever `slope` and `gain` are.
    Raises: `ValueError` for another likelihood than `OffsetBernoulli`.
    """
    likelihood = vae.likelihood
    if not isinstance(likelihood, OffsetBernoulli):
        raise ValueError(
            f"`at_mean` is for an `OffsetBernoulli` likelihood, got `{type(likelihood).__name__}`."
        )
    likely = jnp.clip(mean, SURE, 1 - SURE)
    decoded = (jnp.log(likely) - jnp.log1p(-likely) + likelihood.logit) / likelihood.slope
    shown = likelihood.state(mean)
    centre = lambda network: _centred(_scaled(network, likelihood.slope), shown, decoded)
    is_network = lambda x: isinstance(x, HAM)
    networks = jax.tree.map(centre, vae.networks, is_leaf=is_network)
    return eqx.tree_at(lambda v: v.networks, vae, networks)


def _scaled(network: HAM, slope: float) -> HAM:
    """With the weights to the ends at the scale of `WEIGHTS`."""
    gain = network.layers[LATENT].lagrangian.linear_gain or 1.0
    divide = {VISIBLE: slope, LATENT: math.sqrt(gain), LOG_VARIANCE: 1.0}
    factors = {end: WEIGHTS[end] / divide[end] for end in WEIGHTS}
    scale = lambda synapse: math.prod(factors.get(name, 1.0) for name in synapse.layers)
    scaled = {n: jax.tree.map(lambda x, s=s: scale(s) * x, s) for n, s in network.synapses.items()}
    return HAM(network.layers, scaled)


def _centred(network: HAM, shown: Image, decoded: Float[Array, " pixels"]) -> HAM:
    """With biases such that each layer's drive at the mean image is where it is to be."""
    zero = network.zeros(jnp.float32)
    states = {
        name: zero[name] + getattr(network.layers[name].lagrangian, "centre", 0.0) for name in network.order
    }
    states |= {VISIBLE: shown, LATENT: zero[LATENT]}
    if LOG_VARIANCE in states:
        states[LOG_VARIANCE] = zero[LOG_VARIANCE] + LOG_VARIANCE_AT_START
    drive = network.drive(network.activations(states), tuple(network.order))
    wanted = {**states, VISIBLE: decoded}
    biases = {name: synapse for name, synapse in network.synapses.items() if isinstance(synapse, Bias)}
    moved = [each.bias + wanted[each.layers[0]] - drive[each.layers[0]] for each in biases.values()]
    return eqx.tree_at(lambda n: [n.synapses[name].bias for name in biases], network, moved)
