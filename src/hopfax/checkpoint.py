"""Checkpoints: all arrays of a tree and a JSON account in one safetensors file, whole or absent."""

import contextlib
import json
import os
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import safetensors
from jaxtyping import Array, PyTree
from safetensors.numpy import load, save

from ._json import parse

PART = ".part"  # ends the name of a file that is not whole yet
_ENTRY = "hopfax"


def save_checkpoint(path: Path, tree: PyTree, account: Mapping[str, Any]) -> None:
    """Write the arrays of `tree` by their paths in it, and `account`, which must be JSON, beside them.

    The file is written under another name, flushed to the disk, and renamed, so that a reader finds the old
    one or the new one and never half of one. Random keys are saved as their data.
    Raises: `OSError` if it cannot be.
    """
    content = save(arrays_of(tree), {_ENTRY: json.dumps(account, sort_keys=True)})
    write_whole(path, content)


def load_checkpoint(path: Path, template: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """`template` with its arrays replaced by those in the file, and the account.

    Raises: `ValueError` if the file is damaged, or its names, shapes or dtypes are not those of `template`,
    saying which; nothing is loaded in part.
    """
    account = read_account(path)
    found, expected = load(path.read_bytes()), arrays_of(template)
    check_fit(found, expected, str(path))
    return filled(template, found), account


def read_account(path: Path) -> dict[str, Any]:
    """The account in a checkpoint. Raises: `ValueError` for a file that is none."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            account = parse((file.metadata() or {})[_ENTRY])
        if not isinstance(account, dict):
            raise ValueError("its account is no table")
        return account
    except (safetensors.SafetensorError, KeyError, ValueError, struct.error) as error:
        raise ValueError(
            f"`{path}` is no whole checkpoint ({type(error).__name__}: {error}); remove it."
        ) from error


def check_fit(found: Mapping[str, Any], expected: Mapping[str, Any], origin: str) -> None:
    """Raise `ValueError` naming each entry that differs from the expected one in name, shape or dtype."""
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is not expected" for name in found if name not in expected]
    for name in found.keys() & expected.keys():
        here, there = _describe(expected[name]), _describe(found[name])
        if here != there:
            problems.append(f"{name} should be {here}, is {there}")
    if problems:
        raise ValueError(f"`{origin}` does not fit: {'; '.join(sorted(problems))}.")


def check_config(found: Mapping[str, Any], expected: Mapping[str, Any], origin: str) -> None:
    """Raise `ValueError` naming each setting that differs."""
    names = sorted(found.keys() | expected.keys())
    different = [name for name in names if found.get(name) != expected.get(name)]
    if different:
        told = "; ".join(f"{name} was {found.get(name)!r}, is {expected.get(name)!r}" for name in different)
        raise ValueError(f"`{origin}` is of another run: {told}. Use the same settings, or another folder.")


def write_whole(path: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, flush, rename: whole or absent, even after a crash."""
    try:
        _write_beside(path, content)
    except OSError as error:
        why = f"{error.strerror or error}; the file is as it was, make room or name another folder"
        raise OSError(error.errno, why, str(path)) from error
    _flush_folder(path.parent)


def write_json(path: Path, content: Any, indent: int = 2) -> None:
    """`content` as JSON, written whole."""
    write_whole(path, (json.dumps(content, indent=indent) + "\n").encode())


def _write_beside(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)  # `mkstemp` makes it private
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make a rename last. Not every system can open a folder, and there the rename alone must do."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def arrays_of(tree: PyTree) -> dict[str, np.ndarray]:
    """The arrays of `tree` on the host by their paths in it, random keys as their data."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {
        path_name(path): np.ascontiguousarray(_data(leaf)).reshape(_data(leaf).shape) for path, leaf in leaves
    }


def filled(template: PyTree, found: Mapping[str, np.ndarray | Array]) -> PyTree:
    """`template` with its arrays replaced by those that `arrays_of` gave."""

    def fill(path, leaf):
        if not eqx.is_array(leaf):
            return leaf
        data = jnp.asarray(found[path_name(path)])
        return jr.wrap_key_data(data, impl=jr.key_impl(leaf)) if is_key(leaf) else data

    return jax.tree_util.tree_map_with_path(fill, template)


def path_name(path: Any) -> str:
    """The place of a leaf in a tree, by the key path that JAX gives it: `model.synapses.input-hidden.weight`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _data(leaf: Array) -> np.ndarray:
    return np.asarray(jr.key_data(leaf) if is_key(leaf) else leaf)


def is_key(leaf: Array) -> bool:
    """Whether it is a random key of the new style, whose data alone can be saved."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)}"
