"""The training loop: many steps in one compiled call, a Python loop over blocks of them only to report."""

import time
from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PyTree

from .._internal.checks import require_whole
from .._internal.tree import all_finite
from ..parallel.mesh import DATA, on_mesh
from .loaders import AbstractSource, Resident, Spread
from .metrics import EpochMetrics
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
    metrics: EpochMetrics | None = None  # of the epoch it ends, where `train` tells of it

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
    mesh: Mesh | None = None,
) -> Iterator[tuple[TrainState, EpochMetrics]]:
    """Train until `epochs` epochs are done in all, and yield the state and the metrics of each.

    Args: `images` of shape (examples, pixels); `labels` whole numbers of shape (examples,); `mesh` as for `blocks`.
    A state from the middle of a run goes on from there, exactly as if there had been no stop.
    Raises: `ValueError` for a batch size, labels or images that do not fit.
    """
    for block in blocks(trainer, state, images, labels, epochs=epochs, per_epoch=1, mesh=mesh):
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
    mesh: Mesh | None = None,
) -> Iterator[Block]:
    """As `fit`, but yield after each of about `per_epoch` blocks an epoch.

    The results do not depend on `per_epoch`. `seconds` were already spent on the epoch in which `state` is.

    With a `mesh`, as `hopfax.parallel.mesh.device_mesh` makes it, each device takes an equal share of each batch; results
    differ from those of one device by rounding. States are then on all devices; `hopfax.parallel.mesh.local` gives them on
    one. With a `device_grid`, and a state begun with a network of `shard_layers`, each row takes a share.
    """
    require_whole("epochs", epochs, 1)
    _check(trainer, state, images, labels, mesh)
    examples = np.shape(labels)[0]
    batches = examples // trainer.batch_size
    length = -(-batches // per_epoch)
    source = _source(trainer, images, labels, length, mesh)
    state = _placed(state, mesh).copy()
    places = None if mesh is None else _places(state)
    position, first = int(state.step) % batches, int(state.step) // batches
    for epoch in range(first, epochs):
        order = _order(trainer.shuffle, state.key, jnp.asarray(epoch), examples)
        state = state if position else _placed(_new_epoch(state), mesh)
        inputs = trainer, mesh, places, source.feed(order, position, position)
        state, _ = advance((*inputs, *bounds(position, position)), state)  # compiles
        while position < batches:
            stop, began = min(position + length, batches), time.perf_counter()
            inputs = trainer, mesh, places, source.feed(order, position, stop)
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
    """The batches from `start` to `stop` of a feed. A loop of any length: one compilation serves all.

    `inputs` are the trainer, a mesh or None, where on it the arrays of the state are, the feed, `start` and `stop`.
    """
    trainer, mesh, places, feed, start, stop = inputs
    step = make_step(trainer, mesh)
    dynamic, static = eqx.partition(state, eqx.is_array)

    def body(i, dynamic):
        after = step(eqx.combine(dynamic, static), *feed.batch(i))
        return eqx.filter(after, eqx.is_array)

    dynamic = jax.lax.fori_loop(start, stop, body, dynamic)
    if mesh is not None:  # else the next block might find the state elsewhere, and be compiled anew
        dynamic = jax.tree.map(jax.lax.with_sharding_constraint, dynamic, places)
    state = eqx.combine(dynamic, static)
    finite = all_finite((state.model, state.totals))
    return state, finite if mesh is None else eqx.filter_shard(finite, NamedSharding(mesh, PartitionSpec()))


@eqx.filter_jit
def _order(shuffle: bool, key: Array, epoch: Int[ArrayLike, ""], count: int) -> Int[Array, " examples"]:
    order = jnp.arange(count, dtype=jnp.int32)
    return jr.permutation(jr.fold_in(key, epoch), order) if shuffle else order


def bounds(start: int, stop: int) -> tuple[Array, Array]:
    """Where a compiled loop starts and stops, as arrays: a change of a Python number would compile again."""
    return jnp.asarray(start, jnp.int32), jnp.asarray(stop, jnp.int32)


def _placed(state: TrainState, mesh: Mesh | None) -> TrainState:
    return state if mesh is None else on_mesh(state, mesh)


def _places(state: TrainState) -> PyTree:
    """The shardings of its arrays."""
    return jax.tree.map(lambda x: x.sharding, eqx.filter(state, eqx.is_array))


def _new_epoch(state: TrainState) -> TrainState:
    return eqx.tree_at(lambda s: s.totals, state, Totals.zero())


def _source(trainer: Trainer, images, labels, length: int, mesh: Mesh | None) -> AbstractSource:
    """On the device, once; or for a mesh on the host, where each process takes its own share."""
    if mesh is None:
        images, labels = jnp.asarray(images, jnp.float32), jnp.asarray(labels, jnp.int32)
        return Resident(images, labels, trainer.batch_size)
    images, labels = np.asarray(images, np.float32), np.asarray(labels, np.int32)
    return Spread(images, labels, trainer.batch_size, length, mesh)


def _check_values(images: Float[ArrayLike, "..."]) -> None:
    """Raises: `ValueError` where they are complex, or not finite."""
    if np.iscomplexobj(images):
        raise ValueError("`images` must be real numbers, got complex ones; take the real part.")
    finite = np.isfinite(np.asarray(images)).all(axis=1)
    if not finite.all():
        raise ValueError(f"`images` must be finite; rows {np.flatnonzero(~finite)[:5].tolist()} are not.")


def _check(trainer: Trainer, state: TrainState, images, labels, mesh: Mesh | None) -> None:
    given, read = state.model.layers.get(trainer.clamp), state.model.layers.get(trainer.cost.layers[0])
    if given is None or read is None:
        raise ValueError(
            f"`Trainer(clamp={trainer.clamp!r}, cost={trainer.cost})` names a layer that the model does not "
            f"have; its layers are {list(state.model.order)}."
        )
    if np.ndim(images) != 2 or np.shape(images)[1] != given.size:
        raise ValueError(
            f"`images` have shape {np.shape(images)}; layer {trainer.clamp!r} needs (examples, {given.size})."
        )
    _check_values(images)
    if np.shape(labels) != np.shape(images)[:1] or len(labels) < trainer.batch_size:
        raise ValueError(
            f"`labels` have shape {np.shape(labels)} for {len(images)} images, `batch_size={trainer.batch_size}`"
            "; give one label for each image, and at least one full batch."
        )
    kind = getattr(labels, "dtype", None)
    if kind is None or not np.issubdtype(kind, np.integer):
        raise ValueError(f"`labels` must be an array of whole numbers, got {kind or type(labels).__name__}.")
    low, high = int(np.min(labels)), int(np.max(labels))
    if low < 0 or high >= read.size:
        raise ValueError(
            f"`labels` lie in [{low}, {high}]; layer {trainer.cost.layers[0]!r} has {read.size} neurons."
        )
    if mesh is not None and trainer.batch_size % mesh.shape[DATA]:
        raise ValueError(
            f"`batch_size={trainer.batch_size}` cannot be shared evenly by {mesh.shape[DATA]} devices; make it a "
            "multiple."
        )
