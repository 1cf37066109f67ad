"""A trainer, the state that it changes, and one step of training."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, Key, PyTree

from .._internal.checks import require_integer, require_key, require_kind
from ..parallel.mesh import DATA
from .task import AbstractTask, Sums

DRAWS = (
    2**31 - 1
)  # folded into the key for what is drawn at each step; the order of an epoch folds in the epoch's number


class Trainer(eqx.Module):
    """How to train a model.

    Args:
        optimiser: any of optax.
        task: what is trained, `Classification(...)` for example.
        batch_size: the last batch of an epoch is dropped if it is not full.
        shuffle: whether each epoch has its own order of the examples.
    """

    optimiser: optax.GradientTransformation
    task: AbstractTask
    batch_size: int = eqx.field(static=True, default=64)
    shuffle: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        require_kind("Trainer.optimiser", self.optimiser, optax.GradientTransformation, "optax.adam(1e-3)")
        require_kind("Trainer.task", self.task, AbstractTask, "Classification()")
        require_integer("Trainer.batch_size", self.batch_size, 1)


def batches_per_epoch(examples: int, batch_size: int) -> int:
    """How many full batches the training examples make. Raises: `ValueError` if they fill none."""
    if batch_size > examples:
        raise ValueError(
            f"`batch_size={batch_size}` is more than the {examples} training examples; lower it."
        )
    return examples // batch_size


class TrainState(eqx.Module):
    """A model in training: saved, it is a checkpoint.

    All that is random in training follows from `key`, the epoch and `step`, the number of batches so far.
    """

    model: PyTree
    optimiser_state: PyTree
    key: Key[Array, ""]
    step: Int[Array, ""]
    sums: Sums  # over the batches of the epoch so far

    @staticmethod
    def begin(model: PyTree, trainer: Trainer, *, key: Key[Array, ""]) -> "TrainState":
        """The state before the first step. Its arrays are copies, because training reuses their memory."""
        require_key("TrainState.begin", key)
        optimiser_state = trainer.optimiser.init(eqx.filter(model, eqx.is_inexact_array))
        step = jnp.zeros((), jnp.int32)
        return TrainState(model, optimiser_state, key, step, trainer.task.zero()).copy()

    def copy(self) -> "TrainState":
        """The same state in memory of its own."""
        return jax.tree.map(lambda x: jnp.copy(x) if eqx.is_array(x) else x, self)


Step = Callable[[TrainState, Float[Array, "batch pixels"], Int[Array, " batch"]], TrainState]


def make_step(trainer: Trainer, mesh: Mesh | None = None) -> Step:
    """`(state, images, labels) -> state` for one batch, neither checked nor compiled.

    With a mesh, each of its devices takes an equal share of the batch.
    """

    def step(state: TrainState, images: Array, labels: Array) -> TrainState:
        examples = draw(trainer, state, images, labels)
        gradient, sums = gradient_over(mesh, trainer.task, state.model, examples, state.step)
        weights = eqx.filter(state.model, eqx.is_inexact_array)
        updates, optimiser_state = trainer.optimiser.update(gradient, state.optimiser_state, weights)
        model = eqx.apply_updates(state.model, updates)
        return TrainState(model, optimiser_state, state.key, state.step + 1, _add(state.sums, sums))

    return step


def draw(trainer: Trainer, state: TrainState, images: Array, labels: Array) -> PyTree:
    """The examples of the step after `state`, as the model sees them."""
    key = jr.fold_in(jr.fold_in(state.key, DRAWS), state.step)
    return trainer.task.draw(state.model, images, labels, key)


def gradient_over(
    mesh: Mesh | None, task: AbstractTask, model: PyTree, examples: PyTree, step: Int[Array, ""]
) -> tuple[PyTree, Sums]:
    """The gradient of the whole batch as `1/n Σ_devices` of each device's own, the same on all `n` devices.

    Each device solves for its own examples and stops when these have converged: no sweep waits for another device.
    Only the gradient is exchanged, once for each batch. Shares are equal, so the mean of means is the mean.
    """
    if mesh is None:
        return task.gradient(model, examples, step)
    dynamic, static = eqx.partition(model, eqx.is_array)

    def share(dynamic, examples, step):
        gradient, sums = task.gradient(eqx.combine(dynamic, static), examples, step)
        return jax.lax.pmean(gradient, DATA), jax.tree.map(_over_devices, sums)

    everywhere = PartitionSpec()
    # Varying values are not checked: JAX would otherwise sum gradients over devices by itself. JAX handles a further
    # axis of the mesh, over which the layers of a network may be spread.
    over_devices = jax.shard_map(
        share,
        mesh=mesh,
        in_specs=(everywhere, PartitionSpec(DATA), everywhere),
        out_specs=everywhere,
        axis_names={DATA},
        check_vma=False,
    )
    return over_devices(dynamic, examples, step)


def _over_devices(summand: Array) -> Array:
    """Counts are summed over devices, means are averaged."""
    mean = jnp.issubdtype(summand.dtype, jnp.floating)
    return jax.lax.pmean(summand, DATA) if mean else jax.lax.psum(summand, DATA)


def _add(sums: Sums, summands: Sums) -> Sums:
    return jax.tree.map(lambda a, b: a + b.astype(a.dtype), sums, summands)
