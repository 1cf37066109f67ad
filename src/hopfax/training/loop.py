"""The training loop: many steps in one compiled call, and a Python loop over chunks of steps for reporting."""

import time
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PyTree

from .._internal.checks import require_integer
from .._internal.tree import all_finite
from ..parallel.mesh import DATA, place_on_mesh
from .chunk import Chunk
from .loaders import AbstractLoader, DeviceLoader, ShardedLoader
from .trainer import Trainer, TrainState, draw, make_step
from .watch import watched

Images = Float[ArrayLike, "..."]
Labels = Int[ArrayLike, "..."]


def train_chunks(
    trainer: Trainer,
    state: TrainState,
    images: Images,
    labels: Labels,
    *,
    epochs: int,
    per_epoch: int = 20,
    seconds: float = 0.0,
    mesh: Mesh | None = None,
) -> Iterator[Chunk]:
    """Train until `epochs` epochs are done in all; yield after each of about `per_epoch` chunks an epoch.

    A state from the middle of a run continues exactly as if there had been no stop, and the results do not depend on
    `per_epoch`. `seconds` were already spent on the epoch of `state`.

    With a `mesh` of `hopfax.parallel.device_mesh`, each device takes an equal share of each batch, and results differ
    from those of one device by rounding. States are then on all devices, and
    `hopfax.parallel.local_copy` returns them on one.
    With a `device_grid` and a state that began with a network of `shard_layers`, each row takes a share.

    Args: `images` of shape (examples, pixels); `labels` whole numbers of shape (examples,).
    Raises: `ValueError` for a batch size, labels or images that do not fit.
    """
    require_integer("epochs", epochs, 1)
    _check(trainer, state, images, labels, mesh)
    examples = np.shape(labels)[0]
    batches = examples // trainer.batch_size
    length = -(-batches // per_epoch)
    loader = _loader(trainer, images, labels, length, mesh)
    state = _on_devices(state, mesh).copy()
    shardings = None if mesh is None else _shardings(state)
    position, first = int(state.step) % batches, int(state.step) // batches
    for epoch in range(first, epochs):
        order = _order(trainer.shuffle, state.key, jnp.asarray(epoch), examples)
        state = state if position else _on_devices(_new_epoch(trainer, state), mesh)
        inputs = trainer, mesh, shardings, loader.batches(order, position, position)
        state, _ = advance((*inputs, *bounds(position, position)), state)  # compiles
        while position < batches:
            stop, began = min(position + length, batches), time.perf_counter()
            inputs = trainer, mesh, shardings, loader.batches(order, position, stop)
            state, finite = advance((*inputs, *bounds(position, stop)), state)
            position, finite = stop, bool(finite)  # waits
            seconds += time.perf_counter() - began
            yield Chunk(trainer, state, epoch + 1, position, batches, seconds, finite)
        position, seconds = 0, 0.0


def fit(
    trainer: Trainer,
    state: TrainState,
    images: Images,
    labels: Labels,
    *,
    epochs: int,
    mesh: Mesh | None = None,
) -> Iterator[tuple[TrainState, dict[str, float]]]:
    """Train until `epochs` epochs are done in all; yield the state after each, and its means and seconds by name.

    Args and errors as for `train_chunks`. Warns: `TrainingWarning` once where the loss rises over 20 epochs, and once
    where activations saturate; not on several devices.
    """
    chunks = train_chunks(trainer, state, images, labels, epochs=epochs, per_epoch=1, mesh=mesh)
    for chunk in chunks if mesh is not None else watched(chunks, images, labels):
        yield chunk.state.copy(), {**chunk.means(), "seconds": chunk.seconds}


@eqx.filter_jit(donate="all-except-first")
def advance(inputs, state: TrainState) -> tuple[TrainState, Bool[Array, ""]]:
    """Train on the batches from `start` to `stop`. The loop has any length, so one compilation serves all chunks.

    `inputs` are the trainer, a mesh or None, the shardings of the state on it, the batches, `start` and `stop`.
    """
    trainer, mesh, shardings, batches, start, stop = inputs
    step = make_step(trainer, mesh)
    dynamic, static = eqx.partition(state, eqx.is_array)

    def body(i, dynamic):
        after = step(eqx.combine(dynamic, static), *batches.batch(i))
        return eqx.filter(after, eqx.is_array)

    dynamic = jax.lax.fori_loop(start, stop, body, dynamic)
    if mesh is not None:  # the next chunk would be compiled again if the state were elsewhere
        dynamic = jax.tree.map(jax.lax.with_sharding_constraint, dynamic, shardings)
    state = eqx.combine(dynamic, static)
    finite = all_finite((state.model, state.sums))
    return state, finite if mesh is None else eqx.filter_shard(finite, NamedSharding(mesh, PartitionSpec()))


def bounds(start: int, stop: int) -> tuple[Array, Array]:
    """Start and stop of a compiled loop as arrays, since another Python number would compile again."""
    return jnp.asarray(start, jnp.int32), jnp.asarray(stop, jnp.int32)


def first_failure(
    trainer: Trainer,
    state: TrainState,
    images: Images,
    labels: Labels,
    *,
    epochs: int,
    mesh: Mesh | None = None,
) -> tuple[Chunk, str] | None:
    """The first step from `state` on after which a sum or a weight is not finite, and what failed, if there is one.

    The steps are repeated to the last bit, since results do not depend on the chunks.
    """
    steps = train_chunks(trainer, state, images, labels, epochs=epochs, per_epoch=np.size(labels), mesh=mesh)
    before = state
    for chunk in steps:
        if not chunk.finite:
            examples = draw(trainer, before, *_next_batch(trainer, before, images, labels))
            task = trainer.task
            return chunk, task.explain_failure(before.model, chunk.state.model, examples, before.step)
        before = chunk.state.copy()
    return None


def _next_batch(trainer: Trainer, state: TrainState, images: Images, labels: Labels) -> tuple[Array, Array]:
    """The batch of the step after `state`."""
    examples = np.shape(labels)[0]
    epoch, position = divmod(int(state.step), examples // trainer.batch_size)
    order = _order(trainer.shuffle, state.key, jnp.asarray(epoch), examples)
    batches = DeviceLoader(images, labels, trainer.batch_size).batches(order, position, position + 1)
    return batches.batch(jnp.asarray(position))


@eqx.filter_jit
def _order(shuffle: bool, key: Array, epoch: Int[ArrayLike, ""], count: int) -> Int[Array, " examples"]:
    order = jnp.arange(count, dtype=jnp.int32)
    return jr.permutation(jr.fold_in(key, epoch), order) if shuffle else order


def _on_devices(state: TrainState, mesh: Mesh | None) -> TrainState:
    return state if mesh is None else place_on_mesh(state, mesh)


def _shardings(state: TrainState) -> PyTree:
    return jax.tree.map(lambda x: x.sharding, eqx.filter(state, eqx.is_array))


def _new_epoch(trainer: Trainer, state: TrainState) -> TrainState:
    return eqx.tree_at(lambda s: s.sums, state, trainer.task.zero())


def _loader(trainer: Trainer, images, labels, length: int, mesh: Mesh | None) -> AbstractLoader:
    if mesh is None:
        return DeviceLoader(images, labels, trainer.batch_size)
    return ShardedLoader(images, labels, trainer.batch_size, length, mesh)


def _check(trainer: Trainer, state: TrainState, images, labels, mesh: Mesh | None) -> None:
    trainer.task.check(state.model, images, labels)
    if np.iscomplexobj(images):
        raise ValueError("`images` must be real numbers, got complex ones; take the real part.")
    finite = np.isfinite(np.asarray(images)).all(axis=1)
    if not finite.all():
        raise ValueError(f"`images` must be finite; rows {np.flatnonzero(~finite)[:5].tolist()} are not.")
    if np.shape(labels) != np.shape(images)[:1] or len(labels) < trainer.batch_size:
        raise ValueError(
            f"`labels` have shape {np.shape(labels)} for {len(images)} images, `batch_size={trainer.batch_size}`"
            "; give one label for each image, and at least one full batch."
        )
    if mesh is not None and trainer.batch_size % mesh.shape[DATA]:
        raise ValueError(
            f"`batch_size={trainer.batch_size}` cannot be shared evenly by {mesh.shape[DATA]} devices; make it a "
            "multiple."
        )
