"""The networks of a Hopfield VAE: layered or dense, shared by encoder and decoder or one for each."""

import abc
import itertools
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.random as jr
from jaxtyping import Array, Key

from ..lagrangians import AbstractLagrangian, Identity, Linear, Sigmoid
from ..networks import HAM, Bias, Layer, connect
from .likelihoods import VISIBLE, AbstractLikelihood
from .posterior import LATENT, LOG_VARIANCE, AbstractVariance

Pairs = Sequence[tuple[str, str]]


class AbstractNetworks(eqx.Module):
    """The network that encodes and the network that decodes. Both have all layers."""

    @property
    @abc.abstractmethod
    def encoder(self) -> HAM:
        """The network that is relaxed with the image clamped."""

    @property
    @abc.abstractmethod
    def decoder(self) -> HAM:
        """The network that is relaxed with the latents clamped, once the layers of the variance are removed."""


class Tied(AbstractNetworks):
    """One network with one set of weights, as encoder and as decoder."""

    network: HAM

    @property
    def encoder(self) -> HAM:
        return self.network

    @property
    def decoder(self) -> HAM:
        return self.network


class Untied(AbstractNetworks):
    """Two networks with weights of their own."""

    encoder_network: HAM
    decoder_network: HAM

    @property
    def encoder(self) -> HAM:
        return self.encoder_network

    @property
    def decoder(self) -> HAM:
        return self.decoder_network


def layered(
    pixels: int,
    hidden: int,
    latents: int,
    likelihood: AbstractLikelihood,
    variance: AbstractVariance,
    *,
    neurons: AbstractLagrangian | None = None,
    latent_gain: float = 1.0,
    key: Key[Array, ""],
) -> HAM:
    """Layers visible - hidden - latent (and log_variance): bipartite, whichever end is clamped.

    Args:
        pixels, hidden, latents: numbers of neurons.
        likelihood: determines the visible neurons.
        variance: `LearnedVariance` adds the layer "log_variance".
        neurons: Lagrangian of the hidden layer, `Sigmoid.paper()` by default.
        latent_gain: gain of the latents, see `hopfax.lagrangians.Linear`.
    """
    outer = [VISIBLE, LATENT, *variance.layers]
    layers = {
        **_hidden_layers({"hidden": hidden}, neurons),
        **_outer_layers(pixels, latents, likelihood, variance, latent_gain),
    }
    return _connect_with_biases(layers, [("hidden", name) for name in outer], key)


def dense(
    pixels: int,
    hidden: tuple[int, int],
    latents: int,
    likelihood: AbstractLikelihood,
    variance: AbstractVariance,
    *,
    neurons: AbstractLagrangian | None = None,
    latent_gain: float = 1.0,
    key: Key[Array, ""],
) -> HAM:
    """All pairs of visible, latent and two hidden layers are connected, so the network is not bipartite.

    Mean and log-variance are not connected with each other, because the decoder has no log-variance.
    Args: as `layered`; `hidden` has the sizes of both hidden layers.
    """
    sizes = {"hidden1": hidden[0], "hidden2": hidden[1]}
    layers = {
        **_hidden_layers(sizes, neurons),
        **_outer_layers(pixels, latents, likelihood, variance, latent_gain),
    }
    pairs = [pair for pair in itertools.combinations(layers, 2) if pair != (LATENT, LOG_VARIANCE)]
    return _connect_with_biases(layers, pairs, key)


def remove_layers(network: HAM, names: Sequence[str]) -> HAM:
    """The network without the layers in `names` and without their synapses."""
    if not names:
        return network
    layers = {name: network.layers[name] for name in network.order if name not in names}
    touches = lambda synapse: any(name in names for name in synapse.layers)
    return HAM(layers, {n: s for n, s in network.synapses.items() if not touches(s)})


def _hidden_layers(sizes: Mapping[str, int], neurons: AbstractLagrangian | None) -> dict[str, Layer]:
    neurons = Sigmoid.paper() if neurons is None else neurons
    return {name: Layer(size, neurons) for name, size in sizes.items()}


def _outer_layers(
    pixels: int, latents: int, likelihood: AbstractLikelihood, variance: AbstractVariance, latent_gain: float
) -> dict[str, Layer]:
    """Visible, latent and log-variance layers, after the hidden layers in order.

    Even-odd splitting eliminates the first colour, so the unknowns are the visible layer when decoding and the latents
    when encoding. A cost can nudge these.
    """
    log_variances = {name: Layer(latents, Identity()) for name in variance.layers}
    visible, latent = Layer(pixels, likelihood.lagrangian), Layer(latents, Linear(latent_gain))
    return {VISIBLE: visible, LATENT: latent, **log_variances}


def _connect_with_biases(layers: dict[str, Layer], pairs: Pairs, key: Key[Array, ""]) -> HAM:
    """`connect`, and a bias on the first layer too."""
    network = connect(layers, list(pairs), key=key)
    first = network.order[0]
    bias = 0.01 * jr.normal(jr.fold_in(key, 2), layers[first].shape, "float32")
    return HAM(layers, [*network.synapses.values(), Bias(first, bias)])
