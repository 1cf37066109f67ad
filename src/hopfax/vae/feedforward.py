"""The feed-forward VAE: the baseline, with neither relaxing nor feedback."""

import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .likelihoods import AbstractLikelihood
from .model import AbstractVAE, Image, Latent
from .posterior import Posterior


class FeedForwardVAE(AbstractVAE):
    """One perceptron encodes, another decodes; trained by backpropagation (`ImplicitGradient`).

    The image goes in as the networks of a `HopfieldVAE` are held at it: as the visible activation.
    Args: `sigma` of the posterior; None if the encoder also gives `log σ²`.
    """

    encoder: eqx.nn.MLP
    decoder: eqx.nn.MLP
    likelihood: AbstractLikelihood
    sigma: float | None = 0.3

    @property
    def latents(self) -> int:
        return int(self.decoder.in_size)

    @property
    def pixels(self) -> int:
        return int(self.encoder.in_size)

    def encode(self, image: Image) -> tuple[Posterior, Bool[Array, ""]]:
        shown = self.likelihood.lagrangian.activation(self.likelihood.state(image))
        found = self.encoder(shown)
        return self._posterior(found), jnp.array(True)

    def decode(self, latent: Latent) -> tuple[Image, Bool[Array, ""]]:
        return self.likelihood.lagrangian.activation(self.decoder(latent)), jnp.array(True)

    def _posterior(self, found: Float[Array, " outputs"]) -> Posterior:
        if self.sigma is None:
            mean, log_variance = jnp.split(found, 2)
            return Posterior(mean, log_variance)
        return Posterior(found, jnp.full_like(found, 2 * math.log(self.sigma)))


def perceptrons(
    pixels: int,
    hidden: int,
    latents: int,
    likelihood: AbstractLikelihood,
    sigma: float | None,
    *,
    key: Key[Array, ""],
) -> FeedForwardVAE:
    """Pixels - hidden - latents and back, tanh neurons, one hidden layer each way."""
    first, second = jr.split(key)
    outputs = latents if sigma is not None else 2 * latents
    encoder = eqx.nn.MLP(pixels, outputs, hidden, 1, jnp.tanh, dtype=jnp.float32, key=first)
    decoder = eqx.nn.MLP(latents, pixels, hidden, 1, jnp.tanh, dtype=jnp.float32, key=second)
    return FeedForwardVAE(encoder=encoder, decoder=decoder, likelihood=likelihood, sigma=sigma)
