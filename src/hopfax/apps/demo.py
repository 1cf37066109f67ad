"""The work behind `hopfax demo`: the papers' four models compared on small digits, and digits recalled."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float32

from ..data import Dataset
from ..memory.modern import ModernHopfield
from ..memory.similarities import Euclidean
from ..networks.ham import HAM
from ..networks.layers import PartialClamp
from ..relax import relax
from ..training import recipes

MODELS = ("HAM", "HAM-DEQ", "HAM-EO", "HAM-EO-DEQ")
EPOCHS = 20
BETA = 3.0  # a fair choice for both kinds of damage, made on held-out training digits


def small_recipe(model: str, epochs: int = EPOCHS, hidden: int = 128) -> recipes.Recipe:
    """The recipe of the 2023 paper for 8x8 digits: fewer examples, so smaller batches and longer steps.

    It departs in three ways, since there are far fewer examples: batches of 20 for 64, a rate that falls from
    0.03 to a tenth (as in the 2024 paper) for a constant 0.01, and examples in random order.
    """
    return dataclasses.replace(
        recipes.goemaere2023((64, hidden, 10), model),
        epochs=epochs,
        batch_size=20,
        learning_rate=0.03,
        final_learning_rate_fraction=0.1,
    )


def widened(dataset: Dataset) -> Dataset:
    """`dataset` with each training image thrice: moved by a pixel to the left, as it is, and to the right.

    The test digits are from writers that the training digits are not; this makes up for some of it.
    """
    images = np.pad(dataset.train_images.reshape(-1, *dataset.image_shape), ((0, 0), (0, 0), (1, 1)))
    width = dataset.image_shape[1]
    moved = np.concatenate([images[:, :, left : left + width] for left in (2, 1, 0)])
    labels = np.tile(dataset.train_labels, 3)
    return dataclasses.replace(dataset, train_images=moved.reshape(len(labels), -1), train_labels=labels)


def digit_memory(patterns: Float[np.ndarray, "patterns pixels"], beta: float = BETA) -> HAM:
    """`E(v) = ½ |v|² - log(Σ_μ exp(β (x_μ·v - ½ |x_μ|²))) / β`: a HAM that remembers `patterns` `x_μ`.

    A modern Hopfield network whose patterns compete by distance, so that dark ones have no advantage.
    Args: `beta` the inverse temperature, one over a squared distance; the larger, the fewer patterns blend.
    """
    return ModernHopfield(patterns, beta, similarity=Euclidean()).ham()


@dataclasses.dataclass(frozen=True)
class RecalledDigits:
    """Images of which only the pixels in `known` were given, and what a memory makes of them."""

    original: Float32[np.ndarray, "images pixels"]
    known: Bool[np.ndarray, "images pixels"]
    recalled: Float[np.ndarray, "images pixels"]
    mean_image: Float[np.ndarray, " pixels"]  # of the memory: what it says before it has seen anything
    right: Bool[np.ndarray, " images"]  # the pattern that answers loudest is of the right class
    converged: Bool[np.ndarray, " images"]

    @property
    def destroyed(self) -> Float[np.ndarray, "images pixels"]:
        """The images as given: NaN where unknown."""
        return np.where(self.known, self.original, np.nan)

    def summary(self) -> dict[str, float]:
        """Mean squared errors on the destroyed pixels, among others.

        Before is blank paper; the mean image is a guess that does not look; after is what was recalled.
        """
        return {
            "mse_before": self._error(np.zeros_like(self.mean_image)),
            "mse_mean_image": self._error(self.mean_image),
            "mse_after": self._error(self.recalled),
            "right_class": float(self.right.mean()),
            "converged": float(self.converged.mean()),
        }

    def _error(self, guess: np.ndarray) -> float:
        return float(np.mean(np.square(guess - self.original)[~self.known]))


def recall(memory: HAM, dataset: Dataset, known: Bool[np.ndarray, "images pixels"]) -> RecalledDigits:
    """Clamp the `known` pixels of the test images of `dataset` and let the others relax, from the mean image.

    `memory` is a `digit_memory` of the training images, in their order.
    """
    images = dataset.test_images
    mean = dataset.train_images.mean(axis=0)
    clamp = {"visible": PartialClamp(jnp.asarray(images), jnp.asarray(known))}
    found = relax(memory, clamp, start={"visible": mean})
    loudest = np.argmax(np.asarray(found.activation["memory"]), axis=1)
    return RecalledDigits(
        original=images,
        known=known,
        recalled=np.asarray(found.activation["visible"]),
        mean_image=mean,
        right=dataset.train_labels[loudest] == dataset.test_labels,
        converged=np.asarray(found.converged),
    )
