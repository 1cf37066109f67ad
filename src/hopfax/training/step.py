"""One step of training, and how it is made."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree

from .._internal.checks import require_kind, require_number, require_integer
from ..costs import AbstractCost, StateSquaredError
from ..gradients.base import AdjointStats
from ..method import Method
from ..networks.network import AbstractNetwork
from ..objective import cost_example
from ..parallel.mesh import DATA
from ..relax import all_states
from ..solvers.equilibrium import Status
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
        smoothing: `ε` of the target `(1 - ε) one-hot + ε / classes`, in [0, 1).
    """

    optimiser: optax.GradientTransformation
    method: Method = Method()
    cost: AbstractCost = StateSquaredError()
    clamp: str = eqx.field(static=True, default="input")
    batch_size: int = eqx.field(static=True, default=64)
    shuffle: bool = eqx.field(static=True, default=True)
    smoothing: float = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        require_kind("Trainer.optimiser", self.optimiser, optax.GradientTransformation, "optax.adam(1e-3)")
        require_kind("Trainer.method", self.method, Method, 'hopfax.papers.paper_method("HAM-EO")')
        require_kind("Trainer.cost", self.cost, AbstractCost, "SquaredError()")
        require_integer("Trainer.batch_size", self.batch_size, 1)
        require_number("Trainer.smoothing", self.smoothing, lambda x: 0 <= x < 1, "in [0, 1)")


Step = Callable[[TrainState, Float[Array, "batch pixels"], Int[Array, " batch"]], TrainState]


def make_step(trainer: Trainer, mesh: Mesh | None = None) -> Step:
    """`(state, images, labels) -> state` for one batch; neither checked nor compiled.

    With a mesh, each of its devices takes an equal share of the batch.
    """

    def step(state: TrainState, images: Array, labels: Array) -> TrainState:
        if mesh is None:
            gradient, account = gradient_of(state.model, trainer, images, labels)
        else:
            gradient, account = gradient_over(mesh, state.model, trainer, images, labels)
        weights = eqx.filter(state.model, eqx.is_inexact_array)
        updates, optimiser_state = trainer.optimiser.update(gradient, state.optimiser_state, weights)
        model = eqx.apply_updates(state.model, updates)
        return TrainState(model, optimiser_state, state.key, state.step + 1, state.totals.add(account))

    return step


def gradient_of(
    model: AbstractNetwork,
    trainer: Trainer,
    images: Float[Array, "batch pixels"],
    labels: Int[Array, " batch"],
) -> tuple[PyTree, Totals]:
    """The gradient of a batch's mean cost, in the form of the model, and what is counted of the batch."""
    blank = AdjointStats.blank(len(labels))
    (gradient, stats), account = eqx.filter_grad(_loss, has_aux=True)((model, blank), trainer, images, labels)
    return gradient, eqx.tree_at(lambda t: t.gradient_flagged, account, jnp.sum(stats.flagged > 0))


def gradient_over(
    mesh: Mesh,
    model: AbstractNetwork,
    trainer: Trainer,
    images: Float[Array, "batch pixels"],
    labels: Int[Array, " batch"],
) -> tuple[PyTree, Totals]:
    """`gradient_of` the whole batch as `1/n Σ_devices` of each device's own, the same on all `n` devices.

    Each device solves for its own examples and stops when these have converged: no sweep waits for another device.
    Only the gradient crosses, once a batch. Shares are equal, so the mean of means is the mean.
    """
    dynamic, static = eqx.partition(model, eqx.is_array)

    def part(dynamic, images, labels):
        gradient, account = gradient_of(eqx.combine(dynamic, static), trainer, images, labels)
        return jax.lax.pmean(gradient, DATA), _of_all(account)

    everywhere, shared = PartitionSpec(), PartitionSpec(DATA)
    # Not checked for what varies over devices: else differentiating would sum over devices by itself. A further axis
    # of the mesh, over which the network's layers may be spread, is left to JAX.
    spread = jax.shard_map(
        part,
        mesh=mesh,
        in_specs=(everywhere, shared, shared),
        out_specs=everywhere,
        axis_names={DATA},
        check_vma=False,
    )
    return spread(dynamic, images, labels)


def _of_all(account: Totals) -> Totals:
    """Counts are summed over devices; the loss is a mean."""
    summed = jax.lax.psum(account, DATA)
    return eqx.tree_at(lambda totals: totals.loss, summed, jax.lax.pmean(account.loss, DATA))


def _loss(
    model_and_stats: tuple[AbstractNetwork, AdjointStats], trainer: Trainer, images: Array, labels: Array
) -> tuple[Float[Array, ""], Totals]:
    """Mean cost of a batch, and what is counted of it but for the gradient."""
    (model, stats), method, cost = model_and_stats, trainer.method, trainer.cost
    targets = targets_of(trainer, model, labels)

    def one(image, target, stats):
        clamp = {trainer.clamp: image}
        free = model.condition(clamp)
        value, states, statistics = cost_example(free, {}, cost, target, method, stats)
        states = all_states(model, free, clamp, states)
        return value, cost.scores(states, model.activations(states)), statistics

    values, scores, statistics = jax.vmap(one)(images, targets, stats)
    loss, correct = jnp.mean(values), jnp.argmax(scores, axis=-1) == labels
    unfinished = statistics.status != Status.converged
    counts = jnp.sum(correct), jnp.sum(statistics.steps), jnp.sum(unfinished)
    return loss, Totals(loss, *counts, jnp.zeros((), jnp.int32))


def targets_of(
    trainer: Trainer, model: AbstractNetwork, labels: Int[Array, " batch"]
) -> Float[Array, "batch classes"]:
    """One row for each label, one-hot or smoothed."""
    targets = jax.nn.one_hot(labels, model.layers[trainer.cost.layers[0]].size, dtype=jnp.float32)
    return targets if not trainer.smoothing else optax.smooth_labels(targets, trainer.smoothing)
