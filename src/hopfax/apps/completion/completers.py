"""What `hopfax completion` compares: each completer fills in missing pixels by what it took from images.

Those here need no training. `trained` has the others.
"""

import abc
import dataclasses
from collections.abc import Callable

import jax.random as jr
import numpy as np
import scipy.linalg
from jaxtyping import Bool, Float
from scipy.special import softmax

from ...lagrangians import Sparsemax
from ...memory import Mahalanobis, Memory
from ...training.initialisation import clusters

Images = Float[np.ndarray, "images pixels"]
Known = Bool[np.ndarray, "images pixels"]
KnownPart = Float[np.ndarray, "images known"]
MissingPart = Float[np.ndarray, "images missing"]
CHUNK = 500  # images whose distances to all others are in memory at once
IMAGES_PER_COMPONENT = 1500  # about as many as a covariance of 784 pixels needs


class AbstractCompleter(abc.ABC):
    """Fills in the missing pixels of images."""

    @abc.abstractmethod
    def complete(self, images: Images, known: Known) -> Images:
        """The completed images. What `images` hold at missing pixels has no influence."""

    def denoise(self, images: Images, deviation: float) -> Images | None:
        """The images without the Gaussian noise of this standard deviation; None for a method that only completes."""
        return None


@dataclasses.dataclass(frozen=True)
class MeanImage(AbstractCompleter):
    """The mean of the stored images. Known pixels play no part in it."""

    images: Images

    def complete(self, images: Images, known: Known) -> Images:
        return np.where(known, images, self.images.mean(axis=0))

    def denoise(self, images: Images, deviation: float) -> Images:
        return np.broadcast_to(self.images.mean(axis=0), images.shape)


@dataclasses.dataclass(frozen=True)
class NearestNeighbour(AbstractCompleter):
    """The stored image that is nearest in the known pixels."""

    images: Images

    def complete(self, images: Images, known: Known) -> Images:
        return np.where(known, images, self.nearest(images, known))

    def denoise(self, images: Images, deviation: float) -> Images:
        return self.nearest(images, np.ones_like(images, bool))

    def nearest(self, images: Images, known: Known) -> Images:
        """The nearest stored image of each image."""
        starts = range(0, len(images), CHUNK)
        indices = [self._nearest(images[i : i + CHUNK], known[i : i + CHUNK]) for i in starts]
        return self.images[np.concatenate(indices)]

    def _nearest(self, images: Images, known: Known) -> np.ndarray:
        """Indices of stored images. The norm of the known pixels of an image changes no order and is left out."""
        mask = known.astype(self.images.dtype)
        queries = np.where(known, images, 0).astype(self.images.dtype)
        distances = mask @ np.square(self.images).T - 2 * queries @ self.images.T
        return np.argmin(distances, axis=1)


def _by_mask(
    missing: Callable[[KnownPart, Bool[np.ndarray, " pixels"]], MissingPart], images: Images, known: Known
) -> Images:
    """The images completed by `missing(known pixels, mask)`, in double precision, all those of a mask together."""
    completed = np.array(images, np.float64)
    masks, which = np.unique(known, axis=0, return_inverse=True)
    for index, mask in enumerate(masks):
        rows = np.flatnonzero(which.reshape(-1) == index)
        completed[np.ix_(rows, ~mask)] = missing(completed[np.ix_(rows, mask)], mask)
    return completed.astype(images.dtype)


class LinearGaussian(AbstractCompleter):
    """The mean of the missing pixels given the known ones, under the Gaussian of the stored images.

    Args:
        ridge: added to the variance of each pixel.
    """

    def __init__(self, images: Images, ridge: float = 1e-3):
        doubles = images.astype(np.float64)
        self.mean = doubles.mean(axis=0)
        self.covariance = np.cov(doubles.T) + ridge * np.eye(images.shape[1])

    def complete(self, images: Images, known: Known) -> Images:
        return _by_mask(self._missing, images, known)

    def _missing(self, known: KnownPart, mask: Bool[np.ndarray, " pixels"]) -> MissingPart:
        solved = scipy.linalg.solve(
            self.covariance[np.ix_(mask, mask)], (known - self.mean[mask]).T, assume_a="pos"
        )
        return self.mean[~mask] + (self.covariance[np.ix_(~mask, mask)] @ solved).T

    def denoise(self, images: Images, deviation: float) -> Images:
        noisy = self.covariance + deviation**2 * np.eye(len(self.mean))
        weights = np.linalg.solve(noisy, self.covariance)
        return (self.mean + (images - self.mean) @ weights).astype(images.dtype)


class GaussianMixture(AbstractCompleter):
    """The mean of the missing pixels given the known ones, under a mixture of Gaussians of the stored images.

    The weight of a Gaussian is the probability of the known pixels under it, to the power of `1 / temperature`. In many
    dimensions these probabilities are too sure, so a temperature above 1 is more accurate.

    Args:
        components: clusters of the stored images; one for every 1,500, but at least ten, if None. At most as many as
            images.
        shrinkage: how many images the covariance of all images counts for, beside those of a cluster.
        ridge: added to the variance of each pixel.
        temperature: 1 for small images, and about one for every 80 pixels of larger ones, if None.
    """

    def __init__(
        self,
        images: Images,
        components: int | None = None,
        shrinkage: float = 20.0,
        ridge: float = 5e-3,
        temperature: float | None = None,
    ):
        count = max(10, len(images) // IMAGES_PER_COMPONENT) if components is None else components
        count = min(count, len(images))
        self.means, covariances, weights = clusters(images, count, shrinkage, key=jr.key(0))
        self.covariances = covariances + ridge * np.eye(images.shape[1])
        self.logs = np.log(weights)
        self.temperature = max(1.0, images.shape[1] / 80) if temperature is None else temperature

    def complete(self, images: Images, known: Known) -> Images:
        return _by_mask(self._missing, images, known)

    def _missing(self, known: KnownPart, mask: Bool[np.ndarray, " pixels"]) -> MissingPart:
        scores, means = [], []
        for mean, covariance, log in zip(self.means, self.covariances, self.logs, strict=True):
            factor = scipy.linalg.cholesky(covariance[np.ix_(mask, mask)], lower=True)
            whitened = scipy.linalg.solve_triangular(factor, (known - mean[mask]).T, lower=True)
            scores.append(log - np.sum(np.square(whitened), axis=0) / 2 - np.sum(np.log(np.diag(factor))))
            solved = scipy.linalg.solve_triangular(factor, whitened, lower=True, trans=1)
            means.append(mean[~mask] + (covariance[np.ix_(~mask, mask)] @ solved).T)
        weights = softmax(np.stack(scores) / self.temperature, axis=0)
        return np.einsum("ki,kip->ip", weights, np.stack(means))


@dataclasses.dataclass(frozen=True)
class MemoryCompleter(AbstractCompleter):
    """Recall from a memory of the stored images."""

    memory: Memory

    def complete(self, images: Images, known: Known) -> Images:
        state = self.memory.recall(images.astype(np.float32), known).state
        return np.where(known, images, state)

    def denoise(self, images: Images, deviation: float) -> Images | None:
        if self.memory.metric is not None:
            return None
        return np.asarray(self.memory.recall(images.astype(np.float32)).state)


def softmax_memory(images: Images) -> MemoryCompleter:
    """A modern Hopfield network of the images at its calibrated inverse temperature."""
    return MemoryCompleter(Memory.store(images))


def sparsemax_memory(images: Images) -> MemoryCompleter:
    """The same with sparse weights."""
    return MemoryCompleter(Memory.store(images, separation=Sparsemax))


def metric_memory(images: Images) -> MemoryCompleter:
    """A memory that compares by the covariance of the stored images."""
    return MemoryCompleter(Memory.store(images, metric=Mahalanobis()))
