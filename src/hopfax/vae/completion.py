"""Damaged images: clamp the pixels that are known and let the rest relax."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from ..networks.layers import PartialClamp
from .evaluation import reconstruct
from .likelihoods import VISIBLE
from .model import AbstractVAE, HopfieldVAE, Image, relax_with

LONGER = 10  # times the steps of encoding: with no end clamped, relaxing is slower


def inpaint(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    known: Bool[ArrayLike, "..."],
    guess: Float[ArrayLike, "..."],
    *,
    rounds: int = 0,
) -> tuple[Float[Array, "examples pixels"], Bool[Array, " examples"]]:
    """Hold the `known` pixels and relax all others with the hidden and latent layers: one equilibrium.

    Args:
        known: one mask for all images, or one for each.
        guess: what the unknown pixels start at, such as the mean training image.
        rounds: so many times before that, fill in what encoder and decoder make of the image (`fill_in`).
    Returns: the mean images, with the known pixels as they were, and which relaxings converged.
    Raises: `ValueError` for shapes that do not fit, or a model without an energy.
    Source: [vandermeersch2023] names the possibility of one network; the procedure is ours.
    """
    if not isinstance(vae, HopfieldVAE):
        raise ValueError(
            f"`inpaint` needs a `HopfieldVAE`, got `{type(vae).__name__}`, which cannot hold some pixels and relax "
            "the others; use `fill_in`."
        )
    images, known, guess = _checked(vae, images, known, guess)
    start = fill_in(vae, images, known, guess, rounds=rounds)
    return _inpaint(vae, images, known, start)


def fill_in(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    known: Bool[ArrayLike, "..."],
    guess: Float[ArrayLike, "..."],
    *,
    rounds: int = 1,
) -> Float[Array, "examples pixels"]:
    """Encode and decode the damaged image, put the known pixels back, and so on: all a feed-forward VAE can do.

    After 0 rounds the unknown pixels are `guess`. Raises: `ValueError` for shapes that do not fit.
    """
    images, known, guess = _checked(vae, images, known, guess)
    filled = jnp.where(known, images, guess)
    for _ in range(rounds):
        filled = jnp.where(known, images, reconstruct(vae, filled))
    return filled


@eqx.filter_jit
def _inpaint(vae: HopfieldVAE, images: Array, known: Array, start: Array) -> tuple[Array, Array]:
    return jax.vmap(lambda *each: _inpaint_one(vae, *each))(images, known, start)


def _inpaint_one(vae: HopfieldVAE, image: Image, known: Array, start: Image) -> tuple[Image, Array]:
    """From the encoder's equilibrium at `start`."""
    begun = vae.relax_encoder(start).state
    clamp = {VISIBLE: PartialClamp(vae.likelihood.state(image), known)}
    patient = dataclasses.replace(vae.method, max_steps=LONGER * vae.method.max_steps)
    found = relax_with(vae.networks.decoder, clamp, patient, begun)
    mean = vae.likelihood.mean(found.activation[VISIBLE])
    return jnp.where(known, image, mean), found.converged


def _checked(vae: AbstractVAE, images, known, guess) -> tuple[Array, Array, Array]:
    """As arrays of one shape."""
    images, known, guess = jnp.asarray(images, jnp.float32), jnp.asarray(known, bool), jnp.asarray(guess)
    if images.ndim != 2 or images.shape[1] != vae.pixels:
        raise ValueError(f"`images` have shape {images.shape}; the model needs (examples, {vae.pixels}).")
    for name, array in (("known", known), ("guess", guess)):
        if array.shape not in (images.shape, images.shape[1:]):
            raise ValueError(f"`{name}` has shape {array.shape}; the images have {images.shape}.")
    broad = lambda array: jnp.broadcast_to(array, images.shape)
    return images, broad(known), broad(guess).astype(images.dtype)
