"""Loaders: where a compiled loop finds its batches, on one device or shared out over several."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from ..parallel.mesh import DATA

Labels = Int[Array, " batch"] | Float[Array, "batch columns"]
Batch = tuple[Float[Array, "batch pixels"], Labels]


class AbstractBatches(eqx.Module):
    """Some batches of an epoch, as a compiled loop reads them."""

    @abc.abstractmethod
    def batch(self, i: Int[Array, ""]) -> Batch:
        """Images and labels of batch `i` of the epoch."""


class AbstractLoader(abc.ABC):
    """The examples of a run."""

    @abc.abstractmethod
    def batches(self, order: Int[Array, " examples"], start: int, stop: int) -> AbstractBatches:
        """The batches from `start` to `stop` of an epoch that takes the examples in this order."""


class DeviceBatches(AbstractBatches):
    """Batches that are gathered on the device from all examples."""

    images: Float[Array, "examples pixels"]
    labels: Int[Array, " examples"] | Float[Array, "examples columns"]
    order: Int[Array, " examples"]
    batch_size: int = eqx.field(static=True)

    def batch(self, i) -> Batch:
        chosen = jax.lax.dynamic_slice(self.order, (i * self.batch_size,), (self.batch_size,))
        return self.images[chosen], self.labels[chosen]


class DeviceLoader(AbstractLoader):
    """All examples are on one device."""

    def __init__(self, images, labels, batch_size: int):
        self.images, self.labels = jnp.asarray(images, jnp.float32), jnp.asarray(labels, jnp.int32)
        self.batch_size = batch_size

    def batches(self, order, start, stop) -> DeviceBatches:
        return DeviceBatches(self.images, self.labels, order, self.batch_size)


class ShardedBatches(AbstractBatches):
    """Consecutive batches from number `first` on, each split evenly over the devices."""

    images: Float[Array, "batches batch pixels"]
    labels: Int[Array, "batches batch"]
    first: Int[Array, ""]

    def batch(self, i) -> Batch:
        pick = lambda x: jax.lax.dynamic_index_in_dim(x, i - self.first, 0, keepdims=False)
        return pick(self.images), pick(self.labels)


class ShardedLoader(AbstractLoader):
    """Examples are on the host; a process gathers only the rows for its own devices.

    Batches have the same examples in the same order as on one device. `length` batches are sent at a time, so the
    devices need not hold the data set. `images` may be mapped from a file.
    """

    def __init__(self, images, labels, batch_size: int, length: int, mesh: Mesh):
        self.images, self.labels = np.asarray(images, np.float32), np.asarray(labels, np.int32)
        self.batch_size, self.length, self.mesh = batch_size, length, mesh

    def batches(self, order, start, stop) -> ShardedBatches:
        rows = np.asarray(order)[start * self.batch_size : stop * self.batch_size]
        # Always `length` batches, or the last few of an epoch would compile again; the surplus is not read.
        rows = np.resize(rows, (self.length, self.batch_size))
        images, labels = self._send(self.images, rows), self._send(self.labels, rows)
        return ShardedBatches(images, labels, jnp.asarray(start, jnp.int32))

    def _send(self, values: np.ndarray, rows: np.ndarray) -> Array:
        sharding = NamedSharding(self.mesh, PartitionSpec(None, DATA))
        shape = (*rows.shape, *values.shape[1:])
        # JAX calls this for the devices of this process only.
        share: Callable = lambda index: values[rows[index[:2]]]
        return jax.make_array_from_callback(shape, sharding, share)
