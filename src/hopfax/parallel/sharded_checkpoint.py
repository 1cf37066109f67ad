"""Checkpoints of arrays spread over devices: each process writes and reads its own parts, by orbax.

For networks whose layers are spread (`hopfax.parallel.mesh.shard_layers`), which no single host may be able to hold. A
state that is whole on every device needs no more than `hopfax.training.checkpoint`.
"""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
from jax.sharding import SingleDeviceSharding
from jaxtyping import Array, PyTree

from .._internal.arrays import check_arrays, replace_arrays, is_key, path_name
from .._internal.optional import needed


def save_sharded(folder: Path, tree: PyTree) -> None:
    """Write the arrays of `tree` by their paths in it into `folder`, which must not be there yet.

    All processes call it, and the folder is one that all see. It is made under another name and renamed, so it is
    there whole or not at all.
    Raises: `ValueError` for a folder that is there; `ImportError` without orbax.
    """
    if folder.exists():
        raise ValueError(f"`{folder}` is there already; name a new folder for each checkpoint.")
    with _orbax().StandardCheckpointer() as checkpointer:
        checkpointer.save(folder.absolute(), {name: _data(leaf) for name, leaf in _arrays(tree).items()})


def load_sharded(folder: Path, template: PyTree) -> PyTree:
    """`template` with its arrays replaced by those in `folder`, placed as the template's are.

    On how many devices they were when saved is of no importance.
    Raises: `ValueError` where names, shapes or dtypes are not those of `template`, saying which, or nothing is there;
        `ImportError` without orbax.
    """
    wanted = {name: _place(_data(leaf)) for name, leaf in _arrays(template).items()}
    if not folder.is_dir():
        raise ValueError(f"`{folder}` has no checkpoint; name a folder that `save_sharded` was given.")
    with _orbax().StandardCheckpointer() as checkpointer:
        check_arrays(dict(checkpointer.metadata(folder.absolute()).item_metadata), wanted, str(folder))
        return replace_arrays(template, checkpointer.restore(folder.absolute(), wanted))


def _orbax() -> Any:
    return needed("sharded checkpoints need orbax", "orbax.checkpoint", "'hopfax[cluster]'")


def _arrays(tree: PyTree) -> dict[str, Array]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {path_name(path): leaf for path, leaf in leaves}


def _data(leaf: Any) -> Any:
    return jr.key_data(leaf) if is_key(leaf) else leaf


def _place(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = getattr(leaf, "sharding", None) or SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
