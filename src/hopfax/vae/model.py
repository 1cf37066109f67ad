"""Variational autoencoders, and the one whose encoder and decoder are relaxing networks."""

import abc
import math

import equinox as eqx
import jax
from jaxtyping import Array, Bool, Float

from ..lagrangians import AbstractLagrangian
from ..method import Method
from ..networks.ham import HAM, States
from ..relax import solve_example
from ..solvers.equilibrium import Equilibrium
from .costs import LATENT
from .likelihoods import VISIBLE, AbstractLikelihood
from .networks import AbstractNetworks, without
from .posterior import AbstractVariance, Posterior

Image = Float[Array, " pixels"]
Latent = Float[Array, " latents"]


class AbstractVAE(eqx.Module):
    """`q(z | x)` by an encoder, `p(x | z)` by a decoder, `p(z) = N(0, I)`; all for one example."""

    likelihood: eqx.AbstractVar[AbstractLikelihood]

    @property
    @abc.abstractmethod
    def latents(self) -> int:
        """How many latents there are."""

    @property
    @abc.abstractmethod
    def pixels(self) -> int:
        """How many pixels an image has."""

    @abc.abstractmethod
    def encode(self, image: Image) -> tuple[Posterior, Bool[Array, ""]]:
        """`q(z | x)`, and whether the encoder converged."""

    @abc.abstractmethod
    def decode(self, latent: Latent) -> tuple[Image, Bool[Array, ""]]:
        """The visible activation, which `likelihood` reads, and whether the decoder converged."""


class HopfieldVAE(AbstractVAE):
    """Clamp the image and read the latents; clamp the latents and read the image.

    Args:
        networks: `Tied` (one network, one set of weights) or a `Untied`; see `layered` and `dense`.
        likelihood: `Gaussian` or `Bernoulli`.
        variance: of the posterior, `FixedVariance` or `LearnedVariance`.
        method: how both are relaxed, and how equilibria are differentiated where that is not by equilibrium
            propagation.

    Source: [vandermeersch2023], by the abstract; the procedure is our reconstruction.
    """

    networks: AbstractNetworks
    likelihood: AbstractLikelihood
    variance: AbstractVariance
    method: Method = Method()

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
        return self.networks.encoder.layers[LATENT].size

    @property
    def pixels(self) -> int:
        return self.networks.encoder.layers[VISIBLE].size

    @property
    def decoder(self) -> HAM:
        """The network that decodes, without the layers that only the encoder has."""
        return without(self.networks.decoder, self.variance.layers)

    def encode(self, image: Image) -> tuple[Posterior, Bool[Array, ""]]:
        found = self.relax_encoder(image)
        return self.variance.posterior(found.activation), found.converged

    def decode(self, latent: Latent) -> tuple[Image, Bool[Array, ""]]:
        found = self.relax_decoder(latent)
        return found.activation[VISIBLE], found.converged

    def held(self, latent: Float[Array, "*batch latents"]) -> dict[str, Array]:
        """The clamp with which `latent` is decoded."""
        neurons = self.networks.decoder.layers[LATENT].lagrangian
        return {LATENT: latent / _gain(neurons)}

    @property
    def latent_scale(self) -> float:
        """`√gain` of the encoder's latents."""
        neurons = self.networks.encoder.layers[LATENT].lagrangian
        return math.sqrt(_gain(neurons))

    def relax_encoder(self, image: Image) -> Equilibrium:
        """The equilibrium with the image clamped."""
        return relax_with(self.networks.encoder, {VISIBLE: self.likelihood.state(image)}, self.method)

    def relax_decoder(self, latent: Latent) -> Equilibrium:
        """The equilibrium with the latents clamped."""
        return relax_with(self.decoder, self.held(latent), self.method)


def relax_with(network: HAM, clamp: dict, method: Method, start: States | None = None) -> Equilibrium:
    """`relax` for one example by a `Method`, differentiable by its gradient."""
    return solve_example(network, clamp, start or {}, method)


def _gain(neurons: AbstractLagrangian) -> float:
    if neurons.linear_gain is None:
        raise ValueError(f"the latents must be linear neurons, such as `Identity()`, got {neurons}.")
    return neurons.linear_gain


def parameters(vae: AbstractVAE) -> int:
    """How many numbers are trained."""
    return sum(x.size for x in jax.tree.leaves(eqx.filter(vae, eqx.is_inexact_array)))
