"""Metrics of a run as JSON lines, one dataclass of numbers for each epoch."""

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

from .._internal.files import parse_json, write_atomic

Row = TypeVar("Row")


class MetricsFile(Generic[Row]):
    """JSON lines, one for each epoch, on disk as soon as they are known.

    Args: `path` of the file; `row_type` the dataclass of a line.
    """

    def __init__(self, path: Path, row_type: type[Row]):
        self.path, self.row_type = path, row_type

    def rewrite(self, rows: Iterable[Row]) -> None:
        """Write exactly these rows: a killed run may have written more lines than its checkpoint has."""
        write_atomic(self.path, "".join(_line(row) for row in rows).encode())

    def append(self, row: Row) -> None:
        """Write one more row, flushed to disk."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(row))
            stream.flush()
            os.fsync(stream.fileno())

    def read(self) -> list[Row]:
        """All rows. Raises: `ValueError` for a line that is no row, naming it."""
        lines = self.path.read_bytes().splitlines()
        return [self._row(number, line) for number, line in enumerate(lines, start=1)]

    def _row(self, number: int, line: bytes) -> Row:
        try:
            return from_json(self.row_type, parse_json(line))
        except ValueError as error:
            raise ValueError(f"`{self.path}`, line {number}: {error}") from error


def to_json(row: Any) -> dict[str, Any]:
    """The row as a plain dictionary, for a line of JSON."""
    return dataclasses.asdict(row)


def from_json(row_type: type[Row], row: Any) -> Row:
    """Raises: `ValueError` where `row` is no dictionary of the fields of `row_type`."""
    try:
        return row_type(**row)
    except TypeError as error:
        raise ValueError(f"{row} is no row of metrics: {error}.") from error


def _line(row: Any) -> str:
    return json.dumps(to_json(row)) + "\n"
