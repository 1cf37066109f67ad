"""The networks that encode and decode: layered or dense, one for both or one each."""

import abc
import itertools
from collections.abc import Sequence

import equinox as eqx
import jax.random as jr
from jaxtyping import Array, Key

from ..lagrangians import AbstractLagrangian, Identity, Sigmoid
from ..lagrangians.elementwise import Linear
from ..networks.ham import HAM, connect
from ..networks.layers import Layer
from ..networks.synapses.dense import Bias
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


class Untied(AbstractNetworks):
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
    gain: float = 1.0,
    key: Key[Array, ""],
) -> HAM:
    """Visible - hidden - latent (and - log_variance): even-odd whichever end is clamped.

    Args: `neurons` of the hidden layer, by default `Sigmoid.paper()`; `gain` of the latents, see `Linear`.
    """
    ends = [VISIBLE, LATENT, *variance.layers]
    layers = {**_hidden({"hidden": hidden}, neurons), **_ends(pixels, latents, likelihood, variance, gain)}
    return _with_all_biases(layers, [("hidden", end) for end in ends], key)


def dense(
    pixels: int,
    hidden: tuple[int, int],
    latents: int,
    likelihood: AbstractLikelihood,
    variance: AbstractVariance,
    *,
    neurons: AbstractLagrangian | None = None,
    gain: float = 1.0,
    key: Key[Array, ""],
) -> HAM:
    """Every two blocks are joined, the two halves of the hidden layer and the two ends included: not bipartite.

    Mean and log-variance alone are not joined, as the decoder has no log-variance.
    """
    sizes = {"hidden1": hidden[0], "hidden2": hidden[1]}
    layers = {**_hidden(sizes, neurons), **_ends(pixels, latents, likelihood, variance, gain)}
    pairs = [pair for pair in itertools.combinations(layers, 2) if pair != (LATENT, LOG_VARIANCE)]
    return _with_all_biases(layers, pairs, key)


def without(network: HAM, names: Sequence[str]) -> HAM:
    """The network that is left when some layers and their synapses are taken out."""
    if not names:
        return network
    layers = {name: network.layers[name] for name in network.order if name not in names}
    touches = lambda synapse: any(name in names for name in synapse.layers)
    return HAM(layers, {n: s for n, s in network.synapses.items() if not touches(s)})


def _hidden(sizes: dict[str, int], neurons: AbstractLagrangian | None) -> dict[str, Layer]:
    neurons = Sigmoid.paper() if neurons is None else neurons
    return {name: Layer(size, neurons) for name, size in sizes.items()}


def _ends(pixels, latents, likelihood, variance, gain: float) -> dict[str, Layer]:
    """Behind the hidden layers, so that the visible layer is kept when decoding and the latents are when encoding."""
    others = {name: Layer(latents, Identity()) for name in variance.layers}
    return {VISIBLE: Layer(pixels, likelihood.lagrangian), LATENT: Layer(latents, Linear(gain)), **others}


def _with_all_biases(layers: dict[str, Layer], pairs: Pairs, key: Key[Array, ""]) -> HAM:
    network = connect(layers, list(pairs), key=key)
    first = network.order[0]
    bias = 0.01 * jr.normal(jr.fold_in(key, 2), layers[first].shape, "float32")
    return HAM(layers, [*network.synapses.values(), Bias(first, bias)])
