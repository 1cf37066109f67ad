"""What a trained VAE is worth on images: the evidence lower bound, its importance-weighted form, squared error."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, PyTree, Scalar

from .model import AbstractVAE, Image
from .posterior import Posterior

CHUNK = 100  # images encoded or decoded at a time


class VAEEvaluation(eqx.Module):
    """One entry for each image.

    `elbo` is the one-sample evidence lower bound in nats, `cost` and `divergence` its two parts with their signs
    turned; `squared_error` is `|x̂ - x|²`, `x̂` decoded from the posterior's mean.
    """

    elbo: Float[Array, " examples"]
    cost: Float[Array, " examples"]
    divergence: Float[Array, " examples"]
    squared_error: Float[Array, " examples"]
    unconverged: Int[Array, " examples"]  # of the three relaxings made for each

    def summary(self) -> dict[str, float]:
        """Means over the images; and of the relaxings, how many did not converge."""
        means = {
            n: float(jnp.mean(getattr(self, n))) for n in ("elbo", "cost", "divergence", "squared_error")
        }
        return {**means, "did_not_converge": int(jnp.sum(self.unconverged))}


def evaluate_vae(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    *,
    key: Key[Array, ""],
    binarise: bool = False,
) -> VAEEvaluation:
    """All of `VAEEvaluation`, with one sample an image; `binarise` draws each pixel 0 or 1 first.

    Raises: `ValueError` for images that do not fit, or none.
    """
    images = shown(vae, images, key, binarise)
    posterior, encoded = encode_all(vae, images)
    noise = jr.normal(jr.fold_in(key, 1), posterior.mean.shape, images.dtype)
    activation, decoded = decode_all(vae, posterior.sample(noise))
    from_mean, again = decode_all(vae, posterior.mean)
    cost, divergence = jax.vmap(vae.likelihood.negative)(activation, images), posterior.divergence()
    error = jnp.sum(jnp.square(jax.vmap(vae.likelihood.mean)(from_mean) - images), axis=-1)
    unconverged = jnp.sum(~jnp.stack([encoded, decoded, again]), axis=0)
    return VAEEvaluation(-cost - divergence, cost, divergence, error, unconverged)


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

    `chunk` samples are decoded at a time; `samples` must be a multiple of it, or less.
    Raises: `ValueError` for such a number, and for images that do not fit. Source: [burda2016], eq. 8.
    """
    chunk = min(chunk, samples)
    if samples < 1 or samples % chunk:
        raise ValueError(f"`samples={samples}` must be a positive multiple of `chunk={chunk}`.")
    images = shown(vae, images, key, binarise)
    keys = jr.split(jr.fold_in(key, 2), len(images))
    return _importance(vae, images, keys, samples // chunk, chunk)


def shown(vae: AbstractVAE, images, key: Key[Array, ""], binarise: bool) -> Float[Array, "examples pixels"]:
    """The images as the VAE is to see them. Raises: `ValueError` if they do not fit."""
    images = jnp.asarray(images, jnp.float32)
    if images.ndim != 2 or not len(images) or images.shape[1] != vae.pixels:
        raise ValueError(
            f"`images` have shape {images.shape}; give (examples, {vae.pixels}), at least one example."
        )
    drawn = jr.bernoulli(jr.fold_in(key, 0), images) if binarise else images
    return drawn.astype(images.dtype)


def reconstruct(vae: AbstractVAE, images: Float[Array, "examples pixels"]) -> Float[Array, "examples pixels"]:
    """The mean image decoded from the posterior's mean."""
    return decode_mean(vae, encode_mean(vae, images))


def decode_mean(
    vae: AbstractVAE, latents: Float[Array, "examples latents"]
) -> Float[Array, "examples pixels"]:
    """The mean image of each latent."""
    return jax.vmap(vae.likelihood.mean)(decode_all(vae, latents)[0])


def encode_mean(
    vae: AbstractVAE, images: Float[Array, "examples pixels"]
) -> Float[Array, "examples latents"]:
    """The posterior's mean of each image."""
    return encode_all(vae, images)[0].mean


def encode_all(
    vae: AbstractVAE, images: Float[Array, "examples pixels"]
) -> tuple[Posterior, Bool[Array, " examples"]]:
    """`vae.encode` of each image."""
    return in_chunks(lambda some: _encode(vae, some), jnp.asarray(images))


def decode_all(
    vae: AbstractVAE, latents: Float[Array, "examples latents"]
) -> tuple[Float[Array, "examples pixels"], Bool[Array, " examples"]]:
    """`vae.decode` of each latent."""
    return in_chunks(lambda some: _decode(vae, some), jnp.asarray(latents))


def in_chunks(function: Callable[[Array], PyTree], array: Float[Array, "examples _"]) -> PyTree:
    """`function` of `CHUNK` rows at a time, the last filled up: one compilation serves any number of rows."""
    missing = -len(array) % CHUNK
    filled = jnp.concatenate([array, jnp.repeat(array[-1:], missing, axis=0)])
    parts = [function(filled[i : i + CHUNK]) for i in range(0, len(filled), CHUNK)]
    return jax.tree.map(lambda *each: jnp.concatenate(each)[: len(array)], *parts)


@eqx.filter_jit
def _encode(vae: AbstractVAE, images: Array):
    return jax.vmap(vae.encode)(images)


@eqx.filter_jit
def _decode(vae: AbstractVAE, latents: Array):
    return jax.vmap(vae.decode)(latents)


@eqx.filter_jit
def _importance(vae: AbstractVAE, images: Array, keys: Array, chunks: int, chunk: int) -> Array:
    def one(pair):
        image, key = pair
        posterior, _ = vae.encode(image)
        weigh = lambda noise: _log_weight(vae, posterior, image, noise)
        draw = lambda i: jr.normal(jr.fold_in(key, i), (chunk, vae.latents), image.dtype)
        weights = jax.lax.map(lambda i: jax.vmap(weigh)(draw(i)), jnp.arange(chunks))
        return jax.nn.logsumexp(weights) - math.log(chunks * chunk)

    return jax.lax.map(one, (images, keys))


def _log_weight(vae: AbstractVAE, posterior, image: Image, noise: Array) -> Scalar:
    """`log p(x | z) + log p(z) - log q(z | x)`."""
    latent = posterior.sample(noise)
    activation, _ = vae.decode(latent)
    prior = -0.5 * jnp.sum(jnp.square(latent) + math.log(2 * math.pi))
    return prior - vae.likelihood.negative(activation, image) - posterior.log_density(noise)
