"""Files: JSON from strangers, and writing that leaves a file whole or absent."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PARTIAL_SUFFIX = ".part"  # ends the name of a file that is not whole yet


def check_config(found: Mapping[str, Any], expected: Mapping[str, Any], origin: str) -> None:
    """Raise `ValueError` naming each setting that differs."""
    names = sorted(found.keys() | expected.keys())
    different = [name for name in names if found.get(name) != expected.get(name)]
    if different:
        told = "; ".join(f"{name} was {found.get(name)!r}, is {expected.get(name)!r}" for name in different)
        raise ValueError(f"`{origin}` is of another run: {told}. Use the same settings, or another folder.")


def write_atomic(path: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, flush, rename: whole or absent, even after a crash."""
    try:
        _write_beside(path, content)
    except OSError as error:
        why = f"{error.strerror or error}; the file is as it was, make room or name another folder"
        raise OSError(error.errno, why, str(path)) from error
    _flush_folder(path.parent)


def write_json(path: Path, content: Any, indent: int = 2) -> None:
    """`content` as JSON, written whole."""
    write_atomic(path, (json.dumps(content, indent=indent) + "\n").encode())


def _write_beside(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL_SUFFIX)
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


def parse_json(text: str | bytes) -> Any:
    """What JSON says. Raises: `ValueError` for what is none, and for what is nested too deep to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
