"""Masks of corrupted pixels."""

import numpy as np
from jaxtyping import Bool


def corruption_masks(
    images: int, shape: tuple[int, ...], seed: int = 0
) -> dict[str, Bool[np.ndarray, "images pixels"]]:
    """Masks of two kinds of corruption, True where a pixel stays known.

    "top half" erases the upper half of every image, "30 % of pixels" erases 30 % of the pixels of each image
    at random, all channels of a pixel together.

    Args:
        images: the number of images.
        shape: the shape of one image, (height, width) or (height, width, channels).
        seed: which pixels are erased at random.
    """
    return {"top half": lower_half(images, shape), "30 % of pixels": scattered(images, shape, 0.3, seed)}


def lower_half(images: int, shape: tuple[int, ...]) -> Bool[np.ndarray, "images pixels"]:
    """True in the lower half of every image; of an odd number of rows the middle one is in it."""
    return for_all_images(np.indices(shape[:2])[0] >= shape[0] // 2, images, shape)


def scattered(
    images: int, shape: tuple[int, ...], missing: float, seed: int = 0
) -> Bool[np.ndarray, "images pixels"]:
    """False for a fraction `missing` of the pixels of each image, drawn at random, all channels of a pixel together."""
    pixels = int(np.prod(shape[:2]))
    order = np.argsort(np.random.Generator(np.random.Philox(seed)).random((images, pixels)), axis=1)
    return _all_channels(order >= round(missing * pixels), shape)


def for_all_images(
    plane: Bool[np.ndarray, "height width"], images: int, shape: tuple[int, ...]
) -> Bool[np.ndarray, "images pixels"]:
    """One mask of (height, width) for images of `shape`."""
    return _all_channels(np.broadcast_to(plane.reshape(-1), (images, plane.size)), shape)


def _all_channels(mask: Bool[np.ndarray, "images places"], shape: tuple[int, ...]) -> np.ndarray:
    return np.repeat(mask, int(np.prod(shape[2:])), axis=1)
