"""Checkpoints of sharded arrays, by orbax: each process writes and reads its own shards.

For networks with sharded layers (`hopfax.parallel.mesh.shard_layers`), which may not fit on a single host. For a state
that is replicated on every device, `hopfax.training.checkpoint` is enough.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
from jax.sharding import SingleDeviceSharding
from jaxtyping import Array, PyTree

from .._internal.arrays import check_arrays, is_key, path_name, replace_arrays
from .._internal.files import as_path
from .._internal.optional import needed


def save_sharded(folder: str | Path, tree: PyTree) -> None:
    """Write the arrays of `tree`, named by their paths in it, into a new `folder`.

    All processes must call it, and all must see the folder. It is written under another name and then renamed, so it
    is complete or absent.
    Raises: `ValueError` if the folder exists; `ImportError` without orbax.
    """
    folder = as_path("folder", folder)
    if folder.exists():
        raise ValueError(f"`{folder}` exists already; name a new folder for each checkpoint.")
    with _orbax().StandardCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), {name: _data(leaf) for name, leaf in _arrays(tree).items()})


def load_sharded(folder: str | Path, template: PyTree) -> PyTree:
    """`template` with its arrays replaced by those in `folder`, sharded like the arrays of the template.

    The number of devices may differ from that at the time of saving.
    Raises: `ValueError` if names, shapes or dtypes differ from those of `template`, or if there is no checkpoint;
        `ImportError` without orbax.
    """
    expected = {name: _abstract(_data(leaf)) for name, leaf in _arrays(template).items()}
    folder = as_path("folder", folder)
    if not folder.is_dir():
        raise ValueError(f"`{folder}` has no checkpoint; name a folder that `save_sharded` wrote.")
    with _orbax().StandardCheckpointer() as checkpointer:
        check_arrays(dict(checkpointer.metadata(folder.absolute()).item_metadata), expected, str(folder))
        return replace_arrays(template, checkpointer.restore(folder.absolute(), expected))


def _orbax() -> Any:
    return needed("sharded checkpoints need orbax", "orbax.checkpoint", "'hopfax[cluster]'")


def _arrays(tree: PyTree) -> dict[str, Array]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {path_name(path): leaf for path, leaf in leaves}


def _data(leaf: Any) -> Any:
    return jr.key_data(leaf) if is_key(leaf) else leaf


def _abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
