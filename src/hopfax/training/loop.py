"""The training loop: many steps in one compiled call, a Python loop over blocks of them only to report."""

import time
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from .._tree import all_finite
from ..metrics import EpochMetrics
from .state import Totals, TrainState
from .step import Trainer, make_step


class Block(eqx.Module):
    """Where a run stands after a block of steps.

    `state` is good until the next block begins, which reuses its memory; `TrainState.copy` keeps it.
    """

    state: TrainState
    epoch: int  # from 1
    batch: int  # batches done of this epoch
    batches: int  # in an epoch
    seconds: float  # spent on this epoch
    finite: bool  # loss and weights

    @property
    def ends_epoch(self) -> bool:
        return self.batch == self.batches


def fit(
    trainer: Trainer,
    state: TrainState,
    images: Float[ArrayLike, "..."],
    labels: Int[ArrayLike, "..."],
    *,
    epochs: int,
) -> Iterator[tuple[TrainState, EpochMetrics]]:
    """Train until `epochs` epochs are done in all, and yield the state and the metrics of each.

    Args: `images` of shape (examples, pixels); `labels` whole numbers of shape (examples,).
    A state from the middle of a run goes on from there, exactly as if there had been no stop.
    Raises: `ValueError` for a batch size, labels or images that do not fit.
    """
    for block in blocks(trainer, state, images, labels, epochs=epochs, per_epoch=1):
        yield block.state.copy(), epoch_metrics(block, trainer.batch_size)


def blocks(
    trainer: Trainer,
    state: TrainState,
    images: Float[ArrayLike, "..."],
    labels: Int[ArrayLike, "..."],
    *,
    epochs: int,
    per_epoch: int = 20,
    seconds: float = 0.0,
) -> Iterator[Block]:
    """As `fit`, but yield after each of about `per_epoch` blocks an epoch.

    The results do not depend on `per_epoch`. `seconds` were already spent on the epoch in which `state` is.
    """
    images, labels = _checked(trainer, state, images, labels)
    batches = len(labels) // trainer.batch_size
    length = -(-batches // per_epoch)
    state = state.copy()
    position, first = int(state.step) % batches, int(state.step) // batches
    for epoch in range(first, epochs):
        order = _order(trainer.shuffle, state.key, jnp.asarray(epoch), len(labels))
        state = state if position else _new_epoch(state)
        inputs = (trainer, images, labels, order)
        state, _ = advance((*inputs, *bounds(position, position)), state)  # compiles
        while position < batches:
            stop, began = min(position + length, batches), time.perf_counter()
            state, finite = advance((*inputs, *bounds(position, stop)), state)
            position, finite = stop, bool(finite)  # waits
            seconds += time.perf_counter() - began
            yield Block(state, epoch + 1, position, batches, seconds, finite)
        position, seconds = 0, 0.0


def epoch_metrics(block: Block, batch_size: int) -> EpochMetrics:
    """The means over the epoch that ends with `block`."""
    totals, examples = block.state.totals, block.batch * batch_size
    return EpochMetrics(
        epoch=block.epoch,
        step=int(block.state.step),
        loss=float(totals.loss) / block.batch,
        train_accuracy=int(totals.correct) / examples,
        mean_steps=int(totals.steps) / examples,
        did_not_converge=int(totals.did_not_converge),
        seconds=block.seconds,
        gradient_flagged=int(totals.gradient_flagged),
    )


@eqx.filter_jit(donate="all-except-first")
def advance(inputs, state: TrainState) -> tuple[TrainState, Bool[Array, ""]]:
    """The batches from `start` to `stop` of an epoch. A loop of any length: one compilation serves all."""
    trainer, images, labels, order, start, stop = inputs
    step, size = make_step(trainer), trainer.batch_size
    dynamic, static = eqx.partition(state, eqx.is_array)

    def body(i, dynamic):
        chosen = jax.lax.dynamic_slice(order, (i * size,), (size,))
        after = step(eqx.combine(dynamic, static), images[chosen], labels[chosen])
        return eqx.filter(after, eqx.is_array)

    state = eqx.combine(jax.lax.fori_loop(start, stop, body, dynamic), static)
    return state, all_finite((state.model, state.totals))


@eqx.filter_jit
def _order(shuffle: bool, key: Array, epoch: Int[ArrayLike, ""], count: int) -> Int[Array, " examples"]:
    order = jnp.arange(count, dtype=jnp.int32)
    return jr.permutation(jr.fold_in(key, epoch), order) if shuffle else order


def bounds(start: int, stop: int) -> tuple[Array, Array]:
    """Where a compiled loop starts and stops, as arrays: a change of a Python number would compile again."""
    return jnp.asarray(start, jnp.int32), jnp.asarray(stop, jnp.int32)


def _new_epoch(state: TrainState) -> TrainState:
    return eqx.tree_at(lambda s: s.totals, state, Totals.zero())


def _checked(trainer: Trainer, state: TrainState, images, labels) -> tuple[Array, Array]:
    """Both on the device, once."""
    images, labels = jnp.asarray(images, jnp.float32), jnp.asarray(labels, jnp.int32)
    given, read = state.model.layers.get(trainer.clamp), state.model.layers.get(trainer.cost.layer)
    if given is None or read is None:
        raise ValueError(
            f"`Trainer(clamp={trainer.clamp!r}, cost={trainer.cost})` names a layer that the model does not "
            f"have; its layers are {list(state.model.order)}."
        )
    if images.ndim != 2 or images.shape[1] != given.size:
        raise ValueError(
            f"`images` have shape {images.shape}; layer {trainer.clamp!r} needs (examples, {given.size})."
        )
    if labels.shape != images.shape[:1] or len(labels) < trainer.batch_size:
        raise ValueError(
            f"`labels` have shape {labels.shape} for {len(images)} images, `batch_size={trainer.batch_size}`"
            "; give one label for each image, and at least one full batch."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= read.size:
        raise ValueError(
            f"`labels` lie in [{low}, {high}]; layer {trainer.cost.layer!r} has {read.size} neurons."
        )
    return images, labels
