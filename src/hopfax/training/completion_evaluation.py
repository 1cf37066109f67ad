"""Evaluation of completion: squared errors at equilibrium, from several starts."""

import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from .._internal.checks import require_integer, require_kind
from .._internal.tree import in_chunks
from ..data import Dataset, corruption_masks
from ..method import Method
from ..networks.layers import PartialClamp
from ..networks.network import AbstractNetwork
from ..relax import relax
from .completion import check_pixel_layer

Images = Float[Array, "examples pixels"]


class CompletionEvaluation(eqx.Module):
    """Completed images and how they were reached, for each example."""

    completed: Float[Array, "examples pixels"]  # the known pixels are those of the image
    errors: Float[Array, " examples"]  # squared, summed over the missing pixels
    missing: Int[Array, " examples"]  # pixels
    converged: Bool[Array, " examples"]
    sweeps: Int[Array, " examples"]

    def summary(self) -> dict[str, float]:
        """Means over the images; the standard error is that of the mean of `error`, over the images."""
        errors = np.asarray(self.errors, np.float64)
        return {
            "error": float(np.mean(errors)),
            "standard_error": standard_error(errors),
            "error_per_pixel": float(np.sum(errors) / max(int(jnp.sum(self.missing)), 1)),
            "converged": float(jnp.mean(self.converged)),
            "sweeps": float(jnp.mean(self.sweeps)),
        }


def standard_error(values: Float[np.ndarray, " examples"]) -> float:
    """The standard error of the mean of `values`; 0 for one value."""
    return float(np.std(values) / math.sqrt(max(len(values) - 1, 1)))


def evaluate_completion(
    model: AbstractNetwork,
    images: Float[ArrayLike, "..."],
    known: Bool[ArrayLike, "..."],
    guess: Float[ArrayLike, "..."],
    *,
    method: Method = Method(),
    layer: str = "visible",
    chunk: int = 100,
) -> CompletionEvaluation:
    """`complete` images and compare them with all of their pixels.

    Args: as for `complete`; `images` without NaN. Raises: `ValueError` as `complete`.
    """
    completed, converged, sweeps = complete(
        model, images, known, guess, method=method, layer=layer, chunk=chunk
    )
    missing = jnp.sum(~jnp.broadcast_to(jnp.asarray(known), completed.shape), axis=1)
    errors = jnp.sum(jnp.square(completed - jnp.asarray(images)), axis=1)
    return CompletionEvaluation(completed, errors, missing, converged, sweeps)


def complete(
    model: AbstractNetwork,
    images: Float[ArrayLike, "..."],
    known: Bool[ArrayLike, "..."],
    guess: Float[ArrayLike, "..."] = 0.5,
    *,
    method: Method = Method(),
    layer: str = "visible",
    chunk: int = 100,
) -> tuple[Images, Bool[Array, " examples"], Int[Array, " examples"]]:
    """Clamp the known pixels of each image and relax the others from a guess.

    Args:
        images: of shape (examples, pixels), in [0, 1]; missing pixels may be NaN.
        known: true where a pixel is known, of one image or of each.
        guess: from which the missing pixels start: a number, or pixels of one image or of each.
        method: how the network is relaxed.
        layer: the layer of pixels.
        chunk: how many images are relaxed at a time.
    Returns: the completed images with the known pixels unchanged, which of them converged, and the sweeps of each.
    Raises: `ValueError` for a layer that cannot be clamped at pixels, shapes that do not fit, or known pixels outside
        [0, 1].
    """
    require_kind("model", model, AbstractNetwork, "hopfax.load_model(folder)")
    require_integer("chunk", chunk, 1)
    check_pixel_layer(model, layer)
    images, known, guess = _as_arrays(model, layer, images, known, guess)
    relaxed = lambda rows: _relaxed(model, rows, method, layer)
    activations, converged, sweeps = in_chunks(relaxed, (images, known, guess), min(chunk, len(images)))
    return jnp.where(known, images, activations), converged, sweeps


def completion_table(
    model: AbstractNetwork,
    dataset: Dataset,
    *,
    examples: int = 1000,
    method: Method = Method(),
    layer: str = "visible",
    seed: int = 0,
) -> dict[str, dict[str, dict[str, float]]]:
    """`evaluate_completion` of the first test images by kind of damage and start: `{mask: {start: summary}}`.

    Masks are those of `hopfax.data.corruption_masks`. Missing pixels start at the mean training image, black, white, or
    uniform noise. A trained attractor is reached from all of them.
    """
    require_integer("examples", examples, 1)
    images = dataset.test_images[:examples]
    masks = corruption_masks(len(images), dataset.image_shape, seed)
    guesses = {
        "mean": dataset.train_images.mean(axis=0),
        "black": np.zeros_like(images[0]),
        "white": np.ones_like(images[0]),
        "noise": np.asarray(jr.uniform(jr.key(seed), images.shape, jnp.float32)),
    }
    evaluated = lambda known, guess: evaluate_completion(
        model, images, known, guess, method=method, layer=layer
    ).summary()
    return {
        mask: {start: evaluated(known, guess) for start, guess in guesses.items()}
        for mask, known in masks.items()
    }


def _relaxed(
    model: AbstractNetwork, rows: tuple[Array, Array, Array], method: Method, layer: str
) -> tuple[Array, Array, Array]:
    """For images, masks and guesses: the activations of the pixels, which examples converged, and their sweeps."""
    images, known, guess = rows
    shape = (len(images), *model.layers[layer].shape)
    clamp = {layer: PartialClamp(images.reshape(shape), known.reshape(shape))}
    start = {layer: jnp.where(known, images, guess).reshape(shape)}
    result = relax(model, clamp, start=start, method=method)
    return result.activation[layer].reshape(images.shape), result.converged, result.statistics.evaluations


def _as_arrays(
    model: AbstractNetwork, layer: str, images: ArrayLike, known: ArrayLike, guess: ArrayLike
) -> tuple[Array, Array, Array]:
    """Images, masks and guesses as arrays of one shape. Raises: `ValueError` for shapes that do not fit."""
    images, known, guess = jnp.asarray(images), jnp.asarray(known), jnp.asarray(guess)
    floating = jnp.issubdtype(images.dtype, jnp.floating)
    images = images if floating else images.astype(jnp.float32)
    size = model.layers[layer].size
    if images.ndim != 2 or images.shape[1] != size or not len(images):
        raise ValueError(f"`images` have shape {images.shape}; layer {layer!r} needs (examples, {size}).")
    if known.dtype != bool:
        raise ValueError(f"`known` must be bool, got {known.dtype}; compare, as in `known > 0`.")
    for name, array in (("known", known), ("guess", guess)):
        if array.shape not in (images.shape, images.shape[1:], ()):
            raise ValueError(f"`{name}` has shape {array.shape}; the images have {images.shape}.")
    same = lambda array: jnp.broadcast_to(array, images.shape)
    inside = np.asarray((images >= 0) & (images <= 1) | ~same(known))
    if not inside.all():
        rows = np.flatnonzero(~inside.all(axis=1))[:5].tolist()
        raise ValueError(f"`images` has known pixels outside [0, 1] in the rows {rows}; scale them.")
    return images, same(known), same(guess).astype(images.dtype)
