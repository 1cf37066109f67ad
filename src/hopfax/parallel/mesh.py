"""Meshes of devices, arrays replicated over a mesh, and networks with sharded layers."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from ..networks.network import AbstractNetwork
from ..networks.synapses.base import AbstractSynapse

DATA, MODEL = "data", "model"


def device_mesh(devices: int | None = None, axis: str = DATA) -> Mesh:
    """A one-dimensional mesh of the first `devices` devices of all processes.

    A run of several processes uses all devices, since every process must take part.

    Args:
        devices: the number of devices; all if None.
        axis: the name of the mesh axis.
    Raises: `ValueError` if there are fewer devices, or if a process would be left without one.
    """
    present = jax.devices()
    count = len(present) if devices is None else devices
    if not 1 <= count <= len(present):
        raise ValueError(
            f"`devices={devices}` must lie in [1, {len(present)}]: JAX sees {len(present)} of kind "
            f"{present[0].platform}. To get several devices on one CPU, set "
            "XLA_FLAGS=--xla_force_host_platform_device_count=N before JAX starts."
        )
    if jax.process_count() > 1 and count != len(present):
        raise ValueError(
            f"`devices={devices}` leaves out some of the {len(present)} devices of {jax.process_count()} processes; "
            "omit it, or start fewer processes."
        )
    return Mesh(np.asarray(present[:count]), (axis,))


def device_grid(data: int, model: int) -> Mesh:
    """A mesh of `data` rows and `model` columns: layers are sharded along a row, batches over the rows.

    The devices of a row communicate at every sweep, so they are neighbours, and in one process if it has that many.
    Raises: `ValueError` as `device_mesh`.
    """
    devices = device_mesh(data * model).devices
    return Mesh(devices.reshape(data, model), (DATA, MODEL))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """`tree` with a full copy of every array on each device of the mesh.

    All processes must pass the same tree; JAX raises if arrays differ.
    """
    return _put(tree, lambda leaf: NamedSharding(mesh, PartitionSpec()))


def place_on_mesh(tree: PyTree, mesh: Mesh) -> PyTree:
    """`tree` with all arrays on the mesh: those already there keep their sharding, the others are replicated."""
    on_mesh = lambda x: eqx.is_array(x) and getattr(getattr(x, "sharding", None), "mesh", None) == mesh
    return jax.tree.map(lambda x: x if on_mesh(x) else replicate(x, mesh), tree)


def local_copy(tree: PyTree) -> PyTree:
    """The copy of a replicated `tree` on one device of this process."""
    return jax.tree.map(lambda x: x.addressable_data(0) if eqx.is_array(x) else x, tree)


def shard_layers(
    model: AbstractNetwork, mesh: Mesh, *, axis: str = MODEL, layers: Sequence[str] | None = None
) -> AbstractNetwork:
    """The same network with some layers, and the weights of their synapses, sharded over the devices of a mesh.

    A weight matrix between layers `a` and `b` is sharded by rows if `a` is sharded, otherwise by columns if `b` is;
    all else is replicated. With one colour of a two-coloured graph sharded, a sweep needs one all-reduce: the drives
    of the other colour are summed over devices, `batch * (neurons of that colour)` numbers. JAX inserts the all-reduce
    itself; `relax` and `objective` take the network like any other, with the same results up to rounding.

    Args:
        axis: the axis of `mesh` over which layers are sharded.
        layers: the layers to shard; by default those of the colour with most neurons that divide evenly.
    Raises: `ValueError` for an unknown axis or layer, or a layer that does not divide evenly among the devices.
    Source: the all-reduce is that of tensor parallelism, [shoeybi2019], section 3.
    """
    if axis not in mesh.shape:
        raise ValueError(f"`axis={axis!r}` is not an axis of the mesh; its axes are {list(mesh.shape)}.")
    sharded = _widest_colour(model, mesh.shape[axis]) if layers is None else tuple(layers)
    _check_divisible(model, sharded, mesh.shape[axis])
    synapses = {
        name: _shard_synapse(model, synapse, sharded, mesh, axis) for name, synapse in model.synapses.items()
    }
    return model.rebuild(replicate(model.layers, mesh), synapses)


def _widest_colour(model: AbstractNetwork, count: int) -> tuple[str, ...]:
    """The layers of the colour with most neurons, whose drives would cost most to sum; uneven layers are left out."""
    size = {name: layer.size for name, layer in model.layers.items()}
    divisible = [tuple(n for n in names if size[n] % count == 0) for names in model.graph.colours()]
    widest = max(divisible, key=lambda names: sum(size[name] for name in names))
    if not widest:
        raise ValueError(
            f"none of the layers {size} can be divided evenly among {count} devices; change the sizes."
        )
    return widest


def _check_divisible(model: AbstractNetwork, sharded: Sequence[str], count: int) -> None:
    for name in sharded:
        if name not in model.layers:
            raise ValueError(f"`layers` names an unknown layer {name!r}; the layers are {list(model.order)}.")
        if model.layers[name].shape[0] % count:
            raise ValueError(
                f"layer {name!r} of shape {model.layers[name].shape} cannot be divided evenly among {count} devices; "
                "make its first axis a multiple of them, or name other `layers`."
            )


def _shard_synapse(
    model: AbstractNetwork, synapse: AbstractSynapse, sharded: Sequence[str], mesh: Mesh, axis: str
) -> AbstractSynapse:
    """The synapse with its weights sharded as its layers are, and its other arrays replicated."""
    sizes = tuple(model.layers[name].size for name in synapse.layers)
    axes = [axis if name in sharded else None for name in synapse.layers]
    if len(axes) == 2 and axes[0]:
        axes[1] = None  # a mesh axis can shard one dimension only

    def place(leaf: Array) -> NamedSharding:
        is_weight = leaf.shape == sizes
        return NamedSharding(mesh, PartitionSpec(*axes) if is_weight else PartitionSpec())

    return _put(synapse, place)


def _put(tree: PyTree, place: Any) -> PyTree:
    def put(leaf):
        if not eqx.is_array(leaf):
            return leaf
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # keys cannot be sent to other processes
            return jr.wrap_key_data(jax.device_put(jr.key_data(leaf), place(leaf)), impl=jr.key_impl(leaf))
        return jax.device_put(leaf, place(leaf))

    return jax.tree.map(put, tree)
