"""Masks of corrupted pixels."""

import numpy as np
from jaxtyping import Bool, Int32


def corruption_masks(
    images: int, shape: tuple[int, ...], seed: int = 0
) -> dict[str, Bool[np.ndarray, "images pixels"]]:
    """Which pixels stay known, by kind of damage: the top half destroyed, or 30 % of the pixels at random."""
    rows, pixels = np.indices(shape)[0], int(np.prod(shape))
    lower = np.broadcast_to(rows.reshape(-1) >= shape[0] // 2, (images, pixels))
    order = np.argsort(np.random.Generator(np.random.Philox(seed)).random((images, pixels)), axis=1)
    return {"top half": lower, "30 % of pixels": order >= round(0.3 * pixels)}


def one_of_each(labels: Int32[np.ndarray, " images"], classes: int) -> list[int]:
    """Where the first image of each class is; classes that do not occur are left out."""
    return [int(np.argmax(labels == each)) for each in range(classes) if np.any(labels == each)]
