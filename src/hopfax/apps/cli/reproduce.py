"""`hopfax reproduce`: the tables and figures of the papers, from runs that are computed once and stored."""

import dataclasses
import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from ..._internal.compiled import cache_compiled_code
from .interrupts import interruptible
from .options import data_sets, split_names, whole_numbers
from .output import Json, check_json, emit, error_console, progress_bar, result_table, writable_folder

if TYPE_CHECKING:
    from ..reproduce import Experiment, TableRow

EXPERIMENTS = Path("experiments")


class Target(enum.StrEnum):
    """What to reproduce."""

    table1 = "table1"
    table2 = "table2"
    figure3 = "figure3"
    figure4 = "figure4"
    vae = "vae"


TARGETS = """\
table1: Table 1 and Figure 3 of the 2023 paper.

table2, figure3, figure4: those of the 2024 paper.

vae: the models of the Hopfield VAE paper, as we reconstruct them.
"""


def reproduce(
    target: Annotated[Target, typer.Argument(metavar="TARGET", help=TARGETS)],
    rows: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Rows of the table, such as 3-HAM,3-HAM-EO. Default: all.",
            show_default=False,
        ),
    ] = "",
    seeds: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Random seeds; the papers have five, such as 0,1,2,3,4.")
    ] = "0",
    epochs: Annotated[
        int | None,
        typer.Option(help="End each run after so many epochs. Default: as in the paper.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of runs/, results/, README.md and figures. Default: the folder of the paper in experiments/.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Data set: digits, mnist or fashion-mnist. Default: mnist; digits for vae.",
            autocompletion=data_sets,
            show_default=False,
        ),
    ] = None,
    stored: Annotated[
        bool, typer.Option("--stored", help="Compute nothing: show the stored results. Not for vae.")
    ] = False,
    json: Json = None,
) -> None:
    """Train and evaluate networks of a paper, and compare them with its table or figure.

    Results that are stored in the folder are not computed again.

    Example: hopfax reproduce table2 --rows 3-HAM,3-HAM-EO --seeds 0,1
    """
    names, numbers = split_names(rows), whole_numbers("--seeds", seeds, "0,1,2")
    check_json(json, out)
    if epochs is not None and epochs < 1:
        raise ValueError(f"--epochs {epochs} must be at least 1.")
    if target == Target.vae:
        _reproduce_vae(names, numbers, epochs, data or "digits", out, stored, json)
        return
    if out is None and (epochs is not None or data not in (None, "mnist")):
        raise ValueError(
            "--epochs and --data make results that are not those of the paper; name a folder for them with --out."
        )
    selected, folder = _select(target, names), out or EXPERIMENTS / _paper(target)
    if stored:
        _check_stored(folder, selected)
    else:
        message = f"interrupted; {folder} has the runs so far; to go on, give the same command again"
        with interruptible(lambda: message):
            _run(selected, numbers, epochs, data or "mnist", writable_folder(folder))
    table, files = _present(target, writable_folder(folder))
    selected_names = {row.name for row in selected}
    shown = [row for row in table if row.name in selected_names]
    result = {"rows": [dataclasses.asdict(row) for row in shown], "files": [str(path) for path in files]}
    emit(result, json, lambda console: _show(console, shown, files))


def _paper(target: Target) -> str:
    return "goemaere2023" if target == Target.table1 else "goemaere2024"


def _select(target: Target, names: Sequence[str]) -> "list[Experiment]":
    """The rows of the table or figure with these names; all of them if there are no names."""
    from ..reproduce import FIGURES, TABLE1, TABLE2, select_rows

    if target == Target.table1:
        return select_rows(TABLE1, names)
    if target == Target.table2:
        return select_rows(TABLE2, names)
    return select_rows(select_rows(TABLE2, FIGURES[target]), names)


def _check_stored(folder: Path, rows: "Sequence[Experiment]") -> None:
    """Raises: `ValueError` where no result of these rows is stored."""
    from ..reproduce import read_results

    if not read_results(folder, [row.name for row in rows]):
        raise ValueError(
            f"--stored: there are no results of these rows in {folder / 'results'}; run this in a checkout of the "
            "repository, name their folder with --out, or leave out --stored to compute them."
        )


def _run(
    rows: "Sequence[Experiment]", seeds: Sequence[int], epochs: int | None, data: str, folder: Path
) -> None:
    """Make the results of all rows with one seed after another, so that a whole table is complete early."""
    from ...data import load
    from ..reproduce import run_row

    cache_compiled_code()
    dataset, errors = load(data), error_console()
    for seed in seeds:
        for row in rows:
            with progress_bar(min(epochs or row.stop_after, row.stop_after)) as callback:
                result = run_row(row, seed, dataset, folder, epochs=epochs, callback=callback)
            numbers = f"{result.paper_iterations:.2f} iterations, test accuracy {result.accuracy:.2%}"
            errors.print(f"{row.name}, seed {seed}: {numbers}", soft_wrap=True)


def _present(target: Target, folder: Path) -> "tuple[list[TableRow], list[Path]]":
    """The whole table, and the page and figures that were written, from the results stored in `folder`."""
    from ..reproduce import FIGURES, TABLE1, TABLE2, draw, read_results, tabulate, write_page

    rows = TABLE1 if target == Target.table1 else TABLE2
    results = read_results(folder, [row.name for row in rows])
    table = tabulate(rows, results)
    if target in (Target.figure3, Target.figure4):
        paths = [draw(target, results, folder)]
        return table, [path for path in paths if path]
    figures = ["figure3-2023"] if target == Target.table1 else [name for name in FIGURES if "-" not in name]
    paths = [draw(name, results, folder) for name in figures]
    return table, [write_page(folder, table, results), *(path for path in paths if path)]


def _show(console: Console, rows: "Sequence[TableRow]", files: Sequence[Path]) -> None:
    from ..reproduce import HEADINGS, cells

    # Two tables, each of which fits a terminal of 80 columns; headings and lists over seeds are folded.
    for columns in ((0, 1, 2, 3, 4, 8, 9), (0, 6, 7, 10, 11, 5, 12)):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for i in columns:
            heading = HEADINGS[i].replace(", ", "\n").replace("not ", "not\n")
            table.add_column(heading, no_wrap=i not in (5, 12))
        for row in rows:
            table.add_row(*(cells(row)[i] for i in columns))
        console.print(table)
    console.print("\n".join(str(path) for path in files), soft_wrap=True)


def _reproduce_vae(
    rows: Sequence[str],
    seeds: Sequence[int],
    epochs: int | None,
    data: str,
    out: Path | None,
    stored: bool,
    json: Path | None,
) -> None:
    from ..reproduce.vae import reproduce_vae

    if stored:
        raise ValueError(
            "--stored is not for vae; leave it out: results that are stored are not computed again."
        )
    cache_compiled_code()
    result = reproduce_vae(rows, seeds, epochs, data, out)
    emit(result, json, lambda console: _show_vae(console, result["runs"]))


def _show_vae(console: Console, runs: Sequence[dict[str, Any]]) -> None:
    headings = ("model", "data", "seed", "ELBO", "importance weighted", "squared error", "parameters")
    table = result_table(*headings, title="Bounds of log p(x) in nats, means per test image")
    for run in runs:
        numbers = -run["negative_elbo"], run["importance_weighted"], run["squared_error"]
        texts = (f"{number:.2f}" for number in numbers)
        table.add_row(run["row"], run["data"], str(run["seed"]), *texts, f"{run['parameters']:,}")
    console.print(table)
