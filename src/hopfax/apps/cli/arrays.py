"""Matrices from .npy and .csv files; errors name the file and say what is wrong with it."""

import math
import tokenize
import warnings
from pathlib import Path
from typing import Any

import numpy as np

_HEADERS = {
    b"\x01\x00": np.lib.format.read_array_header_1_0,
    b"\x02\x00": np.lib.format.read_array_header_2_0,
}
_LONGEST_HEADER = 10_000  # bytes; the limit of NumPy itself


def read_rows(path: Path, width: int | None = None, missing: bool = False) -> np.ndarray:
    """A matrix of real numbers, one pattern or query a row; a file with a vector has one row.

    Args:
        path: a .npy or .csv file.
        width: the number of values that a row must have; any if None.
        missing: whether NaN is allowed.
    Raises: `ValueError` that names the file and says what is wrong; `FileNotFoundError`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; name a .npy or .csv file with one pattern a row.")
    rows = np.atleast_2d(_read(path))
    if rows.ndim != 2 or 0 in rows.shape or not np.issubdtype(rows.dtype, np.number):
        raise ValueError(f"{path} holds {rows.dtype} of shape {rows.shape}; it must be a matrix of numbers.")
    if np.iscomplexobj(rows):
        raise ValueError(f"{path} holds complex numbers; give real ones.")
    if width is not None and rows.shape[1] != width:
        raise ValueError(f"{path} has {rows.shape[1]} values a row; the patterns have {width}.")
    bad = np.flatnonzero((np.isinf(rows) | (np.isnan(rows) & (not missing))).any(axis=1))
    if bad.size:
        raise ValueError(
            f"{path} holds NaN or infinity in rows {bad[:5].tolist()} (from 0); leave these rows out."
        )
    return rows if np.issubdtype(rows.dtype, np.floating) else rows.astype(np.float32)


def duplicates(rows: np.ndarray) -> int:
    """How many rows are equal to an earlier row."""
    return len(rows) - len(np.unique(rows, axis=0))


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".npy":
            return _read_npy(path)
        if path.suffix == ".csv":
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # NumPy only warns about a file without numbers
                return np.loadtxt(path, delimiter=",", ndmin=2)
    except (ValueError, TypeError, EOFError, UserWarning, tokenize.TokenError) as error:
        raise ValueError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from error
    raise ValueError(f"{path} must end in .npy or .csv.")


def _read_npy(path: Path) -> np.ndarray:
    """The array of a file, once its header announces no more than the file holds: NumPy would allocate that first."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(12)
        if start[:6] != b"\x93NUMPY" or start[6:8] not in _HEADERS:
            raise ValueError("it is not a .npy file of version 1 or 2")
        length = int.from_bytes(start[8:10] if start[6] == 1 else start[8:12], "little")
        if length > _LONGEST_HEADER:
            raise ValueError(f"it announces a header of {length} bytes")
        stream.seek(8)
        shape, _, dtype = _HEADERS[start[6:8]](stream)
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which may run code; save numbers")
        announced = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or announced > size - stream.tell():
            raise ValueError(f"it announces {announced} bytes for {shape}, more than it holds")
        stream.seek(0)
        return np.load(stream, allow_pickle=False)
