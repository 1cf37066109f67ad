"""Passes through data of any size, padded to a few shapes so that fits share compiled code."""

import functools as ft
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int
from scipy.sparse import issparse

from ...training.loaders import DeviceBatches
from ...training.loop import advance, bounds
from ...training.optimisers import matrices
from ...training.trainer import Trainer, TrainState

CHUNK = 256  # examples that are relaxed at a time
ROWS = 1024  # data are padded to a multiple of this number of rows
SPARSE_ROWS = 8192  # rows of a sparse matrix that are dense at a time

Rows = Any
"""A matrix of features with examples in rows: a NumPy array, or a sparse matrix in CSR format."""


@ft.cache
def optimiser() -> optax.GradientTransformation:
    """Adam with the learning rate and the weight decay in its state, so that other values are not compiled again."""
    return optax.inject_hyperparams(_adam, hyperparam_dtype=jnp.float32)(learning_rate=0.0, weight_decay=0.0)


def with_rates(state: TrainState, learning_rate: float, weight_decay: float) -> TrainState:
    """The state with this learning rate and weight decay in its optimiser state."""
    where = lambda s: [s.optimiser_state.hyperparams[name] for name in ("learning_rate", "weight_decay")]
    return eqx.tree_at(where, state, [jnp.asarray(x, jnp.float32) for x in (learning_rate, weight_decay)])


def one_pass(
    trainer: Trainer,
    state: TrainState,
    inputs: Rows,
    labels: Float[np.ndarray, "examples columns"],
    order: Int[np.ndarray, " examples"],
) -> tuple[TrainState, float | None]:
    """The state after one pass through the examples in `order`, and the mean cost, by `WeightedLoss`.

    The last batch is filled up with the first examples. The cost is None if it or a weight is not finite.
    """
    size = trainer.batch_size
    batches = -(-len(order) // size)
    for examples, count in _on_device(inputs, labels, np.resize(order, batches * size), size):
        state, finite = advance((trainer, None, None, examples, *bounds(0, count)), state.copy())
        if not finite:
            return state, None
    return state, float(state.sums) / batches


def in_chunks(function: Callable[[np.ndarray], np.ndarray], rows: Rows) -> np.ndarray:
    """`function(rows)`, computed for `CHUNK` rows at a time; the last chunk is padded with zeros."""
    starts = range(0, rows.shape[0], CHUNK)
    results = [function(_padded(_dense(rows[start : start + CHUNK]), CHUNK)) for start in starts]
    return np.concatenate(results)[: rows.shape[0]]


def _on_device(
    inputs: Rows, labels: np.ndarray, order: np.ndarray, size: int
) -> Iterator[tuple[DeviceBatches, int]]:
    """The batches of a pass and their number: all at once, or a few thousand rows of a sparse matrix at a time."""
    if not issparse(inputs):
        yield _batches(inputs, labels, order, size, len(inputs)), len(order) // size
        return
    length = min(len(order), -(-SPARSE_ROWS // size) * size)
    for start in range(0, len(order), length):
        rows = order[start : start + length]
        places = np.arange(len(rows))
        yield _batches(_dense(inputs[rows]), labels[rows], places, size, length), len(rows) // size


def _batches(
    inputs: np.ndarray, labels: np.ndarray, order: np.ndarray, size: int, length: int
) -> DeviceBatches:
    """Batches of `size` examples in `order`, from arrays padded as if there were `length` examples."""
    rows = -(-length // ROWS) * ROWS
    images, targets = (jnp.asarray(_padded(x.astype(np.float32), rows)) for x in (inputs, labels))
    places = _padded(order.astype(np.int32), -(-rows // size) * size)
    return DeviceBatches(images, targets, jnp.asarray(places), size)


def _adam(learning_rate, weight_decay) -> optax.GradientTransformation:
    return optax.adamw(learning_rate, weight_decay=weight_decay, mask=matrices)


def _dense(rows: Rows) -> np.ndarray:
    return rows.toarray() if issparse(rows) else rows


def _padded(array: np.ndarray, length: int) -> np.ndarray:
    """`array` padded with zero rows to `length`."""
    return np.pad(array, [(0, length - len(array)), *[(0, 0)] * (array.ndim - 1)])
