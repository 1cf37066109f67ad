"""Where arrays are: meshes of devices, copies of an array on all of them, and layers split over them."""

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
    """The first `devices` devices in a row, by default all, of all processes; `axis` is the name of the row.

    A run of several processes takes all, since each must take part.
    Raises: `ValueError` if there are fewer, or if some process would be left out.
    """
    found = jax.devices()
    count = len(found) if devices is None else devices
    if not 1 <= count <= len(found):
        raise ValueError(
            f"`devices={devices}` must lie in [1, {len(found)}]: JAX sees {len(found)} of kind {found[0].platform}. "
            "For several on one CPU set XLA_FLAGS=--xla_force_host_platform_device_count=N before JAX starts."
        )
    if jax.process_count() > 1 and count != len(found):
        raise ValueError(
            f"`devices={devices}` leaves some of the {len(found)} devices of {jax.process_count()} processes out; "
            "do not give it, or start fewer processes."
        )
    return Mesh(np.asarray(found[:count]), (axis,))


def device_grid(data: int, model: int) -> Mesh:
    """`data * model` devices in rows: each row shares the neurons of a network, the rows share each batch.

    The devices of a row are neighbours, in one process if it has as many, since they exchange at every sweep.
    Raises: `ValueError` as `device_mesh`.
    """
    devices = device_mesh(data * model).devices
    return Mesh(devices.reshape(data, model), (DATA, MODEL))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """The arrays of `tree` whole on every device of the mesh.

    Each process of several gives the same tree; JAX raises where arrays differ.
    """
    return _put(tree, lambda leaf: NamedSharding(mesh, PartitionSpec()))


def on_mesh(tree: PyTree, mesh: Mesh) -> PyTree:
    """The arrays of `tree` that are on the mesh as they are, the others whole on every device of it."""
    there = lambda x: eqx.is_array(x) and getattr(getattr(x, "sharding", None), "mesh", None) == mesh
    return jax.tree.map(lambda x: x if there(x) else replicate(x, mesh), tree)


def local(tree: PyTree) -> PyTree:
    """The arrays of `tree`, which are alike on all devices, as this process's own, on one of its devices."""
    return jax.tree.map(lambda x: x.addressable_data(0) if eqx.is_array(x) else x, tree)


def shard_layers(
    model: AbstractNetwork, mesh: Mesh, *, axis: str = MODEL, layers: Sequence[str] | None = None
) -> AbstractNetwork:
    """The same network with the neurons of some layers spread over the devices of a mesh, and their weights with them.

    `W` of shape (a, b) is split by rows where layer `a` is spread, else by columns where `b` is, else copied to all.
    A sweep over a two-coloured graph with one colour spread then has one exchange: the drives of the other colour,
    `W_here ρ(s_here)`, summed over devices, are `batch * neurons of that colour` numbers. JAX puts the exchange in by
    itself; `relax` and `objective` take the network as any other, with the same results to rounding.

    Args:
        axis: of `mesh`, over which to spread.
        layers: which to spread; by default those of the colour with most neurons that can be divided evenly.
    Raises: `ValueError` for an axis or a layer that is not there, or neurons that cannot be divided evenly.
    Source: the exchange is that of tensor parallelism, [shoeybi2019], section 3.
    """
    if axis not in mesh.shape:
        raise ValueError(f"`axis={axis!r}` is none of the mesh's axes {list(mesh.shape)}.")
    spread = _widest_colour(model, mesh.shape[axis]) if layers is None else tuple(layers)
    _check_spread(model, spread, mesh.shape[axis])
    synapses = {name: _split(model, each, spread, mesh, axis) for name, each in model.synapses.items()}
    return model.of(replicate(model.layers, mesh), synapses)


def _widest_colour(model: AbstractNetwork, count: int) -> tuple[str, ...]:
    """Of the colours the one with most neurons, which would cost most to exchange; what cannot be shared left out."""
    size = {name: layer.size for name, layer in model.layers.items()}
    shared = [tuple(n for n in names if size[n] % count == 0) for names in model.graph.colours()]
    widest = max(shared, key=lambda names: sum(size[name] for name in names))
    if not widest:
        raise ValueError(
            f"none of the layers {size} can be shared evenly by {count} devices; change the sizes."
        )
    return widest


def _check_spread(model: AbstractNetwork, spread: Sequence[str], count: int) -> None:
    for name in spread:
        if name not in model.layers:
            raise ValueError(f"`layers` names an unknown layer {name!r}; the layers are {list(model.order)}.")
        if model.layers[name].shape[0] % count:
            raise ValueError(
                f"layer {name!r} of shape {model.layers[name].shape} cannot be shared evenly by {count} devices; take "
                "a multiple, or other `layers`."
            )


def _split(
    model: AbstractNetwork, synapse: AbstractSynapse, spread: Sequence[str], mesh: Mesh, axis: str
) -> AbstractSynapse:
    """The synapse with its weights split where its layers are; whatever else it has is copied to all."""
    sizes = tuple(model.layers[name].size for name in synapse.layers)
    here = [axis if name in spread else None for name in synapse.layers]
    if len(here) == 2 and here[0]:
        here[1] = None  # an axis splits one dimension only

    def place(leaf: Array) -> NamedSharding:
        weights = leaf.shape == sizes
        return NamedSharding(mesh, PartitionSpec(*here) if weights else PartitionSpec())

    return _put(synapse, place)


def _put(tree: PyTree, place: Any) -> PyTree:
    def put(leaf):
        if not eqx.is_array(leaf):
            return leaf
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):  # which cannot be sent to other processes
            return jr.wrap_key_data(jax.device_put(jr.key_data(leaf), place(leaf)), impl=jr.key_impl(leaf))
        return jax.device_put(leaf, place(leaf))

    return jax.tree.map(put, tree)
