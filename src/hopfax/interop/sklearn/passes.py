"""Passes through data of any size, padded to a few shapes so that fits share compiled code."""

import functools as ft
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from ...training.loaders import DeviceBatches
from ...training.loop import advance, bounds
from ...training.optimisers import matrices
from ...training.trainer import Trainer, TrainState

CHUNK = 256  # examples that are relaxed at a time
ROWS = 1024  # data are padded to a multiple of this number of rows


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
    images: Float[np.ndarray, "examples features"],
    labels: Int[np.ndarray, " examples"],
    order: Int[np.ndarray, " examples"],
) -> tuple[TrainState, float | None]:
    """The state after one pass through the examples in `order`, and the mean cost.

    The last batch is filled up with the first examples. The cost is None if it or a weight is not finite.
    """
    count, size = len(order), trainer.batch_size
    batches, rows = -(-count // size), -(-count // ROWS) * ROWS
    filled = np.resize(order, batches * size)
    inputs = [np.asarray(images, np.float32), np.asarray(labels, np.int32), filled.astype(np.int32)]
    lengths = rows, rows, -(-rows // size) * size
    arrays = [jnp.asarray(_padded(x, length)) for x, length in zip(inputs, lengths, strict=True)]
    examples = DeviceBatches(arrays[0], arrays[1], arrays[2], size)
    state, finite = advance((trainer, None, None, examples, *bounds(0, batches)), state.copy())
    return state, float(state.sums.loss) / batches if finite else None


def in_chunks(
    function: Callable[[np.ndarray], np.ndarray], rows: Float[np.ndarray, "examples features"]
) -> np.ndarray:
    """`function(rows)`, computed for `CHUNK` rows at a time; the last chunk is padded with zeros."""
    starts = range(0, len(rows), CHUNK)
    results = [function(_padded(rows[start : start + CHUNK], CHUNK)) for start in starts]
    return np.concatenate(results)[: len(rows)]


def _adam(learning_rate, weight_decay) -> optax.GradientTransformation:
    return optax.adamw(learning_rate, weight_decay=weight_decay, mask=matrices)


def _padded(array: np.ndarray, length: int) -> np.ndarray:
    """`array` padded with zero rows to `length`."""
    return np.pad(array, [(0, length - len(array)), *[(0, 0)] * (array.ndim - 1)])
