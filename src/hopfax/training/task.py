"""Tasks: what a training step does with a batch. Classification is one; completion and the ELBO of a VAE are others."""

import abc
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Int, Key, PyTree

Sums = Any
"""Sums over the batches of an epoch: a module of scalars. Floats are means over a batch, whole numbers are counts."""


class AbstractTask(eqx.Module):
    """The gradient of a batch's mean loss, and what is counted of the batch.

    A task of your own has these methods; the loop, checkpoints, resuming, divergence, devices and progress come with
    `hopfax.training`.
    """

    @abc.abstractmethod
    def check(self, model: PyTree, images: Any, labels: Any) -> None:
        """Raises: `ValueError` where the data do not fit the model."""

    @abc.abstractmethod
    def draw(self, model: PyTree, images: Array, labels: Array, key: Key[Array, ""]) -> PyTree:
        """The examples of a step as the model sees them, with the batch along the leading axis of each array."""

    @abc.abstractmethod
    def gradient(self, model: PyTree, examples: PyTree, step: Int[Array, ""]) -> tuple[PyTree, Sums]:
        """The gradient of the mean loss in the form of the model, and the summands of this batch."""

    @abc.abstractmethod
    def zero(self) -> Sums:
        """The sums before the first batch of an epoch."""

    @abc.abstractmethod
    def means(self, sums: Sums, batches: int, batch_size: int) -> dict[str, Any]:
        """Means over `batches` batches by name, the loss first: shown and logged in training."""

    def progress(self, sums: Sums, batches: int, batch_size: int) -> str:
        """What is shown of the epoch so far while it runs: by default the first three means."""
        means = list(self.means(sums, batches, batch_size).items())[:3]
        return ", ".join(f"{name} {value:.4g}" for name, value in means)

    @abc.abstractmethod
    def saturation(self, model: PyTree, images: Array, labels: Array) -> dict[str, Array]:
        """The fraction of saturated neurons by layer at the equilibria of a batch; empty if nothing can saturate."""

    @abc.abstractmethod
    def explain_failure(self, before: PyTree, after: PyTree, examples: PyTree, step: Int[Array, ""]) -> str:
        """What first became NaN or infinite in the step from model `before` to `after`, in words."""


def check_pixels(images: Any, size: int) -> None:
    """Raises: `ValueError` unless `images` are rows of `size` pixels in [0, 1]."""
    if np.ndim(images) != 2 or np.shape(images)[1] != size:
        raise ValueError(f"`images` have shape {np.shape(images)}; the model needs (examples, {size}).")
    if np.size(images) and not (np.min(images) >= 0 and np.max(images) <= 1):
        raise ValueError(f"`images` lie in [{np.min(images)}, {np.max(images)}]; scale pixels to [0, 1].")
