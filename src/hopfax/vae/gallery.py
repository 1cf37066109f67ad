"""Rows of images to look at, by a trained VAE; `hopfax.figures.images.images_figure` draws them."""

from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from ..data import Dataset
from ..data.corrupt import one_of_each
from .config import VAEConfig
from .evaluation import decode_mean, encode_mean, evaluate_vae, reconstruct, shown
from .model import AbstractVAE

Rows = list[tuple[str, np.ndarray]]


def reconstructions(vae: AbstractVAE, dataset: Dataset, *, binarise: bool = False) -> Rows:
    """One test image of each class, and what is decoded from its posterior's mean."""
    chosen = one_of_each(dataset.test_labels, dataset.classes)
    images = shown(vae, dataset.test_images[np.array(chosen)], jr.key(0), binarise)
    return _rows(dataset, [("image", images), ("reconstruction", reconstruct(vae, images))])


def samples(
    vae: AbstractVAE, dataset: Dataset, *, key: Key[Array, ""], rows: int = 4, columns: int = 10
) -> Rows:
    """Mean images of latents drawn from the prior."""
    drawn = decode_mean(vae, jr.normal(key, (rows * columns, vae.latents), jnp.float32))
    return _rows(dataset, [("", row) for row in drawn.reshape(rows, columns, -1)])


def interpolations(vae: AbstractVAE, dataset: Dataset, *, rows: int = 4, columns: int = 10) -> Rows:
    """Straight lines in the latent space between test images of different classes, ends decoded too."""
    chosen = one_of_each(dataset.test_labels, dataset.classes)
    ends = encode_mean(vae, jnp.asarray(dataset.test_images[np.array(chosen)]))
    pairs = [(2 * i % len(chosen), (2 * i + 1) % len(chosen)) for i in range(rows)]
    share = jnp.linspace(0.0, 1.0, columns, dtype=ends.dtype)[:, None]
    lines = [decode_mean(vae, (1 - share) * ends[a][None] + share * ends[b][None]) for a, b in pairs]
    names = [str(dataset.test_labels[place]) for place in chosen]
    titles = [f"{names[a]} - {names[b]}" for a, b in pairs]
    return _rows(dataset, list(zip(titles, lines, strict=True)))


def class_means(vae: AbstractVAE, dataset: Dataset) -> Rows:
    """Above, the mean training image of each class; below, the image decoded from its mean posterior mean."""
    images, labels = dataset.train_images, dataset.train_labels
    classes = [label for label in range(dataset.classes) if np.any(labels == label)]
    latents = encode_mean(vae, jnp.asarray(images))
    mean = lambda array: jnp.stack([array[labels == label].mean(axis=0) for label in classes])
    decoded = decode_mean(vae, mean(latents))
    return _rows(dataset, [("mean image", mean(jnp.asarray(images))), ("mean latent", decoded)])


def _rows(dataset: Dataset, rows: Sequence[tuple[str, Float[Array, "count pixels"]]]) -> Rows:
    shape = dataset.image_shape[:2]
    return [(title, np.asarray(images).reshape(-1, *shape)) for title, images in rows]


def final_numbers(vae: AbstractVAE, config: VAEConfig, dataset: Dataset) -> dict[str, float]:
    """One-sample evidence lower bound (nats) and squared error, means over the test images."""
    key = jr.fold_in(jr.key(config.seed), 2)
    found = evaluate_vae(vae, dataset.test_images, key=key, binarise=config.bernoulli).summary()
    return {"test_elbo": found["elbo"], "test_squared_error": found["squared_error"]}


def final_figures(vae: AbstractVAE, config: VAEConfig, dataset: Dataset, folder: Path) -> list[str]:
    """Reconstructions, samples from the prior, interpolations and class means, as PNG in `folder`; their paths."""
    from ..figures.images import images_figure

    pictures = {
        "reconstructions": reconstructions(vae, dataset, binarise=config.bernoulli),
        "samples": samples(vae, dataset, key=jr.fold_in(jr.key(config.seed), 3)),
        "interpolations": interpolations(vae, dataset),
        "class_means": class_means(vae, dataset),
    }
    paths = {name: folder / f"{name}.png" for name in pictures}
    for name, rows in pictures.items():
        images_figure(rows).savefig(paths[name], bbox_inches="tight", pad_inches=0.1)
    return [str(path) for path in paths.values()]
