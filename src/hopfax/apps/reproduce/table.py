"""The tables of the papers with our numbers, and the pages that show them, from stored results."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..._internal.files import write_atomic
from .figures import crossing_table
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
BEGIN, END = "<!-- table: made from the stored results -->", "<!-- end of table -->"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeanStd:
    """Mean and population standard deviation over seeds, as in the papers; a single seed has no deviation."""

    mean: float
    std: float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row of the table of a paper with our numbers, which are None where no run is stored.

    Attributes:
        name: of the row.
        published: the numbers of the paper.
        seeds: of the stored runs.
        iterations: our `Result.paper_iterations`.
        first_crossing: our `Result.first_crossing`.
        ratio: `iterations` over those of the paper.
        did_not_converge: number of test examples, for each seed.
        accuracy: in percent.
        seconds: of the fastest epoch of all seeds; other epochs may be slowed by other work on the machine.
        speed_up: iterations of the base row over those of this row, counted in updates.
        seconds_speed_up: the same in seconds.
    """

    name: str
    published: Published
    seeds: tuple[int, ...]
    iterations: MeanStd | None = None
    first_crossing: float | None = None
    ratio: float | None = None
    did_not_converge: tuple[int, ...] = ()
    accuracy: MeanStd | None = None
    seconds: float | None = None
    speed_up: float | None = None
    seconds_speed_up: float | None = None


def tabulate(rows: Sequence[Experiment], results: Mapping[str, Sequence[Result]]) -> list[TableRow]:
    """The table of `rows`, in their order, with our numbers from the results of each row."""
    return [_row(row, results.get(row.name, ()), results.get(row.base, ())) for row in rows]


def markdown(table: Sequence[TableRow]) -> str:
    """The table in Markdown."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(cells(row) for row in table)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cells(row: TableRow) -> tuple[str, ...]:
    """The row as text, one for each of `HEADINGS`."""
    paper = row.published
    return (
        row.name,
        f"{paper.iterations} ({paper.iterations_std})",
        _mean_text(row.iterations, 2),
        _number_text(row.ratio, 2, ""),
        _number_text(row.first_crossing, 2, ""),
        ", ".join(str(count) for count in row.did_not_converge) or NONE,
        f"{paper.accuracy} ({paper.accuracy_std})",
        _mean_text(row.accuracy, 2),
        _number_text(paper.speed_up, 1),
        _number_text(row.speed_up, 2),
        _number_text(row.seconds, 1, ""),
        _number_text(row.seconds_speed_up, 2),
        ", ".join(str(seed) for seed in row.seeds) or NONE,
    )


def write_page(folder: Path, table: Sequence[TableRow], results: Mapping[str, Sequence[Result]]) -> Path:
    """Write the table, and the curves that the paper prints, into `folder/README.md`. Raises: `OSError`."""
    return fill_page(folder / "README.md", markdown(table) + crossing_table(results))


def fill_page(path: Path, text: str) -> Path:
    """Replace what is between the marks `BEGIN` and `END` of a file of Markdown by `text`.

    The rest of the file stays as it was. If there is no file or no marks, they are added at its end. Raises: `OSError`.
    """
    page = path.read_text(encoding="utf-8") if path.exists() else f"# {path.parent.name}\n"
    if BEGIN not in page or END not in page:
        page = f"{page}\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    write_atomic(path, f"{before}{BEGIN}\n\n{text}\n{END}{after}".encode())
    return path


def _row(row: Experiment, results: Sequence[Result], base: Sequence[Result]) -> TableRow:
    if not results:
        return TableRow(name=row.name, published=row.published, seeds=())
    iterations = _mean_std(result.paper_iterations for result in results)
    updates = row.updates * iterations.mean
    seconds, base_seconds = _fastest_epoch(results), _fastest_epoch(base)
    return TableRow(
        name=row.name,
        published=row.published,
        seeds=tuple(result.seed for result in results),
        iterations=iterations,
        first_crossing=_mean_std(result.first_crossing for result in results).mean,
        ratio=iterations.mean / row.published.iterations,
        did_not_converge=tuple(result.did_not_converge for result in results),
        accuracy=_mean_std(100 * result.accuracy for result in results),
        seconds=seconds,
        speed_up=_mean_std(result.paper_iterations for result in base).mean / updates if base else None,
        seconds_speed_up=base_seconds / seconds if seconds and base_seconds else None,
    )


def _fastest_epoch(results: Sequence[Result]) -> float | None:
    return min((seconds for result in results for seconds in result.seconds), default=None)


def _mean_std(values: Iterable[float]) -> MeanStd:
    values = list(values)
    return MeanStd(mean=float(np.mean(values)), std=float(np.std(values)) if len(values) > 1 else None)


def _mean_text(value: MeanStd | None, digits: int) -> str:
    if value is None:
        return NONE
    return f"{value.mean:.{digits}f}" + ("" if value.std is None else f" ({value.std:.{digits}f})")


def _number_text(value: float | None, digits: int, unit: str = "x") -> str:
    return NONE if value is None else f"{value:.{digits}f}{unit}"
