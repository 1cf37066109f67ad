"""The networks that encode and decode: layered or dense, one for both or one each."""

import abc
import itertools
from collections.abc import Sequence

import equinox as eqx
import jax.random as jr
from jaxtyping import Array, Key

from ..ham import HAM, connect
from ..lagrangians import AbstractLagrangian, Identity, Sigmoid
from ..layers import Layer
from ..synapses import Bias
from .costs import LATENT, LOG_VARIANCE
from .likelihoods import VISIBLE, AbstractLikelihood
from .posterior import AbstractVariance

Pairs = Sequence[tuple[str, str]]


class AbstractNetworks(eqx.Module):
    """The network that encodes and the one that decodes; both have all layers."""

    @property
    @abc.abstractmethod
    def encoder(self) -> HAM:
        """Relaxed with the image clamped."""

    @property
    @abc.abstractmethod
    def decoder(self) -> HAM:
        """Relaxed with the latents clamped."""


class Tied(AbstractNetworks):
    """One network for both, one set of weights."""

    network: HAM

    @property
    def encoder(self) -> HAM:
        return self.network

    @property
    def decoder(self) -> HAM:
        return self.network


class Pair(AbstractNetworks):
    """Two networks."""

    encoding: HAM
    decoding: HAM

    @property
    def encoder(self) -> HAM:
        return self.encoding

    @property
    def decoder(self) -> HAM:
        return self.decoding


def layered(
    pixels: int,
    hidden: int,
    latents: int,
    likelihood: AbstractLikelihood,
    variance: AbstractVariance,
    *,
    neurons: AbstractLagrangian | None = None,
    key: Key[Array, ""],
) -> HAM:
    """Visible - hidden - latent (and - log_variance): even-odd whichever end is clamped.

    Args: `neurons` of the hidden layer, by default `Sigmoid.paper()`.
    """
    ends = [VISIBLE, LATENT, *variance.layers]
    layers = _layers({"hidden": hidden}, pixels, latents, likelihood, variance, neurons)
    return _with_all_biases(layers, [("hidden", end) for end in ends], key)


def dense(
    pixels: int,
    hidden: tuple[int, int],
    latents: int,
    likelihood: AbstractLikelihood,
    variance: AbstractVariance,
    *,
    neurons: AbstractLagrangian | None = None,
    key: Key[Array, ""],
) -> HAM:
    """Every two blocks are joined, the two halves of the hidden layer and the two ends included: not bipartite.

    Mean and log-variance alone are not joined, as the decoder has no log-variance.
    """
    sizes = {"hidden1": hidden[0], "hidden2": hidden[1]}
    layers = _layers(sizes, pixels, latents, likelihood, variance, neurons)
    pairs = [pair for pair in itertools.combinations(layers, 2) if pair != (LATENT, LOG_VARIANCE)]
    return _with_all_biases(layers, pairs, key)


def without(network: HAM, names: Sequence[str]) -> HAM:
    """The network that is left when some layers and their synapses are taken out."""
    if not names:
        return network
    layers = {name: network.layers[name] for name in network.order if name not in names}
    touches = lambda synapse: any(name in names for name in synapse.layers)
    return HAM(layers, {n: s for n, s in network.synapses.items() if not touches(s)})


def _layers(hidden: dict[str, int], pixels, latents, likelihood, variance, neurons) -> dict[str, Layer]:
    """In this order the visible layer is kept when decoding and the latents are when encoding."""
    neurons = Sigmoid.paper() if neurons is None else neurons
    middle = {name: Layer(size, neurons) for name, size in hidden.items()}
    ends = {name: Layer(latents, Identity()) for name in (LATENT, *variance.layers)}
    return {**middle, VISIBLE: Layer(pixels, likelihood.lagrangian), **ends}


def _with_all_biases(layers: dict[str, Layer], pairs: Pairs, key: Key[Array, ""]) -> HAM:
    network = connect(layers, list(pairs), key=key)
    first = network.order[0]
    bias = 0.01 * jr.normal(jr.fold_in(key, 2), layers[first].shape, "float32")
    return HAM(layers, [*network.synapses.values(), Bias(first, bias)])
