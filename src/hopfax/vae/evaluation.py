"""Evaluation of a VAE on images: the evidence lower bound, its importance-weighted form, and the squared error."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, Scalar

from .._internal.tree import in_chunks
from .model import AbstractVAE, Image
from .posterior import Posterior

CHUNK = 100  # images that are encoded or decoded at a time


class VAEEvaluation(eqx.Module):
    """The evaluation of each image.

    `elbo` is the one-sample evidence lower bound in nats, `-cost - kl`. `squared_error` is `|x̂ - x|²`, with `x̂`
    decoded from the mean of the posterior.
    """

    elbo: Float[Array, " examples"]
    cost: Float[Array, " examples"]
    kl: Float[Array, " examples"]
    squared_error: Float[Array, " examples"]
    unconverged: Int[Array, " examples"]  # how many of the three relaxations of an image did not converge

    def summary(self) -> dict[str, float]:
        """Means over the images, and `did_not_converge`, the number of relaxations that did not converge."""
        names = ("elbo", "cost", "kl", "squared_error")
        means = {name: float(jnp.mean(getattr(self, name))) for name in names}
        return {**means, "did_not_converge": int(jnp.sum(self.unconverged))}


def evaluate_vae(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    *,
    key: Key[Array, ""],
    binarise: bool = False,
) -> VAEEvaluation:
    """Evaluate each image with one sample of its posterior.

    Args: with `binarise`, each pixel is first drawn 0 or 1 with its grey level as probability.
    Raises: `ValueError` for images that do not fit the model, or none.
    """
    images = prepare_images(vae, images, key, binarise)
    posterior, encoded = encode_all(vae, images)
    noise = jr.normal(jr.fold_in(key, 1), posterior.mean.shape, images.dtype)
    activation, decoded = decode_all(vae, posterior.sample(noise))
    mean_activation, mean_decoded = decode_all(vae, posterior.mean)
    cost, kl = jax.vmap(vae.likelihood.negative_log_likelihood)(activation, images), posterior.kl()
    error = jnp.sum(jnp.square(jax.vmap(vae.likelihood.mean)(mean_activation) - images), axis=-1)
    unconverged = jnp.sum(~jnp.stack([encoded, decoded, mean_decoded]), axis=0)
    return VAEEvaluation(-cost - kl, cost, kl, error, unconverged)


def importance_weighted(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    *,
    samples: int,
    key: Key[Array, ""],
    binarise: bool = False,
    chunk: int = 100,
) -> Float[Array, " examples"]:
    """`log (1/K) Σ_k p(x, z_k) / q(z_k | x)` with `K = samples`, a lower bound of `log p(x)` that tightens with `K`.

    Args:
        samples: at most `chunk`, or a multiple of it.
        binarise: draw each pixel 0 or 1 first, see `evaluate_vae`.
        chunk: how many samples are decoded at a time.
    Raises: `ValueError` for another number of samples, or images that do not fit the model.
    Source: [burda2016], eq. 8.
    """
    chunk = min(chunk, samples)
    if samples < 1 or samples % chunk:
        raise ValueError(f"`samples={samples}` must be a positive multiple of `chunk={chunk}`.")
    images = prepare_images(vae, images, key, binarise)
    keys = jr.split(jr.fold_in(key, 2), len(images))
    return _importance_weighted(vae, images, keys, samples // chunk, chunk)


def prepare_images(
    vae: AbstractVAE, images: Float[ArrayLike, "examples pixels"], key: Key[Array, ""], binarise: bool
) -> Float[Array, "examples pixels"]:
    """The images as a float32 array, binarised if asked for. Raises: `ValueError` if they do not fit the model."""
    images = jnp.asarray(images, jnp.float32)
    if images.ndim != 2 or not len(images) or images.shape[1] != vae.pixels:
        raise ValueError(
            f"`images` have shape {images.shape}; give (examples, {vae.pixels}), at least one example."
        )
    binary = jr.bernoulli(jr.fold_in(key, 0), images) if binarise else images
    return binary.astype(images.dtype)


def reconstruct(vae: AbstractVAE, images: Float[Array, "examples pixels"]) -> Float[Array, "examples pixels"]:
    """The mean image decoded from the mean of each posterior."""
    return decode_mean(vae, encode_mean(vae, images))


def decode_mean(
    vae: AbstractVAE, latents: Float[Array, "examples latents"]
) -> Float[Array, "examples pixels"]:
    """The mean image of each latent."""
    return jax.vmap(vae.likelihood.mean)(decode_all(vae, latents)[0])


def encode_mean(
    vae: AbstractVAE, images: Float[Array, "examples pixels"]
) -> Float[Array, "examples latents"]:
    """The mean of each image's posterior."""
    return encode_all(vae, images)[0].mean


def encode_all(
    vae: AbstractVAE, images: Float[Array, "examples pixels"]
) -> tuple[Posterior, Bool[Array, " examples"]]:
    """`vae.encode` of each image."""
    return in_chunks(lambda chunk: _encode(vae, chunk), jnp.asarray(images), CHUNK)


def decode_all(
    vae: AbstractVAE, latents: Float[Array, "examples latents"]
) -> tuple[Float[Array, "examples pixels"], Bool[Array, " examples"]]:
    """`vae.decode` of each latent."""
    return in_chunks(lambda chunk: _decode(vae, chunk), jnp.asarray(latents), CHUNK)


@eqx.filter_jit
def _encode(vae: AbstractVAE, images: Array):
    return jax.vmap(vae.encode)(images)


@eqx.filter_jit
def _decode(vae: AbstractVAE, latents: Array):
    return jax.vmap(vae.decode)(latents)


@eqx.filter_jit
def _importance_weighted(vae: AbstractVAE, images: Array, keys: Array, chunks: int, chunk: int) -> Array:
    def example(image_and_key):
        image, key = image_and_key
        posterior, _ = vae.encode(image)
        log_weight = lambda noise: _log_weight(vae, posterior, image, noise)
        noise = lambda i: jr.normal(jr.fold_in(key, i), (chunk, vae.latents), image.dtype)
        log_weights = jax.lax.map(lambda i: jax.vmap(log_weight)(noise(i)), jnp.arange(chunks))
        return jax.nn.logsumexp(log_weights) - math.log(chunks * chunk)

    return jax.lax.map(example, (images, keys))


def _log_weight(vae: AbstractVAE, posterior: Posterior, image: Image, noise: Array) -> Scalar:
    """`log p(x | z) + log p(z) - log q(z | x)`."""
    latent = posterior.sample(noise)
    activation, _ = vae.decode(latent)
    prior = -0.5 * jnp.sum(jnp.square(latent) + math.log(2 * math.pi))
    likelihood = vae.likelihood.negative_log_likelihood(activation, image)
    return prior - likelihood - posterior.log_density(noise)
