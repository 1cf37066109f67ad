"""The papers' tables beside ours, from stored results alone."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from .results import Result
from .rows import Experiment, Published

HEADINGS = (
    "model",
    "iterations, paper",
    "ours",
    "ratio",
    "first crossing",
    "did not converge",
    "accuracy %, paper",
    "ours",
    "speed-up, paper",
    "ours",
    "epoch, seconds",
    "speed-up, seconds",
    "seeds",
)
NONE = "-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean, and population standard deviation over seeds, as the papers have it; none of one seed."""

    mean: float
    std: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row of the paper's table beside ours, which is None where no run is stored.

    Attributes:
        iterations: as published. first_crossing: with an index of 0 as 0 and all examples.
        ratio: `iterations` over the paper's.
        did_not_converge: of each seed. accuracy: percent.
        speed_up: in iterations, weighed as updates, against the base row. seconds_speed_up: in seconds.
        seconds: of the fastest epoch of all seeds; other work on the machine slows the others.
    """

    name: str
    published: Published
    seeds: tuple[int, ...]
    iterations: Spread | None = None
    first_crossing: float | None = None
    ratio: float | None = None
    did_not_converge: tuple[int, ...] = ()
    accuracy: Spread | None = None
    seconds: float | None = None
    speed_up: float | None = None
    seconds_speed_up: float | None = None


def tabulate(rows: Sequence[Experiment], results: Mapping[str, Sequence[Result]]) -> list[TableRow]:
    """One for each of `rows`, in order. Ours from `results`, by row."""
    return [_row(row, results.get(row.name, ()), results.get(row.base, ())) for row in rows]


def markdown(table: Sequence[TableRow]) -> str:
    """As a table in Markdown."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(cells(row) for row in table)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cells(row: TableRow) -> tuple[str, ...]:
    """The row as text, one for each of `HEADINGS`."""
    paper = row.published
    return (
        row.name,
        f"{paper.iterations} ({paper.iterations_std})",
        _spread(row.iterations, 2),
        _times(row.ratio, 2, ""),
        _times(row.first_crossing, 2, ""),
        ", ".join(str(each) for each in row.did_not_converge) or NONE,
        f"{paper.accuracy} ({paper.accuracy_std})",
        _spread(row.accuracy, 2),
        _times(paper.speed_up, 1),
        _times(row.speed_up, 2),
        _times(row.seconds, 1, ""),
        _times(row.seconds_speed_up, 2),
        ", ".join(str(each) for each in row.seeds) or NONE,
    )


def _row(row: Experiment, found: Sequence[Result], base: Sequence[Result]) -> TableRow:
    if not found:
        return TableRow(name=row.name, published=row.published, seeds=())
    iterations = _over(each.paper_iterations for each in found)
    faster = (
        np.mean([each.paper_iterations for each in base]) / (row.updates * iterations.mean) if base else None
    )
    seconds, base_seconds = _fastest(found), _fastest(base)
    return TableRow(
        name=row.name,
        published=row.published,
        seeds=tuple(each.seed for each in found),
        iterations=iterations,
        first_crossing=_over(each.first_crossing for each in found).mean,
        ratio=iterations.mean / row.published.iterations,
        did_not_converge=tuple(each.did_not_converge for each in found),
        accuracy=_over(100 * each.accuracy for each in found),
        seconds=seconds,
        speed_up=None if faster is None else float(faster),
        seconds_speed_up=base_seconds / seconds if seconds and base_seconds else None,
    )


def _fastest(found: Sequence[Result]) -> float | None:
    return min((second for each in found for second in each.seconds), default=None)


def _over(values) -> Spread:
    values = list(values)
    return Spread(mean=float(np.mean(values)), std=float(np.std(values)) if len(values) > 1 else None)


def _spread(value: Spread | None, digits: int) -> str:
    if value is None:
        return NONE
    return f"{value.mean:.{digits}f}" + ("" if value.std is None else f" ({value.std:.{digits}f})")


def _times(value: float | None, digits: int, unit: str = "x") -> str:
    return NONE if value is None else f"{value:.{digits}f}{unit}"
