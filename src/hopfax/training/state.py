"""What training changes, all in one object: saved, it is a checkpoint."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from .._internal.checks import require_key
from ..networks.network import AbstractNetwork


class Totals(eqx.Module):
    """Sums over the batches of an epoch so far."""

    loss: Float[Array, ""]  # of the batches' mean costs
    correct: Int[Array, ""]  # examples
    steps: Int[Array, ""]  # updates made in relaxing, over all examples
    did_not_converge: Int[Array, ""]  # examples
    gradient_flagged: Int[Array, ""]  # examples whose backward or nudged solves missed their tolerance

    @staticmethod
    def zero() -> "Totals":
        counts = (jnp.zeros((), jnp.int32) for _ in range(4))  # not one array for all: each memory is reused
        return Totals(jnp.zeros((), jnp.float32), *counts)

    def add(self, other: "Totals") -> "Totals":
        return jax.tree.map(lambda a, b: a + b.astype(a.dtype), self, other)


class TrainState(eqx.Module):
    """A network in training. `step` counts batches since the start; `key` shuffles, folded with the epoch."""

    model: AbstractNetwork
    optimiser_state: PyTree
    key: Key[Array, ""]
    step: Int[Array, ""]
    totals: Totals

    @staticmethod
    def begin(
        model: AbstractNetwork, optimiser: optax.GradientTransformation, *, key: Key[Array, ""]
    ) -> "TrainState":
        """The state before the first step. Its arrays are copies: training reuses their memory."""
        require_key("TrainState.begin", key)
        optimiser_state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))
        state = TrainState(model, optimiser_state, key, jnp.zeros((), jnp.int32), Totals.zero())
        return state.copy()

    def copy(self) -> "TrainState":
        """The same in memory of its own."""
        return jax.tree.map(lambda x: jnp.copy(x) if eqx.is_array(x) else x, self)
