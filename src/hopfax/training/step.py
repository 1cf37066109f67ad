"""One step of training, and how it is made."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from ..costs import AbstractCost, StateSquaredError
from ..equilibrium import Status
from ..gradients.base import Report
from ..ham import HAM
from ..methods import Method
from ..objective import objective_one
from ..solvers.loop import Stopping
from .state import Totals, TrainState


class Trainer(eqx.Module):
    """How to train a classifier: layer `clamp` is held at the image, `cost` compares with the one-hot label.

    Args:
        optimiser: any of optax.
        method: how the network is relaxed and differentiated.
        cost: of one example; the batch's loss is the mean.
        clamp: the layer that is given the image.
        batch_size: the last batch of an epoch is dropped if it is not full.
        shuffle: whether each epoch has its own order of the examples.
    """

    optimiser: optax.GradientTransformation
    method: Method = Method()
    cost: AbstractCost = StateSquaredError()
    clamp: str = eqx.field(static=True, default="input")
    batch_size: int = eqx.field(static=True, default=64)
    shuffle: bool = eqx.field(static=True, default=True)


Step = Callable[[TrainState, Float[Array, "batch pixels"], Int[Array, " batch"]], TrainState]


def make_step(trainer: Trainer) -> Step:
    """`(state, images, labels) -> state` for one batch; neither checked nor compiled."""

    def step(state: TrainState, images: Array, labels: Array) -> TrainState:
        gradient, account = eqx.filter_grad(_loss, has_aux=True)(state.model, trainer, images, labels)
        weights = eqx.filter(state.model, eqx.is_inexact_array)
        updates, optimiser_state = trainer.optimiser.update(gradient, state.optimiser_state, weights)
        model = eqx.apply_updates(state.model, updates)
        return TrainState(model, optimiser_state, state.key, state.step + 1, state.totals.add(account))

    return step


def _loss(model: HAM, trainer: Trainer, images: Array, labels: Array) -> tuple[Float[Array, ""], Totals]:
    """Mean cost of a batch, and what is counted of it."""
    method, cost = trainer.method, trainer.cost
    stopping = Stopping.of_arrays(method.rtol, method.atol, method.max_steps)
    targets = jax.nn.one_hot(labels, model.layers[cost.layer].size, dtype=images.dtype)

    def one(image, target):
        return objective_one(
            model, {trainer.clamp: image}, {}, cost, target, method, stopping, Report.blank()
        )

    values, found = jax.vmap(one)(images, targets)
    scores = jax.vmap(cost.scores)(found.state, found.activation)
    loss, correct = jnp.mean(values), jnp.argmax(scores, axis=-1) == labels
    unfinished = found.statistics.status != Status.converged
    return loss, Totals(loss, jnp.sum(correct), jnp.sum(found.statistics.steps), jnp.sum(unfinished))
