"""Masks of corrupted pixels."""

import numpy as np
from jaxtyping import Bool


def corruption_masks(
    images: int, shape: tuple[int, ...], seed: int = 0
) -> dict[str, Bool[np.ndarray, "images pixels"]]:
    """Masks of two kinds of corruption, True where a pixel stays known.

    "top half" erases the upper half of every image, "30 % of pixels" erases 30 % of the pixels of each image
    at random.

    Args:
        images: the number of images.
        shape: the shape of one image.
        seed: which pixels are erased at random.
    """
    rows, pixels = np.indices(shape)[0], int(np.prod(shape))
    lower = np.broadcast_to(rows.reshape(-1) >= shape[0] // 2, (images, pixels))
    order = np.argsort(np.random.Generator(np.random.Philox(seed)).random((images, pixels)), axis=1)
    return {"top half": lower, "30 % of pixels": order >= round(0.3 * pixels)}
