"""Checkpoints: all arrays of a tree and JSON metadata in one safetensors file, whole or absent."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from .._internal.arrays import arrays_of, check_arrays, replace_arrays
from .._internal.files import as_path, parse_json, write_atomic

_ENTRY = "hopfax"


def save_checkpoint(path: str | Path, tree: PyTree, metadata: Mapping[str, Any]) -> None:
    """Write the arrays of `tree` by their paths in it, and `metadata`, which must be JSON, beside them.

    The file is written under another name, flushed to disk and renamed, so a reader sees either the old file or the
    new one. Random keys are saved as their data. Raises: `OSError` if it cannot be written.
    """
    from safetensors.numpy import save  # imported here, so that all else works without it

    content = save(arrays_of(tree), {_ENTRY: json.dumps(metadata, sort_keys=True)})
    write_atomic(as_path("path", path), content)


def load_checkpoint(path: str | Path, template: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """`template` with its arrays replaced by those in the file, and the metadata.

    Raises: `ValueError` if the file is damaged, or its names, shapes or dtypes are not those of `template`,
    saying which; nothing is loaded in part.
    """
    from safetensors.numpy import load

    metadata = read_metadata(path)
    arrays, expected = load(as_path("path", path).read_bytes()), arrays_of(template)
    check_arrays(arrays, expected, str(path))
    return replace_arrays(template, arrays), metadata


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a checkpoint. Raises: `ValueError` for a file that is no checkpoint."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            metadata = parse_json((file.metadata() or {})[_ENTRY])
        if not isinstance(metadata, dict):
            raise ValueError("its metadata is no table")
        return metadata
    except (SafetensorError, KeyError, ValueError, struct.error) as error:
        raise ValueError(
            f"`{path}` is no whole checkpoint ({type(error).__name__}: {error}); remove it."
        ) from error
