"""Where a compiled loop finds its batches: all examples on one device, or each device's share of a few batches."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from ..parallel.mesh import DATA

Batch = tuple[Float[Array, "batch pixels"], Int[Array, " batch"]]


class AbstractFeed(eqx.Module):
    """What a compiled loop over some batches of an epoch reads."""

    @abc.abstractmethod
    def batch(self, i: Int[Array, ""]) -> Batch:
        """Images and labels of batch `i` of the epoch."""


class AbstractSource(abc.ABC):
    """The examples of a run."""

    @abc.abstractmethod
    def feed(self, order: Int[Array, " examples"], start: int, stop: int) -> AbstractFeed:
        """For the batches from `start` to `stop`, of examples in this order."""


class Resident(AbstractFeed, AbstractSource):
    """All examples on the device, where each batch is gathered."""

    images: Float[Array, "examples pixels"]
    labels: Int[Array, " examples"]
    batch_size: int = eqx.field(static=True)
    order: Int[Array, " examples"] | None = None

    def feed(self, order, start, stop) -> "Resident":
        return Resident(self.images, self.labels, self.batch_size, order)

    def batch(self, i) -> Batch:
        assert self.order is not None
        chosen = jax.lax.dynamic_slice(self.order, (i * self.batch_size,), (self.batch_size,))
        return self.images[chosen], self.labels[chosen]


class Shares(AbstractFeed):
    """Some batches in a row, the first of them number `first`, each split evenly over the devices."""

    images: Float[Array, "batches batch pixels"]
    labels: Int[Array, "batches batch"]
    first: Int[Array, ""]

    def batch(self, i) -> Batch:
        pick = lambda x: jax.lax.dynamic_index_in_dim(x, i - self.first, 0, keepdims=False)
        return pick(self.images), pick(self.labels)


class Spread(AbstractSource):
    """Examples on the host; a process gathers only the rows that its own devices are to see.

    Batches have the same examples in the same order as on one device. `length` batches are sent at a time, so that
    devices need not hold a data set. `images` may be mapped from a file.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, batch_size: int, length: int, mesh: Mesh):
        self.images, self.labels = images, labels
        self.batch_size, self.length, self.mesh = batch_size, length, mesh

    def feed(self, order, start, stop) -> Shares:
        rows = np.asarray(order)[start * self.batch_size : stop * self.batch_size]
        # Always as many, lest the last few batches of an epoch compile anew; what is too much is not looked at.
        rows = np.resize(rows, (self.length, self.batch_size))
        images, labels = self._send(self.images, rows), self._send(self.labels, rows)
        return Shares(images, labels, jnp.asarray(start, jnp.int32))

    def _send(self, values: np.ndarray, rows: np.ndarray) -> Array:
        sharding = NamedSharding(self.mesh, PartitionSpec(None, DATA))
        shape = (*rows.shape, *values.shape[1:])
        wanted: Callable = lambda part: values[rows[part[:2]]]  # called for this process's devices only
        return jax.make_array_from_callback(shape, sharding, wanted)
