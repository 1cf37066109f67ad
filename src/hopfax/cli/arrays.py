"""Matrices from .npy and .csv files, refused by name and reason where they are none."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np


def read_rows(path: Path, width: int | None = None, missing: bool = False) -> np.ndarray:
    """Rows of numbers, one pattern or query a row; a single row may be a vector.

    `missing` allows NaN. Raises: `ValueError` naming the file and what is wrong; `FileNotFoundError`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is no file; name a .npy or .csv file with one pattern a row.")
    rows = np.atleast_2d(_read(path))
    if rows.ndim != 2 or 0 in rows.shape or not np.issubdtype(rows.dtype, np.number):
        raise ValueError(f"{path} holds {rows.dtype} of shape {rows.shape}; it must be a matrix of numbers.")
    if np.iscomplexobj(rows):
        raise ValueError(f"{path} holds complex numbers; give real ones.")
    if width is not None and rows.shape[1] != width:
        raise ValueError(f"{path} has {rows.shape[1]} values a row; the patterns have {width}.")
    bad = np.flatnonzero((np.isinf(rows) | (np.isnan(rows) & (not missing))).any(axis=1))
    if bad.size:
        raise ValueError(f"{path} holds NaN or infinity in rows {bad[:5].tolist()} (from 0); leave them out.")
    return rows if np.issubdtype(rows.dtype, np.floating) else rows.astype(np.float32)


def duplicates(rows: np.ndarray) -> int:
    """How many rows are equal to one before them."""
    return len(rows) - len(np.unique(rows, axis=0))


def note_duplicates(count: int) -> str:
    """A sentence for people, empty if there are none."""
    return f"{count} patterns are equal to others; they share their recall" if count else ""


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".npy":
            # Mapped first: what the header announces must be there before memory is asked for.
            return np.array(np.lib.format.open_memmap(path, mode="r"))
        if path.suffix == ".csv":
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # of a file without numbers
                return np.loadtxt(path, delimiter=",", ndmin=2)
    except (ValueError, TypeError, OverflowError, EOFError, UserWarning) as error:
        raise ValueError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from error
    raise ValueError(f"{path} must end in .npy or .csv.")
