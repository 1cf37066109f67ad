"""Atomic writing of files, reading of untrusted JSON, comparison of stored settings."""

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PARTIAL_SUFFIX = ".part"  # of the temporary name of a file that is being written


def as_path(label: str, value: Any) -> Path:
    """`value` as a path. Raises: `ValueError` unless it is a string or a path."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f'`{label}={value!r:.80}` must be a path or a string, such as `"runs/first"`.')
    return Path(value)


def check_config(stored: Mapping[str, Any], current: Mapping[str, Any], origin: str) -> None:
    """Check that the settings stored in `origin` are the current ones. Raises: `ValueError` naming each difference."""
    names = sorted(stored.keys() | current.keys())
    different = [name for name in names if stored.get(name) != current.get(name)]
    if different:
        changes = "; ".join(
            f"{name} was {stored.get(name)!r}, is {current.get(name)!r}" for name in different
        )
        raise ValueError(
            f"`{origin}` is of another run: {changes}. Use the same settings, or another folder."
        )


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file atomically: under a temporary name in the same folder, flushed to disk, then renamed.

    Even after a crash the file is complete, or as it was before. Raises: `OSError` naming the file.
    """
    try:
        _write_beside(path, content)
    except OSError as error:
        message = f"{error.strerror or error}; the file is unchanged, free some space or name another folder"
        raise OSError(error.errno, message, str(path)) from error
    _flush_folder(path.parent)


def write_json(path: Path, content: Any, indent: int = 2) -> None:
    """Write `content` as JSON, atomically."""
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
    """Flush a rename to disk, on systems that can open a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises: `ValueError` if it is not JSON, or nested too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
