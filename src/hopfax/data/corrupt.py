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
    pixels, channels = int(np.prod(shape[:2])), int(np.prod(shape[2:]))
    lower = np.broadcast_to(np.indices(shape[:2])[0].reshape(-1) >= shape[0] // 2, (images, pixels))
    order = np.argsort(np.random.Generator(np.random.Philox(seed)).random((images, pixels)), axis=1)
    masks = {"top half": lower, "30 % of pixels": order >= round(0.3 * pixels)}
    return {name: np.repeat(mask, channels, axis=1) for name, mask in masks.items()}
