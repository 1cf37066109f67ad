"""What the page stores and destroys: handwritten digits, and points in the plane."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int

from ..._internal.checks import as_integer, require
from ...data import Dataset

SHAPE = (8, 8)
CLASSES = 10


def first_of_each(
    dataset: Dataset, each: int
) -> tuple[Float[np.ndarray, "patterns pixels"], Int[np.ndarray, " patterns"]]:
    """The first `each` training images of every class, in the order of the classes, and their labels.

    Raises: `ValueError` where `each` is below 1, or a class has fewer.
    """
    each = as_integer("each", each, 1)
    places = [np.flatnonzero(dataset.train_labels == label)[:each] for label in range(dataset.classes)]
    fewest = min(len(found) for found in places)
    require(fewest == each, f"`each` must be at most {fewest}, the images of the smallest class, got {each}.")
    chosen = np.concatenate(places)
    return dataset.train_images[chosen].astype(float), dataset.train_labels[chosen].astype(int)


def one_digit(dataset: Dataset, label: int, stored: bool) -> Float[np.ndarray, " pixels"]:
    """The first image of a class: of the training images, which the memory has, or of the test images.

    Raises: `ValueError` for a class that is not there.
    """
    images = dataset.train_images if stored else dataset.test_images
    places = np.flatnonzero((dataset.train_labels if stored else dataset.test_labels) == label)
    require(places.size, f"`label` must be one of the {dataset.classes} classes, got {label}.")
    return images[places[0]].astype(float)


def kept(damage: str, seed: int = 0) -> Bool[np.ndarray, " pixels"]:
    """Which pixels of a digit survive a damage of `DAMAGES`. Raises: `ValueError` for another name."""
    require(damage in DAMAGES, f"`damage` must be one of {', '.join(DAMAGES)}, got {damage!r}.")
    return DAMAGES[damage](np.random.default_rng(seed).random(SHAPE))


def points(arrangement: str) -> Float[np.ndarray, "patterns 2"]:
    """Patterns in the plane, at distance 1 from the origin. Raises: `ValueError` for a name not in `ARRANGEMENTS`."""
    known = ", ".join(ARRANGEMENTS)
    require(arrangement in ARRANGEMENTS, f"`arrangement` must be one of {known}, got {arrangement!r}.")
    degrees = np.deg2rad(ARRANGEMENTS[arrangement])
    return np.stack([np.cos(degrees), np.sin(degrees)], axis=1)


def _rows() -> np.ndarray:
    return np.indices(SHAPE)[0]


def _columns() -> np.ndarray:
    return np.indices(SHAPE)[1]


# What survives, given a uniform number in [0, 1) for each pixel.
DAMAGES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "nothing": lambda chance: np.ones(chance.size, bool),
        "top half": lambda chance: (_rows() >= 4).reshape(-1),
        "bottom half": lambda chance: (_rows() < 4).reshape(-1),
        "left half": lambda chance: (_columns() >= 4).reshape(-1),
        "right half": lambda chance: (_columns() < 4).reshape(-1),
        "30 % of pixels": lambda chance: (chance >= np.quantile(chance, 0.3)).reshape(-1),
        "70 % of pixels": lambda chance: (chance >= np.quantile(chance, 0.7)).reshape(-1),
        "all but a corner": lambda chance: ((_rows() >= 4) & (_columns() >= 4)).reshape(-1),
    }
)

# Angles in degrees. Of these only the pair and the triangle are equidistant.
ARRANGEMENTS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "triangle": (90, 210, 330),
        "pair": (180, 0),
        "square": (45, 135, 225, 315),
        "two clusters": (160, 200, 340, 20),
        "pentagon": (90, 162, 234, 306, 18),
    }
)
