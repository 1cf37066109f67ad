"""The feature distance: a Fréchet distance in the features of a small classifier of our own, used in place of FID."""

import dataclasses

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from .._internal.tree import in_chunks
from ..data import Dataset
from ..networks import AbstractNetwork
from ..relax import relax
from ..training.classifier import train_in_memory
from ..training.recipes import goemaere2023
from .evaluation import CHUNK, decode_mean
from .model import AbstractVAE

HIDDEN, EPOCHS = 64, 5
FEATURES = (
    f"activations of the {HIDDEN} hidden neurons of our own classifier, a HAM trained by the 2023 recipe"
)


def feature_classifier(dataset: Dataset, *, epochs: int = EPOCHS, seed: int = 0) -> AbstractNetwork:
    """Pixels - 64 - classes, trained on the training images of `dataset` by the 2023 paper's recipe."""
    layers = (dataset.train_images.shape[1], HIDDEN, dataset.classes)
    recipe = dataclasses.replace(goemaere2023(layers, "HAM-EO"), epochs=epochs, seed=seed)
    return train_in_memory(recipe, dataset).network


def features(
    classifier: AbstractNetwork, images: Float[Array, "examples pixels"]
) -> Float[Array, "examples features"]:
    """The activations of the hidden layer at equilibrium."""
    hidden = lambda chunk: relax(classifier, {"input": chunk}).activation["hidden"]
    return in_chunks(hidden, jnp.asarray(images, jnp.float32), CHUNK)


def frechet_distance(a: Float[np.ndarray, "m features"], b: Float[np.ndarray, "n features"]) -> float:
    """`|μ_a - μ_b|² + tr(C_a + C_b - 2 (C_a C_b)^½)`: squared distance of the Gaussians with the moments of both sets.

    Raises: `ValueError` for fewer than two rows. Source: [heusel2017], eq. 6.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(len(a), len(b)) < 2:
        raise ValueError(f"the sets have {len(a)} and {len(b)} rows; a covariance needs at least 2 of each.")
    mean_term = np.sum(np.square(a.mean(axis=0) - b.mean(axis=0)))
    first, second = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (a, b))
    # (C_a C_b)^½ has the trace of (C_a^½ C_b C_a^½)^½, which is symmetric.
    root = _square_root(first)
    covariance_term = np.trace(first) + np.trace(second) - 2 * np.trace(_square_root(root @ second @ root))
    return float(mean_term + covariance_term)


def feature_distance(
    vae: AbstractVAE, dataset: Dataset, classifier: AbstractNetwork, *, seed: int = 0
) -> float:
    """`frechet_distance` of the test images and as many mean images of latents drawn from the prior."""
    latents = jr.normal(jr.key(seed), (len(dataset.test_images), vae.latents), jnp.float32)
    image_sets = jnp.asarray(dataset.test_images), decode_mean(vae, latents)
    return frechet_distance(*(np.asarray(features(classifier, images)) for images in image_sets))


def _square_root(matrix: np.ndarray) -> np.ndarray:
    """The square root of a symmetric matrix whose eigenvalues are not negative, except by rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
