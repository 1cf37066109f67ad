"""Warnings of a run that does not learn: a rising loss, and saturated activations."""

import warnings
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from .chunk import Chunk
from .task import AbstractTask

CHUNKS = 20  # about an epoch
SMOOTHED = 4  # chunks whose mean loss is compared: a single one of small batches can be low by chance
LEAST_RISE = 0.1  # relative to the lowest loss
LEAST_FALL = 0.1  # relative to the first loss: a run whose loss fell by so much learns
SATURATED = 0.99  # fraction of the neurons of each layer

REMEDY = (
    "Lower the learning rate, or take other neurons (rectified hidden layers, a linear or softmax output) or "
    "smaller initial weights."
)


class TrainingWarning(UserWarning):
    """A run does not learn."""


class LossWatch:
    """The mean loss of each chunk of a run, at equilibrium.

    `update` warns once where all of the last 20 chunks, about an epoch, have a loss above the middle between the first
    and the lowest loss, and above the lowest one by a tenth. The lowest is a mean of four chunks.
    """

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.warned = False
        self._sum, self._batch = 0.0, 0

    def update(self, chunk: Chunk) -> None:
        if chunk.batch <= self._batch:
            self._sum, self._batch = 0.0, 0
        total = float(next(iter(chunk.means().values()))) * chunk.batch
        steps = chunk.batch - self._batch
        self.losses.append((total - self._sum) / steps)
        self._sum, self._batch = total, chunk.batch
        if not self.warned and self.rises:
            self._warn(chunk)

    @property
    def rises(self) -> bool:
        """Whether the last chunks lost at least half of what was learned before, or began to lose at once."""
        before, last = self.losses[:-CHUNKS], self.losses[-CHUNKS:]
        if len(before) < SMOOTHED:
            return False
        lowest = self._lowest(before)
        return min(last) > lowest + max((before[0] - lowest) / 2, LEAST_RISE * abs(lowest))

    @staticmethod
    def _lowest(losses: list[float]) -> float:
        """The lowest mean of consecutive chunks."""
        return min(sum(losses[i : i + SMOOTHED]) / SMOOTHED for i in range(len(losses) - SMOOTHED + 1))

    @property
    def falls(self) -> bool:
        """Whether the loss of the last chunk is below the first one by a tenth."""
        first, last = self.losses[0], self.losses[-1]
        return last < first - LEAST_FALL * abs(first)

    def _warn(self, chunk: Chunk) -> None:
        self.warned = True
        last = self.losses[-CHUNKS:]
        warnings.warn(
            f"the loss at equilibrium has risen: it was {self._lowest(self.losses):.4g} at its lowest, and its mean is "
            f"{sum(last) / len(last):.4g} over the last {len(last)} chunks of steps, up to epoch {chunk.epoch}, batch "
            f"{chunk.batch} of {chunk.batches}. {REMEDY}",
            TrainingWarning,
            stacklevel=2,
        )


def watched(chunks: Iterator[Chunk], images: Any, labels: Any) -> Iterator[Chunk]:
    """The same chunks, with at most one warning of a rising loss and one of saturated activations.

    Saturation is looked for at the end of an epoch, on its first batch in the order of the data, where the loss
    has not fallen by a tenth, and where the run has one device.
    """
    watch, saturated = LossWatch(), False
    for chunk in chunks:
        if chunk.finite:
            watch.update(chunk)
            if chunk.ends_epoch and not saturated and not watch.falls:
                saturated = _warn_if_saturated(chunk, images, labels)
        yield chunk


@eqx.filter_jit
def _saturation(task: AbstractTask, model: PyTree, images: Array, labels: Array) -> dict[str, Array]:
    return task.saturation(model, images, labels)


def _warn_if_saturated(chunk: Chunk, images: Any, labels: Any) -> bool:
    trainer, model = chunk.trainer, chunk.state.model
    size = trainer.batch_size
    batch = jnp.asarray(images[:size], jnp.float32), jnp.asarray(labels[:size])
    fractions = {name: float(x) for name, x in _saturation(trainer.task, model, *batch).items()}
    if not fractions or min(fractions.values()) < SATURATED:
        return False
    warnings.warn(
        f"activations saturate at the equilibria of a batch after epoch {chunk.epoch}: in the layers "
        f"{', '.join(fractions)}, {min(fractions.values()):.0%} or more of the neurons have a slope below a "
        f"hundredth of their largest, so gradients vanish. {REMEDY}",
        TrainingWarning,
        stacklevel=3,
    )
    return True
