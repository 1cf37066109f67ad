"""The patterns and queries of the page: handwritten digits with unknown pixels, and points in the plane."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int

from ..._internal.checks import as_integer, require
from ...data import Dataset

SHAPE = (8, 8)
CLASSES = 10


def stored_digits(
    dataset: Dataset, per_class: int
) -> tuple[Float[np.ndarray, "patterns pixels"], Int[np.ndarray, " patterns"]]:
    """The first `per_class` training images of every class, in the order of the classes, and their labels.

    Raises: `ValueError` if `per_class` is below 1, or a class has fewer images.
    """
    per_class = as_integer("per_class", per_class, 1)
    indices = [np.flatnonzero(dataset.train_labels == label)[:per_class] for label in range(dataset.classes)]
    fewest = min(len(members) for members in indices)
    require(
        fewest == per_class,
        f"`per_class` must be at most {fewest}, the size of the smallest class, got {per_class}.",
    )
    rows = np.concatenate(indices)
    return dataset.train_images[rows].astype(float), dataset.train_labels[rows].astype(int)


def one_digit(dataset: Dataset, label: int, stored: bool) -> Float[np.ndarray, " pixels"]:
    """The first image of a class, of the training images if `stored`, of the test images otherwise.

    Raises: `ValueError` for a class that does not exist.
    """
    images = dataset.train_images if stored else dataset.test_images
    labels = dataset.train_labels if stored else dataset.test_labels
    indices = np.flatnonzero(labels == label)
    require(indices.size, f"`label` must be one of the {dataset.classes} classes, got {label}.")
    return images[indices[0]].astype(float)


def known_pixels(corruption: str, seed: int = 0) -> Bool[np.ndarray, " pixels"]:
    """The mask of the pixels that stay known, for a name in `CORRUPTIONS`. Raises: `ValueError` for another name."""
    names = ", ".join(CORRUPTIONS)
    require(corruption in CORRUPTIONS, f"`corruption` must be one of {names}, got {corruption!r}.")
    return CORRUPTIONS[corruption](np.random.default_rng(seed).random(SHAPE))


def arranged_points(arrangement: str) -> Float[np.ndarray, "patterns 2"]:
    """Points at distance 1 from the origin, for a name in `ARRANGEMENTS`. Raises: `ValueError` for another name."""
    names = ", ".join(ARRANGEMENTS)
    require(arrangement in ARRANGEMENTS, f"`arrangement` must be one of {names}, got {arrangement!r}.")
    angles = np.deg2rad(ARRANGEMENTS[arrangement])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _rows() -> np.ndarray:
    return np.indices(SHAPE)[0]


def _columns() -> np.ndarray:
    return np.indices(SHAPE)[1]


# The pixels that stay known, from a uniform random number in [0, 1) for each pixel.
CORRUPTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "none": lambda uniform: np.ones(uniform.size, bool),
        "top half": lambda uniform: (_rows() >= 4).reshape(-1),
        "bottom half": lambda uniform: (_rows() < 4).reshape(-1),
        "left half": lambda uniform: (_columns() >= 4).reshape(-1),
        "right half": lambda uniform: (_columns() < 4).reshape(-1),
        "30 % of pixels": lambda uniform: (uniform >= np.quantile(uniform, 0.3)).reshape(-1),
        "70 % of pixels": lambda uniform: (uniform >= np.quantile(uniform, 0.7)).reshape(-1),
        "all but a corner": lambda uniform: ((_rows() >= 4) & (_columns() >= 4)).reshape(-1),
    }
)

# Angles in degrees. Only the pair and the triangle are equidistant.
ARRANGEMENTS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "triangle": (90, 210, 330),
        "pair": (180, 0),
        "square": (45, 135, 225, 315),
        "two clusters": (160, 200, 340, 20),
        "pentagon": (90, 162, 234, 306, 18),
    }
)
