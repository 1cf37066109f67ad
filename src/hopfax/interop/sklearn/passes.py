"""Passes through data of any size, in shapes that few fits differ in, so that compiled code is shared."""

import functools as ft
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from ...training.loaders import Resident
from ...training.loop import advance, bounds
from ...training.optimisers import matrices
from ...training.state import TrainState
from ...training.step import Trainer

CHUNK = 256  # examples of which equilibria are found at once
ROWS = 1024  # data are filled up to a multiple of it


@ft.cache
def optimiser() -> optax.GradientTransformation:
    """Adam whose rate and weight decay are arrays of its state: other values need no other code."""
    return optax.inject_hyperparams(_adam, hyperparam_dtype=jnp.float32)(learning_rate=0.0, weight_decay=0.0)


def with_rates(state: TrainState, learning_rate: float, weight_decay: float) -> TrainState:
    """The state with these rates in its optimiser's."""
    where = lambda s: [s.optimiser_state.hyperparams[name] for name in ("learning_rate", "weight_decay")]
    return eqx.tree_at(where, state, [jnp.asarray(x, jnp.float32) for x in (learning_rate, weight_decay)])


def one_pass(
    trainer: Trainer,
    state: TrainState,
    images: Float[np.ndarray, "examples features"],
    labels: Int[np.ndarray, " examples"],
    order: Int[np.ndarray, " examples"],
) -> tuple[TrainState, float | None]:
    """The state after all examples in `order`, the last batch filled up with the first of them, and the mean cost.

    None for the cost if it or a weight is not finite.
    """
    count, size = len(order), trainer.batch_size
    batches, rows = -(-count // size), -(-count // ROWS) * ROWS
    filled = np.resize(order, batches * size)
    inputs = [np.asarray(images, np.float32), np.asarray(labels, np.int32), filled.astype(np.int32)]
    lengths = rows, rows, -(-rows // size) * size
    arrays = [jnp.asarray(_longer(x, length)) for x, length in zip(inputs, lengths, strict=True)]
    feed = Resident(arrays[0], arrays[1], size, arrays[2])
    state, finite = advance((trainer, None, None, feed, *bounds(0, batches)), state.copy())
    return state, float(state.totals.loss) / batches if finite else None


def in_chunks(
    function: Callable[[np.ndarray], np.ndarray], rows: Float[np.ndarray, "examples features"]
) -> np.ndarray:
    """`function` of the rows, called with `CHUNK` of them at a time, the last filled up with zeros."""
    starts = range(0, len(rows), CHUNK)
    parts = [function(_longer(rows[start : start + CHUNK], CHUNK)) for start in starts]
    return np.concatenate(parts)[: len(rows)]


def _adam(learning_rate, weight_decay) -> optax.GradientTransformation:
    return optax.adamw(learning_rate, weight_decay=weight_decay, mask=matrices)


def _longer(array: np.ndarray, length: int) -> np.ndarray:
    """With zeros behind it."""
    return np.pad(array, [(0, length - len(array)), *[(0, 0)] * (array.ndim - 1)])
