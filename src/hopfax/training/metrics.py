"""Metrics of a run, as JSON lines."""

import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .._internal.files import parse_json, write_atomic


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """Means over the training examples of one epoch, each seen by the network as it was at that time.

    Attributes:
        epoch: from 1. step: batches since the beginning.
        loss: mean cost of an example. train_accuracy: in [0, 1].
        mean_steps: updates until an example converged. did_not_converge: examples that did not.
        seconds: spent training, compilation and evaluation not counted.
        validation_accuracy: in [0, 1], after the epoch, if examples are held out.
        gradient_flagged: examples whose backward or nudged solves missed their tolerance, each time they were seen.
        gradient_cosine: of equilibrium propagation's gradient with the implicit one, on one batch after the epoch.
    """

    epoch: int
    step: int
    loss: float
    train_accuracy: float
    mean_steps: float
    did_not_converge: int
    seconds: float
    validation_accuracy: float | None = None
    gradient_flagged: int | None = None
    gradient_cosine: float | None = None


class MetricsFile:
    """JSON lines, one an epoch, on disk as soon as they are known."""

    def __init__(self, path: Path):
        self.path = path

    def rewrite(self, rows: Iterable[EpochMetrics]) -> None:
        """Exactly these rows, whatever was there: a killed run may have got further than its checkpoint."""
        write_atomic(self.path, "".join(_line(row) for row in rows).encode())

    def append(self, row: EpochMetrics) -> None:
        """One more row, flushed to disk."""
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(_line(row))
            stream.flush()
            os.fsync(stream.fileno())

    def read(self) -> list[EpochMetrics]:
        """All rows. Raises: `ValueError` for a line that is not one."""
        lines = self.path.read_bytes().splitlines()
        return [self._row(number, line) for number, line in enumerate(lines, start=1)]

    def _row(self, number: int, line: bytes) -> EpochMetrics:
        try:
            return from_json(parse_json(line))
        except ValueError as error:
            raise ValueError(f"`{self.path}`, line {number}: {error}") from error


def to_json(row: EpochMetrics) -> dict[str, Any]:
    """The row as a plain dictionary, for a line of JSON."""
    return dataclasses.asdict(row)


def from_json(row: dict[str, Any]) -> EpochMetrics:
    """Raises: `ValueError` where the fields are not those of `EpochMetrics`."""
    try:
        return EpochMetrics(**row)
    except TypeError as error:
        raise ValueError(f"{row} is no row of metrics: {error}.") from error


def _line(row: EpochMetrics) -> str:
    return json.dumps(to_json(row)) + "\n"
