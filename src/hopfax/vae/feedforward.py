"""The feed-forward VAE, a baseline without equilibria and without feedback."""

import math
from collections.abc import Iterator
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from ..networks import HAM
from .likelihoods import AbstractLikelihood
from .model import AbstractVAE, Image, Latent
from .posterior import Posterior


class FeedForwardVAE(AbstractVAE):
    """A perceptron that encodes and another that decodes, trained by backpropagation (`ImplicitGradient`).

    The input of the encoder is the visible activation of a `HopfieldVAE` whose visible layer is clamped at the image.

    Args:
        encoder: from pixels to latents, or to means and log-variances.
        decoder: from latents to the states of the visible layer.
        likelihood: determines the visible neurons.
        sigma: standard deviation of the posterior; None if the encoder gives `log σ²` too.
    """

    encoder: eqx.nn.MLP
    decoder: eqx.nn.MLP
    likelihood: AbstractLikelihood
    sigma: float | None = 0.3

    has_energy: ClassVar[bool] = False

    @property
    def latents(self) -> int:
        return int(self.decoder.in_size)

    @property
    def pixels(self) -> int:
        return int(self.encoder.in_size)

    def encode(self, image: Image) -> tuple[Posterior, Bool[Array, ""]]:
        visible = self.likelihood.lagrangian.activation(self.likelihood.state(image))
        outputs = self.encoder(visible)
        if self.sigma is None:
            mean, log_variance = jnp.split(outputs, 2)
        else:
            mean, log_variance = outputs, jnp.full_like(outputs, 2 * math.log(self.sigma))
        return Posterior(mean, log_variance), jnp.array(True)

    def decode(self, latent: Latent) -> tuple[Image, Bool[Array, ""]]:
        return self.likelihood.lagrangian.activation(self.decoder(latent)), jnp.array(True)

    def relax_unknown(
        self, image: Image, known: Bool[Array, " pixels"], start: Image
    ) -> tuple[Image, Bool[Array, ""]]:
        raise ValueError(
            "a `FeedForwardVAE` has no energy, so it cannot clamp some pixels and relax the others; use `inpaint`."
        )

    def start_at_mean(self, mean: Image, hidden_state: float = 0.0) -> "FeedForwardVAE":
        return self

    def relaxations(
        self, images: Float[Array, "batch pixels"], noise: Float[Array, "batch latents"]
    ) -> Iterator[tuple[str, HAM, dict[str, Array]]]:
        return iter(())


def perceptrons(
    pixels: int,
    hidden: int,
    latents: int,
    likelihood: AbstractLikelihood,
    sigma: float | None,
    *,
    depth: int = 1,
    key: Key[Array, ""],
) -> FeedForwardVAE:
    """Pixels - hidden - latents and back, with `depth` hidden layers of tanh neurons each way."""
    encoder_key, decoder_key = jr.split(key)
    outputs = latents if sigma is not None else 2 * latents
    encoder = eqx.nn.MLP(pixels, outputs, hidden, depth, jnp.tanh, dtype=jnp.float32, key=encoder_key)
    decoder = eqx.nn.MLP(latents, pixels, hidden, depth, jnp.tanh, dtype=jnp.float32, key=decoder_key)
    return FeedForwardVAE(encoder=encoder, decoder=decoder, likelihood=likelihood, sigma=sigma)
