"""The computations of `hopfax demo`: four models of the papers on small digits, and digits completed from a part."""

import dataclasses
import time
from collections.abc import Mapping
from statistics import median

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float32

from ..data import Dataset
from ..memory.modern import ModernHopfield
from ..memory.similarities import Euclidean
from ..method import Method
from ..networks.ham import HAM
from ..networks.layers import PartialClamp
from ..networks.network import AbstractNetwork
from ..papers import paper_method
from ..relax import relax
from ..training import recipes
from ..training.completion_job import equilibrium_propagation
from ..training.evaluation import Evaluation, evaluate
from .completion.completers import AbstractCompleter, NearestNeighbour, metric_memory
from .completion.trained import MLPRecipe, completion_recipe, trained_mlp, trained_network

MODELS = ("HAM", "HAM-DEQ", "HAM-EO", "HAM-EO-DEQ")
DEFAULT, DEFAULT_OF = (
    "default",
    "HAM-EO",
)  # the default method of hopfax, and the row whose network it relaxes
EPOCHS = 12
RTOL = 1e-4  # to which a relaxation is timed; that of the papers
REPEATS = 5
BETA = 3.0  # good for both kinds of corruption; chosen on held-out training digits


def small_recipe(model: str, epochs: int = EPOCHS, hidden: int = 128) -> recipes.Recipe:
    """The recipe of the 2023 paper, adapted to the smaller number of 8x8 digits.

    The batches have 20 examples instead of 64, and the learning rate falls from 0.03 to a tenth, as in the 2024 paper,
    instead of being 0.01 throughout.
    """
    return dataclasses.replace(
        recipes.goemaere2023((64, hidden, 10), model),
        epochs=epochs,
        batch_size=20,
        learning_rate=0.03,
        final_learning_rate_fraction=0.1,
    )


def add_shifted_images(dataset: Dataset) -> Dataset:
    """The dataset with each training image three times: shifted by a pixel to the left, unchanged, and to the right.

    The test digits are by other writers than the training digits; this makes up for some of the difference.
    """
    images = np.pad(dataset.train_images.reshape(-1, *dataset.image_shape), ((0, 0), (0, 0), (1, 1)))
    width = dataset.image_shape[1]
    shifted = np.concatenate([images[:, :, left : left + width] for left in (2, 1, 0)])
    labels = np.tile(dataset.train_labels, 3)
    return dataclasses.replace(dataset, train_images=shifted.reshape(len(labels), -1), train_labels=labels)


def relax_by_default(network: AbstractNetwork, dataset: Dataset) -> Evaluation:
    """The test digits in a trained network that is relaxed by hopfax's own default method, `hopfax.Method()`."""
    recipe = small_recipe(DEFAULT_OF)
    images, labels = dataset.test_images, dataset.test_labels
    return evaluate(network, images, labels, method=Method(), steps=recipe.forward_steps, cost=recipe.cost)


def relaxation_seconds(network: AbstractNetwork, dataset: Dataset, name: str) -> float:
    """Median seconds in which all test digits relax by a method of the papers, or by `DEFAULT`; compiled before."""
    method = Method(rtol=RTOL) if name == DEFAULT else paper_method(name)
    images = jnp.asarray(dataset.test_images)

    @eqx.filter_jit
    def relaxed(network, images):
        return relax(network, {"input": images}, method=method).state

    seconds = []
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        jax.block_until_ready(relaxed(network, images))
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])


def completers(dataset: Dataset) -> Mapping[str, AbstractCompleter]:
    """What completes digits beside a softmax memory, by name; the last two are trained here."""
    images = dataset.train_images
    recipe = completion_recipe(dataset, equilibrium_propagation(), epochs=3, seed=0)
    return {
        "nearest": NearestNeighbour(images),
        "metric_memory": metric_memory(images),
        "feed_forward": trained_mlp(MLPRecipe(width=256, epochs=40), dataset),
        "trained": trained_network(recipe, dataset),
    }


def digit_memory(patterns: Float[np.ndarray, "patterns pixels"], beta: float = BETA) -> HAM:
    """A modern Hopfield network of the patterns `x_μ`: `E(v) = ½ |v|² - log(Σ_μ exp(β (x_μ·v - ½ |x_μ|²))) / β`.

    The patterns compete by distance, so that dark images have no advantage.

    Args:
        patterns: images, in rows.
        beta: inverse temperature, one over a squared distance. With a larger one, fewer patterns are averaged.
    """
    return ModernHopfield(patterns, beta, similarity=Euclidean()).ham()


@dataclasses.dataclass(frozen=True)
class RecalledDigits:
    """Images of which only some pixels were given, completed by a memory.

    Attributes:
        original: the complete images.
        known: which pixels were given.
        recalled: the completed images.
        mean_image: the mean of the stored images, from which the unknown pixels start.
        right: whether the stored image with the largest weight is of the right class.
        converged: whether the relaxation converged.
    """

    original: Float32[np.ndarray, "images pixels"]
    known: Bool[np.ndarray, "images pixels"]
    recalled: Float[np.ndarray, "images pixels"]
    mean_image: Float[np.ndarray, " pixels"]
    right: Bool[np.ndarray, " images"]
    converged: Bool[np.ndarray, " images"]

    @property
    def erased(self) -> Float[np.ndarray, "images pixels"]:
        """The images with NaN in place of the unknown pixels."""
        return np.where(self.known, self.original, np.nan)

    def summary(self) -> dict[str, float]:
        """Mean squared errors on the unknown pixels, and the fractions that are of the right class and converged.

        The errors are those of blank pixels (before), of the mean image, and of the recalled images (after).
        """
        return {
            "mse_before": self.error(np.zeros_like(self.mean_image)),
            "mse_mean_image": self.error(self.mean_image),
            "mse_after": self.error(self.recalled),
            "right_class": float(self.right.mean()),
            "converged": float(self.converged.mean()),
        }

    def error(self, completed: np.ndarray) -> float:
        """Mean squared error of the unknown pixels."""
        return float(np.mean(np.square(completed - self.original)[~self.known]))


def recall(memory: HAM, dataset: Dataset, known: Bool[np.ndarray, "images pixels"]) -> RecalledDigits:
    """Clamp the `known` pixels of the test images and relax the others, from the mean training image.

    Args:
        memory: a `digit_memory` of the training images, in their order.
        dataset: the training and test images.
        known: mask of the known pixels.
    """
    images = dataset.test_images
    mean = dataset.train_images.mean(axis=0)
    clamp = {"visible": PartialClamp(jnp.asarray(images), jnp.asarray(known))}
    equilibrium = relax(memory, clamp, start={"visible": mean})
    nearest = np.argmax(np.asarray(equilibrium.activation["memory"]), axis=1)
    return RecalledDigits(
        original=images,
        known=known,
        recalled=np.asarray(equilibrium.activation["visible"]),
        mean_image=mean,
        right=dataset.train_labels[nearest] == dataset.test_labels,
        converged=np.asarray(equilibrium.converged),
    )
