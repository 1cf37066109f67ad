"""Completion of corrupted images: clamp the known pixels and relax the others, or encode and decode repeatedly."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from ..data import Dataset, corruption_masks
from .evaluation import reconstruct
from .model import AbstractVAE

ROUNDS = {"once": 1, "ten times": 10}  # of encoding and decoding, by the names of `completion_errors`


def inpaint(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    known: Bool[ArrayLike, "..."],
    guess: Float[ArrayLike, "..."],
    *,
    rounds: int = 0,
) -> tuple[Float[Array, "examples pixels"], Bool[Array, " examples"]]:
    """Clamp the `known` pixels and relax all others together with the hidden and latent layers.

    Args:
        known: the mask of known pixels, one for all images or one for each.
        guess: initial values of the unknown pixels, such as the mean training image.
        rounds: how many times `fill_in` encodes and decodes before that.
    Returns: the mean images with the known pixels unchanged, and which of them converged.
    Raises: `ValueError` for shapes that do not fit, or a model without an energy.
    Source: [vandermeersch2023] mentions that one network can do this; the procedure is ours.
    """
    images, known, guess = _as_arrays(vae, images, known, guess)
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
    """Encode and decode the image and put the known pixels back, `rounds` times. Any VAE can do this.

    After 0 rounds the unknown pixels are `guess`. Args: as `inpaint`. Raises: `ValueError` for shapes that do not fit.
    """
    images, known, guess = _as_arrays(vae, images, known, guess)
    filled = jnp.where(known, images, guess)
    for _ in range(rounds):
        filled = jnp.where(known, images, reconstruct(vae, filled))
    return filled


def completion_errors(
    vae: AbstractVAE, dataset: Dataset, other: AbstractVAE | None = None, *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """`completion_error` on the test images for each kind of corruption and each way to complete.

    "mean image" is the mean training image, whatever the known pixels are. "once" and "ten times" are `fill_in` from
    there with 1 and 10 rounds, "relaxed" is `inpaint` where the model has an energy, and "did_not_converge" counts
    its failures. "other, once" and "other, ten times" belong to the model `other`.
    """
    masks = corruption_masks(len(dataset.test_labels), dataset.image_shape, seed)
    return {name: _errors(vae, dataset, other, known) for name, known in masks.items()}


def completion_error(
    completed: Float[ArrayLike, "examples pixels"],
    images: Float[ArrayLike, "examples pixels"],
    known: Bool[ArrayLike, "examples pixels"],
) -> float:
    """`Σ (x̂ - x)²` over the unknown pixels, mean over the images."""
    squares = np.square(np.asarray(completed) - np.asarray(images)) * ~np.asarray(known)
    return float(np.mean(np.sum(squares, axis=1)))


def mean_image(dataset: Dataset) -> Float[np.ndarray, " pixels"]:
    """The mean training image, from which completion starts."""
    return dataset.train_images.mean(axis=0)


def _errors(
    vae: AbstractVAE, dataset: Dataset, other: AbstractVAE | None, known: Bool[np.ndarray, "images pixels"]
) -> dict[str, float]:
    images, guess = dataset.test_images, mean_image(dataset)
    error = lambda completed: completion_error(completed, images, known)
    filled = lambda model, rounds: error(fill_in(model, images, known, guess, rounds=rounds))
    result = {"mean image": error(np.broadcast_to(guess, images.shape))}
    result |= {name: filled(vae, rounds) for name, rounds in ROUNDS.items()}
    if vae.has_energy:
        relaxed, converged = inpaint(vae, images, known, guess)
        result |= {"relaxed": error(relaxed), "did_not_converge": int(np.sum(~np.asarray(converged)))}
    if other is not None:
        result |= {f"other, {name}": filled(other, rounds) for name, rounds in ROUNDS.items()}
    return result


@eqx.filter_jit
def _inpaint(vae: AbstractVAE, images: Array, known: Array, start: Array) -> tuple[Array, Array]:
    return jax.vmap(vae.relax_unknown)(images, known, start)


def _as_arrays(
    vae: AbstractVAE, images: ArrayLike, known: ArrayLike, guess: ArrayLike
) -> tuple[Array, Array, Array]:
    """The three as arrays of one shape. Raises: `ValueError` for shapes that do not fit."""
    images, known, guess = jnp.asarray(images, jnp.float32), jnp.asarray(known, bool), jnp.asarray(guess)
    if images.ndim != 2 or images.shape[1] != vae.pixels:
        raise ValueError(f"`images` have shape {images.shape}; the model needs (examples, {vae.pixels}).")
    for name, array in (("known", known), ("guess", guess)):
        if array.shape not in (images.shape, images.shape[1:]):
            raise ValueError(f"`{name}` has shape {array.shape}; the images have {images.shape}.")
    broadcast = lambda array: jnp.broadcast_to(array, images.shape)
    return images, broadcast(known), broadcast(guess).astype(images.dtype)
