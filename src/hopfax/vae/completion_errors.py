"""Destroyed test images, what a VAE makes of them, and squared errors on what was destroyed."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from ..data import Dataset
from ..data.corrupt import corruption_masks, one_of_each
from .completion import fill_in, inpaint
from .gallery import Rows
from .model import AbstractVAE, HopfieldVAE

ROUNDS = 10  # of encoding and decoding, where a model is to repeat it


def completion_errors(
    vae: AbstractVAE, dataset: Dataset, other: AbstractVAE | None = None, *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """For each kind of damage, `|x̂ - x|²` over the destroyed pixels, mean over the test images.

    "mean image" is a guess that does not look. "once" encodes and decodes the damaged image with the mean image in
    the destroyed places, "ten times" puts the known pixels back and repeats; the same of `other` as "other, ...".
    "relaxed" holds the known pixels and relaxes the rest, for a `HopfieldVAE` only; "did_not_converge" counts.
    """
    return {name: _errors(vae, dataset, other, known) for name, known in _damages(dataset, seed).items()}


def completed_rows(vae: AbstractVAE, dataset: Dataset, *, seed: int = 0) -> Rows:
    """One test image of each class, then for each damage: destroyed, encoded and decoded once, and relaxed."""
    chosen = np.array(one_of_each(dataset.test_labels, dataset.classes))
    images, guess = dataset.test_images[chosen], _mean_image(dataset)
    picture = lambda flat: np.asarray(flat).reshape(-1, *dataset.image_shape[:2])
    rows = [("image", picture(images))]
    for name, known in _damages(dataset, seed).items():
        known = known[chosen]
        rows.append((f"{name}\ndestroyed", picture(np.where(known, images, np.nan))))
        rows.append(("decoded", picture(fill_in(vae, images, known, guess))))
        if isinstance(vae, HopfieldVAE):
            rows.append(("relaxed", picture(inpaint(vae, images, known, guess)[0])))
    return rows


def _errors(vae: AbstractVAE, dataset: Dataset, other: AbstractVAE | None, known) -> dict[str, float]:
    images, guess = dataset.test_images, _mean_image(dataset)
    error = lambda found: float(np.mean(np.sum(np.square(np.asarray(found) - images) * ~known, axis=1)))
    filled = {"once": 1, "ten times": ROUNDS}
    result = {"mean image": error(np.broadcast_to(guess, images.shape))}
    result |= {name: error(fill_in(vae, images, known, guess, rounds=n)) for name, n in filled.items()}
    if isinstance(vae, HopfieldVAE):
        relaxed, converged = inpaint(vae, images, known, guess)
        result |= {"relaxed": error(relaxed), "did_not_converge": int(np.sum(~np.asarray(converged)))}
    if other is not None:
        again = lambda n: error(fill_in(other, images, known, guess, rounds=n))
        result |= {f"other, {name}": again(n) for name, n in filled.items()}
    return result


def _damages(dataset: Dataset, seed: int) -> Mapping[str, Bool[np.ndarray, "images pixels"]]:
    return corruption_masks(len(dataset.test_labels), dataset.image_shape, seed)


def _mean_image(dataset: Dataset) -> Float[np.ndarray, " pixels"]:
    return dataset.train_images.mean(axis=0)
