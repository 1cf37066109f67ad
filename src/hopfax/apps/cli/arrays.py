"""Matrices from .npy and .csv files; errors name the file and say what is wrong with it."""

import csv
import io
import math
import tokenize
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..._internal.files import write_atomic

_HEADERS = {
    b"\x01\x00": np.lib.format.read_array_header_1_0,
    b"\x02\x00": np.lib.format.read_array_header_2_0,
}
UNKNOWN = ("", "NA", "<NA>", "NaN", "nan", "null")
_LONGEST_HEADER = 10_000  # bytes; the limit of NumPy itself


class Rows(NamedTuple):
    """A matrix of real numbers, and the names of its columns and rows where a .csv file has them."""

    numbers: np.ndarray
    columns: list[str] | None = None
    index: list[str] | None = None


def read_rows(path: Path, width: int | None = None, missing: bool = False) -> np.ndarray:
    """The numbers of `read_table`."""
    return read_table(path, width, missing).numbers


def read_table(path: Path, width: int | None = None, missing: bool = False) -> Rows:
    """A matrix of real numbers, one pattern or query a row; a file with a vector has one row.

    Args:
        path: a .npy or .csv file; a .csv file as `read_csv` takes it.
        width: the number of values that a row must have; any if None.
        missing: whether NaN is allowed.
    Raises: `ValueError` that names the file and says what is wrong; `FileNotFoundError`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; name a .npy or .csv file with one pattern a row.")
    table = _read(path)
    rows = np.atleast_2d(table.numbers)
    if rows.ndim != 2 or 0 in rows.shape or not np.issubdtype(rows.dtype, np.number):
        raise ValueError(f"{path} holds {rows.dtype} of shape {rows.shape}; it must be a matrix of numbers.")
    if np.iscomplexobj(rows):
        raise ValueError(f"{path} holds complex numbers; give real ones.")
    if width is not None and rows.shape[1] != width:
        raise ValueError(f"{path} has {rows.shape[1]} values a row; the patterns have {width}.")
    bad = np.flatnonzero((np.isinf(rows) | (np.isnan(rows) & (not missing))).any(axis=1))
    if bad.size:
        what = "infinity" if missing else "unknown values (blank or NaN) or infinity"
        raise ValueError(f"{path} has {what} in rows {bad[:5].tolist()} (from 0); leave these rows out.")
    return table._replace(numbers=rows if np.issubdtype(rows.dtype, np.floating) else rows.astype(np.float32))


def write_table(path: Path, table: Rows) -> None:
    """Write a .npy file of the numbers, or a .csv file with the names too, whole or not at all."""
    buffer = io.BytesIO()
    if path.suffix == ".npy":
        np.save(buffer, table.numbers)
    else:
        buffer.write(_as_csv(table).encode())
    write_atomic(path, buffer.getvalue())


def duplicates(rows: np.ndarray) -> int:
    """How many rows are equal to an earlier row."""
    return len(rows) - len(np.unique(rows, axis=0))


def _read(path: Path) -> Rows:
    try:
        if path.suffix == ".npy":
            return Rows(_read_npy(path))
        if path.suffix == ".csv":
            return read_csv(path)
    except (ValueError, TypeError, EOFError, csv.Error, tokenize.TokenError) as error:
        raise ValueError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from error
    raise ValueError(f"{path} must end in .npy or .csv.")


def read_csv(path: Path) -> Rows:
    """The rows of a file with commas between cells, as NumPy or pandas writes it.

    Names of columns: a first line with a cell that is neither a number nor blank, or whose first cell alone is blank,
    or the numbers 0, 1, 2, ... of at least three columns.
    Names of rows: a first column under a blank name, or in which no cell is a number.
    Blank cells, NA and NaN are NaN; lines that begin with # are comments.
    Raises: `ValueError` naming a cell that is no number, or a line of another length; `csv.Error`.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = [line for line in csv.reader(stream) if line and not line[0].startswith("#")]
    if not lines:
        raise ValueError("it has no rows")
    for number, line in enumerate(lines, start=1):
        if len(line) != len(lines[0]):
            raise ValueError(f"row {number} has {len(line)} cells, row 1 has {len(lines[0])}")
    columns = lines.pop(0) if _are_names(lines[0]) else None
    if not lines:
        raise ValueError("it has names of columns, but no rows")
    has_index = columns is not None and not columns[0].strip()
    has_index |= len(lines[0]) > 1 and all(_number(line[0]) is None for line in lines)
    numbers = [
        [_value(cell, row, name) for name, cell in _cells(line, has_index)] for row, line in enumerate(lines)
    ]
    index = [line[0] for line in lines] if has_index else None
    return Rows(np.array(numbers, float), columns and columns[has_index:], index)


def _cells(line: list[str], has_index: bool) -> list[tuple[int, str]]:
    """The cells of a line by the number of their column, without the name of the row."""
    return list(enumerate(line))[has_index:]


def _are_names(line: list[str]) -> bool:
    numbers = [_number(cell) for cell in line]
    blank_first = len(line) > 1 and not line[0].strip() and all(cell.strip() for cell in line[1:])
    counted = len(line) > 2 and line == [str(i) for i in range(len(line))]
    return counted or None in numbers or (blank_first and line[1:] == [str(i) for i in range(len(line) - 1)])


def _number(cell: str) -> float | None:
    """NaN for a cell that marks an unknown value, None for one that is no number."""
    if cell.strip() in UNKNOWN:
        return math.nan
    try:
        return float(cell)
    except ValueError:
        return None


def _value(cell: str, row: int, column: int) -> float:
    number = _number(cell)
    if number is None:
        raise ValueError(f"row {row}, column {column} (from 0) has {cell[:40]!r}, which is no number")
    return number


def _as_csv(table: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [] if table.index is None else [[name] for name in table.index]
    if table.columns is not None:
        writer.writerow([*([""] if names else []), *table.columns])
    for row, numbers in enumerate(table.numbers.tolist()):
        writer.writerow([*(names[row] if names else []), *numbers])
    return text.getvalue()


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
