"""Completion of corrupted images: the most probable latent for the known pixels, and two ways for comparison."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Scalar, ScalarLike

from .._internal.checks import require_integer, require_number
from .._internal.tree import in_chunks
from ..data import Dataset, corruption_masks
from ..solvers.equilibrium import Status
from .descent import Descent, descend
from .evaluation import CHUNK, decode_mean, encode_mean, reconstruct
from .model import AbstractVAE, Image, Latent

ROUNDS = {"once": 1, "ten times": 10}  # of encoding and decoding, by the names of `completion_errors`


class CompletedImages(eqx.Module):
    """Completed images, and how the descent of each ended.

    Attributes:
        images: the mean images of the latents, with the known pixels as they were.
        mean: the mean images, known pixels included.
        latent: the latents.
        descent: their `Descent`; its values are those of `negative_log_posterior`, in nats.
    """

    images: Float[Array, "examples pixels"]
    mean: Float[Array, "examples pixels"]
    latent: Float[Array, "examples latents"]
    descent: Descent

    @property
    def status(self) -> Int[Array, " examples"]:
        """A `Status` of each image."""
        return self.descent.status

    @property
    def converged(self) -> Bool[Array, " examples"]:
        """Which images ended at a minimum, to the tolerance that was asked for."""
        return self.status == Status.converged


def negative_log_posterior(
    vae: AbstractVAE, latent: Latent, image: Image, known: Bool[Array, " pixels"]
) -> tuple[Scalar, Bool[Array, ""]]:
    """`F(z) = -log p(x_known | z) + |z|² / 2` in nats, which is `-log p(z | x_known)` up to a constant.

    The unknown pixels are integrated out, which is exact because the pixels are independent given `z`. The gradient in
    `z` is that of the decoder's equilibrium, as `HopfieldVAE.method.gradient` says.
    Args: one example; `image` is finite everywhere. Returns: `F`, and whether the decoder converged.
    """
    activation, converged = vae.decode(latent)
    cost = vae.likelihood.known_cost(activation, image, known)
    return cost + 0.5 * jnp.sum(jnp.square(latent)), converged


def inpaint(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    known: Bool[ArrayLike, "..."],
    guess: Float[ArrayLike, "..."],
    *,
    tolerance: ScalarLike = 0.01,
    max_steps: int = 100,
) -> CompletedImages:
    """Descend `negative_log_posterior` in the latent, and decode where it ends. Any VAE can do this.

    Every step lowers `F`. The descent starts at the encoding of the image with `guess` for its unknown pixels, and
    reaches a local minimum; if no pixel is known, that is the prior's mode 0.

    Args:
        images: what they hold at unknown pixels, NaN or any number, has no influence.
        known: the mask of known pixels, one for all images or one for each.
        guess: initial values of the unknown pixels, such as the mean training image.
        tolerance: an image has converged where a step predicts a decrease of `F` of at most this, in nats.
        max_steps: the most evaluations of `F` and its gradient after the one at the start.
    Raises: `ValueError` for shapes that do not fit, or settings out of range.
    Source: derived in this project; [vandermeersch2023] completes images by relaxing, see `relax_pixels`.
    """
    require_number("tolerance", tolerance, lambda x: x >= 0, "a number of nats, 0 or more")
    require_integer("max_steps", max_steps, 0)
    inputs = _as_arrays(vae, images, known, guess)
    latents = encode_mean(vae, jnp.where(inputs.known, inputs.images, inputs.guess))
    tolerance = jnp.asarray(tolerance, latents.dtype)
    descend_chunk = lambda chunk: _descend(vae, chunk, tolerance, int(max_steps))
    descent = in_chunks(descend_chunk, (inputs.images, inputs.known, latents), CHUNK)
    mean = decode_mean(vae, descent.point)
    completed = jnp.where(inputs.known, inputs.images, mean)
    return CompletedImages(completed, mean, descent.point, descent)


def relax_pixels(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    known: Bool[ArrayLike, "..."],
    guess: Float[ArrayLike, "..."],
) -> tuple[Float[Array, "examples pixels"], Bool[Array, " examples"]]:
    """Clamp the `known` pixels and relax all others together with the hidden and latent layers.

    Training clamps one end of the network at a time, so the minimum of the energy with both ends free need not be an
    image, and on MNIST it is not. For comparison with `inpaint`.

    Args: as `inpaint`. Returns: the mean images with the known pixels unchanged, and which of them converged.
    Raises: `ValueError` for shapes that do not fit, or a model without an energy.
    Source: [vandermeersch2023] mentions that one network can do this; the procedure is ours.
    """
    return _relax_pixels(vae, *_as_arrays(vae, images, known, guess))


def fill_in(
    vae: AbstractVAE,
    images: Float[ArrayLike, "examples pixels"],
    known: Bool[ArrayLike, "..."],
    guess: Float[ArrayLike, "..."],
    *,
    rounds: int = 1,
) -> Float[Array, "examples pixels"]:
    """Encode and decode the image and put the known pixels back, `rounds` times. Any VAE can do this.

    The rounds do not descend a function, so more of them may be worse. For comparison with `inpaint`. After 0 rounds
    the unknown pixels are `guess`. Args: as `inpaint`. Raises: `ValueError` for shapes that do not fit.
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

    "mean image" is the mean training image, whatever the known pixels are. "latent" is `inpaint` from there,
    "once" and "ten times" are `fill_in` with 1 and 10 rounds, and "relaxed" is `relax_pixels` where the model has an
    energy. "latent_did_not_converge" and "did_not_converge" count the failures of `inpaint` and of `relax_pixels`.
    "other, latent", "other, once" and "other, ten times" belong to the model `other`.
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
    completion = inpaint(vae, images, known, guess)
    result = {"mean image": error(np.broadcast_to(guess, images.shape)), "latent": error(completion.images)}
    result |= {"latent_did_not_converge": int(np.sum(~np.asarray(completion.converged)))}
    result |= {name: filled(vae, rounds) for name, rounds in ROUNDS.items()}
    if vae.has_energy:
        relaxed, converged = relax_pixels(vae, images, known, guess)
        result |= {"relaxed": error(relaxed), "did_not_converge": int(np.sum(~np.asarray(converged)))}
    if other is not None:
        result |= {"other, latent": error(inpaint(other, images, known, guess).images)}
        result |= {f"other, {name}": filled(other, rounds) for name, rounds in ROUNDS.items()}
    return result


@eqx.filter_jit
def _descend(
    vae: AbstractVAE, chunk: tuple[Array, Array, Array], tolerance: Array, max_steps: int
) -> Descent:
    """The descent of each image of a chunk: images, masks, and the latents from which it starts."""

    def example(image, known, latent):
        function = lambda latent: negative_log_posterior(vae, latent, image, known)
        return descend(function, latent, tolerance=tolerance, max_steps=max_steps)

    return jax.vmap(example)(*chunk)


@eqx.filter_jit
def _relax_pixels(vae: AbstractVAE, images: Array, known: Array, start: Array) -> tuple[Array, Array]:
    return jax.vmap(vae.relax_unknown)(images, known, jnp.where(known, images, start))


class _Inputs(NamedTuple):
    """Images, masks and guesses of one shape; the images are 0 at unknown pixels."""

    images: Float[Array, "examples pixels"]
    known: Bool[Array, "examples pixels"]
    guess: Float[Array, "examples pixels"]


def _as_arrays(vae: AbstractVAE, images: ArrayLike, known: ArrayLike, guess: ArrayLike) -> _Inputs:
    """The arguments in one shape. Raises: `ValueError` for shapes that do not fit."""
    images, known, guess = jnp.asarray(images, jnp.float32), jnp.asarray(known, bool), jnp.asarray(guess)
    if images.ndim != 2 or images.shape[1] != vae.pixels:
        raise ValueError(f"`images` have shape {images.shape}; the model needs (examples, {vae.pixels}).")
    for name, array in (("known", known), ("guess", guess)):
        if array.shape not in (images.shape, images.shape[1:]):
            raise ValueError(f"`{name}` has shape {array.shape}; the images have {images.shape}.")
    known, guess = (jnp.broadcast_to(array, images.shape) for array in (known, guess))
    return _Inputs(jnp.where(known, images, 0), known, guess.astype(images.dtype))
