"""Rows of images that a trained VAE makes, for `hopfax.figures.images.images_figure`."""

from collections.abc import Sequence

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, Key

from ..data import Dataset, corruption_masks, first_of_each_class
from .completion import fill_in, inpaint, mean_image, relax_pixels
from .evaluation import decode_mean, encode_mean, prepare_images, reconstruct
from .model import AbstractVAE

ImageRows = list[tuple[str, np.ndarray]]
"""A title and an array of images for each row."""


def reconstructions(vae: AbstractVAE, dataset: Dataset, *, binarise: bool = False) -> ImageRows:
    """A test image of each class, and the image decoded from the mean of its posterior."""
    images = prepare_images(vae, dataset.test_images[_one_of_each(dataset)], jr.key(0), binarise)
    return _rows(dataset, [("image", images), ("reconstruction", reconstruct(vae, images))])


def samples(
    vae: AbstractVAE, dataset: Dataset, *, key: Key[Array, ""], rows: int = 4, columns: int = 10
) -> ImageRows:
    """Mean images of latents drawn from the prior."""
    images = decode_mean(vae, jr.normal(key, (rows * columns, vae.latents), jnp.float32))
    return _rows(dataset, [("", row) for row in images.reshape(rows, columns, -1)])


def interpolations(vae: AbstractVAE, dataset: Dataset, *, rows: int = 4, columns: int = 10) -> ImageRows:
    """Images decoded along straight lines in latent space, from a test image of one class to one of another."""
    indices = _one_of_each(dataset)
    ends = encode_mean(vae, jnp.asarray(dataset.test_images[indices]))
    pairs = [(2 * i % len(indices), (2 * i + 1) % len(indices)) for i in range(rows)]
    fraction = jnp.linspace(0.0, 1.0, columns, dtype=ends.dtype)[:, None]
    lines = [decode_mean(vae, (1 - fraction) * ends[a][None] + fraction * ends[b][None]) for a, b in pairs]
    names = [str(dataset.test_labels[index]) for index in indices]
    titles = [f"{names[a]} - {names[b]}" for a, b in pairs]
    return _rows(dataset, list(zip(titles, lines, strict=True)))


def class_means(vae: AbstractVAE, dataset: Dataset) -> ImageRows:
    """The mean training image of each class, and the image decoded from the mean of the class's latents."""
    images, labels = dataset.train_images, dataset.train_labels
    classes = [label for label in range(dataset.classes) if np.any(labels == label)]
    latents = encode_mean(vae, jnp.asarray(images))
    mean = lambda array: jnp.stack([array[labels == label].mean(axis=0) for label in classes])
    decoded = decode_mean(vae, mean(latents))
    return _rows(dataset, [("mean image", mean(jnp.asarray(images))), ("mean latent", decoded)])


def completions(vae: AbstractVAE, dataset: Dataset, *, seed: int = 0) -> ImageRows:
    """A test image of each class; for each kind of corruption: corrupted, and completed.

    `inpaint` completes them, and for comparison `fill_in` in one round and `relax_pixels`.
    """
    indices = _one_of_each(dataset)
    images, guess = dataset.test_images[indices], mean_image(dataset)
    rows: list[tuple[str, ArrayLike]] = [("image", images)]
    masks = corruption_masks(len(dataset.test_labels), dataset.image_shape, seed)
    for name, mask in masks.items():
        known = mask[indices]
        rows.append((f"{name}\nerased", np.where(known, images, np.nan)))
        rows.append(("completed", inpaint(vae, images, known, guess).images))
        rows.append(("decoded", fill_in(vae, images, known, guess)))
        if vae.has_energy:
            rows.append(("relaxed", relax_pixels(vae, images, known, guess)[0]))
    return _rows(dataset, rows)


def all_figures(vae: AbstractVAE, dataset: Dataset, seed: int, *, binarise: bool) -> dict[str, ImageRows]:
    """Reconstructions, samples, interpolations and class means."""
    return {
        "reconstructions": reconstructions(vae, dataset, binarise=binarise),
        "samples": samples(vae, dataset, key=jr.fold_in(jr.key(seed), 3)),
        "interpolations": interpolations(vae, dataset),
        "class_means": class_means(vae, dataset),
    }


def _one_of_each(dataset: Dataset) -> Int[np.ndarray, " classes"]:
    return np.array(first_of_each_class(dataset.test_labels, dataset.classes))


def _rows(dataset: Dataset, rows: Sequence[tuple[str, Float[ArrayLike, "count pixels"]]]) -> ImageRows:
    shape = dataset.image_shape
    return [(title, np.asarray(images).reshape(-1, *shape)) for title, images in rows]
