"""Variational autoencoders, and the one whose encoder and decoder are relaxing networks."""

import abc
import dataclasses
import math
from collections.abc import Iterator
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._internal.tree import size
from ..lagrangians import AbstractLagrangian
from ..method import Method
from ..networks import HAM, PartialClamp
from ..relax import solve_example
from ..solvers.equilibrium import Equilibrium
from .initialise import networks_at_mean
from .likelihoods import VISIBLE, AbstractLikelihood
from .networks import AbstractNetworks, remove_layers
from .posterior import LATENT, AbstractVariance, Posterior

COMPLETION_STEPS = 10  # times the steps of encoding: with both ends free, relaxing takes longer

Image = Float[Array, " pixels"]
Latent = Float[Array, " latents"]


class AbstractVAE(eqx.Module):
    """A variational autoencoder: encoder `q(z | x)`, decoder `p(x | z)`, and the prior `p(z) = N(0, I)`.

    The methods take one example, except for `relaxations`.
    """

    likelihood: eqx.AbstractVar[AbstractLikelihood]

    has_energy: eqx.AbstractClassVar[bool]
    """Whether encoder and decoder relax to equilibria of an energy."""

    @property
    @abc.abstractmethod
    def latents(self) -> int:
        """The number of latents."""

    @property
    @abc.abstractmethod
    def pixels(self) -> int:
        """The number of pixels of an image."""

    @abc.abstractmethod
    def encode(self, image: Image) -> tuple[Posterior, Bool[Array, ""]]:
        """`q(z | x)`, and whether the encoder converged."""

    @abc.abstractmethod
    def decode(self, latent: Latent) -> tuple[Image, Bool[Array, ""]]:
        """The activation of the visible layer, for `likelihood`, and whether the decoder converged."""

    @abc.abstractmethod
    def relax_unknown(
        self, image: Image, known: Bool[Array, " pixels"], start: Image
    ) -> tuple[Image, Bool[Array, ""]]:
        """Clamp the `known` pixels, relax all others together with the other layers, from the encoding of `start`.

        Returns: the mean image with the known pixels as in `image`, and whether it converged.
        Raises: `ValueError` for a model without an energy.
        """

    @abc.abstractmethod
    def start_at_mean(self, mean: Image, hidden_state: float = 0.0) -> "AbstractVAE":
        """The untrained model changed so that the `mean` image is encoded as zero, see `networks_at_mean`.

        A model without an energy stays as it is. Raises: `ValueError` for a likelihood without a `decoded_state`.
        """

    @abc.abstractmethod
    def relaxations(
        self, images: Float[Array, "batch pixels"], noise: Float[Array, "batch latents"]
    ) -> Iterator[tuple[str, HAM, dict[str, Array]]]:
        """What a step of training relaxes for a batch: name, network and clamp of encoder and decoder, in turn."""


class HopfieldVAE(AbstractVAE):
    """Clamp the image and read the latents; clamp the latents and read the image.

    Args:
        networks: `Tied` (one network with one set of weights) or `Untied`; `layered` and `dense` make networks.
        likelihood: `Gaussian`, `Bernoulli` or `OffsetBernoulli`.
        variance: of the posterior, `FixedVariance` or `LearnedVariance`.
        method: how both networks are relaxed. Its gradient differentiates their equilibria, unless equilibrium
            propagation does.
    Raises: `ValueError` for a network without a layer that is needed.

    Source: [vandermeersch2023], from the abstract; the procedure is our reconstruction.
    """

    networks: AbstractNetworks
    likelihood: AbstractLikelihood
    variance: AbstractVariance
    method: Method = Method()

    has_energy: ClassVar[bool] = True

    def __check_init__(self):
        for network in (self.networks.encoder, self.networks.decoder):
            missing = [n for n in (VISIBLE, LATENT, *self.variance.layers) if n not in network.layers]
            if missing:
                raise ValueError(
                    f"`networks` lack layer {missing[0]!r}; their layers are {list(network.order)}. Build them "
                    "with `layered` or `dense` and the same `variance`."
                )

    @property
    def latents(self) -> int:
        return self.encoder.layers[LATENT].size

    @property
    def pixels(self) -> int:
        return self.encoder.layers[VISIBLE].size

    @property
    def encoder(self) -> HAM:
        """The network that encodes."""
        return self.networks.encoder

    @property
    def decoder(self) -> HAM:
        """The network that decodes, without the layers that only the encoder has."""
        return remove_layers(self.networks.decoder, self.variance.layers)

    @property
    def latent_scale(self) -> float:
        """`√gain` of the encoder's latents."""
        return math.sqrt(_gain(self.encoder.layers[LATENT].lagrangian))

    def encoder_clamp(self, image: Image) -> dict[str, Array]:
        """The clamp for encoding `image`."""
        return {VISIBLE: self.likelihood.state(image)}

    def decoder_clamp(self, latent: Float[Array, "*batch latents"]) -> dict[str, Array]:
        """The clamp for decoding `latent`: the state at which it is the activation."""
        return {LATENT: latent / _gain(self.networks.decoder.layers[LATENT].lagrangian)}

    def relax_encoder(self, image: Image) -> Equilibrium:
        """The equilibrium with the image clamped."""
        return solve_example(self.encoder, self.encoder_clamp(image), {}, self.method)

    def relax_decoder(self, latent: Latent) -> Equilibrium:
        """The equilibrium with the latents clamped."""
        return solve_example(self.decoder, self.decoder_clamp(latent), {}, self.method)

    def encode(self, image: Image) -> tuple[Posterior, Bool[Array, ""]]:
        equilibrium = self.relax_encoder(image)
        return self.variance.posterior(equilibrium.activation), equilibrium.converged

    def decode(self, latent: Latent) -> tuple[Image, Bool[Array, ""]]:
        equilibrium = self.relax_decoder(latent)
        return equilibrium.activation[VISIBLE], equilibrium.converged

    def relax_unknown(
        self, image: Image, known: Bool[Array, " pixels"], start: Image
    ) -> tuple[Image, Bool[Array, ""]]:
        states = self.relax_encoder(start).state
        clamp = {VISIBLE: PartialClamp(self.likelihood.state(image), known)}
        method = dataclasses.replace(self.method, max_steps=COMPLETION_STEPS * self.method.max_steps)
        equilibrium = solve_example(self.networks.decoder, clamp, states, method)
        mean = self.likelihood.mean(equilibrium.activation[VISIBLE])
        return jnp.where(known, image, mean), equilibrium.converged

    def start_at_mean(self, mean: Image, hidden_state: float = 0.0) -> "HopfieldVAE":
        networks = networks_at_mean(self.networks, self.likelihood, mean, hidden_state)
        return dataclasses.replace(self, networks=networks)

    def relaxations(
        self, images: Float[Array, "batch pixels"], noise: Float[Array, "batch latents"]
    ) -> Iterator[tuple[str, HAM, dict[str, Array]]]:
        yield "encoder", self.encoder, jax.vmap(self.encoder_clamp)(images)
        posterior, _ = jax.vmap(self.encode)(images)
        yield "decoder", self.decoder, self.decoder_clamp(posterior.sample(noise))


def _gain(neurons: AbstractLagrangian) -> float:
    if neurons.linear_gain is None:
        raise ValueError(f"the latents must be linear neurons, such as `Identity()`, got {neurons}.")
    return neurons.linear_gain


def parameters(vae: AbstractVAE) -> int:
    """The number of trained parameters."""
    return size(eqx.filter(vae, eqx.is_inexact_array))
