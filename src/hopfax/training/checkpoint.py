"""Checkpoints: all arrays of a tree and a JSON account in one safetensors file, whole or absent."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from jaxtyping import PyTree
from safetensors.numpy import load, save

from .._internal.arrays import arrays_of, check_arrays, replace_arrays
from .._internal.files import parse_json, write_atomic

_ENTRY = "hopfax"


def save_checkpoint(path: Path, tree: PyTree, account: Mapping[str, Any]) -> None:
    """Write the arrays of `tree` by their paths in it, and `account`, which must be JSON, beside them.

    The file is written under another name, flushed to the disk, and renamed, so that a reader finds the old
    one or the new one and never half of one. Random keys are saved as their data.
    Raises: `OSError` if it cannot be.
    """
    content = save(arrays_of(tree), {_ENTRY: json.dumps(account, sort_keys=True)})
    write_atomic(path, content)


def load_checkpoint(path: Path, template: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """`template` with its arrays replaced by those in the file, and the account.

    Raises: `ValueError` if the file is damaged, or its names, shapes or dtypes are not those of `template`,
    saying which; nothing is loaded in part.
    """
    account = read_account(path)
    found, expected = load(path.read_bytes()), arrays_of(template)
    check_arrays(found, expected, str(path))
    return replace_arrays(template, found), account


def read_account(path: Path) -> dict[str, Any]:
    """The account in a checkpoint. Raises: `ValueError` for a file that is none."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            account = parse_json((file.metadata() or {})[_ENTRY])
        if not isinstance(account, dict):
            raise ValueError("its account is no table")
        return account
    except (safetensors.SafetensorError, KeyError, ValueError, struct.error) as error:
        raise ValueError(
            f"`{path}` is no whole checkpoint ({type(error).__name__}: {error}); remove it."
        ) from error
