"""`hopfax reproduce`: the papers' tables and figures, from runs that are made once and stored."""

import dataclasses
import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from .jax_setup import cache_compiled_code
from .options import whole_numbers
from .output import Json, check_json, emit, error_console, writable_folder

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


def reproduce(
    target: Annotated[
        Target,
        typer.Argument(help="table1 (2023, with its figure 3); table2, figure3, figure4 (2024); vae."),
    ],
    rows: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="Rows such as 3-HAM,3-HAM-EO; all if not given.", show_default=False
        ),
    ] = "",
    seeds: Annotated[str, typer.Option(metavar="NUMBERS", help="Such as 0,1,2,3,4, as in the papers.")] = "0",
    epochs: Annotated[
        int | None, typer.Option(help="End each run after so many epochs.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder of runs/, results/, README.md and figures; experiments/goemaere2023 or 2024.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="digits, mnist or fashion-mnist: mnist, for vae digits.", show_default=False),
    ] = None,
    stored: Annotated[bool, typer.Option("--stored", help="Run nothing: draw from results/ alone.")] = False,
    json: Json = None,
) -> None:
    """Train and evaluate what is not stored yet; then the table and figures, from all that is stored.

    Example: hopfax reproduce table2 --rows 3-HAM,3-HAM-EO --seeds 0,1
    """
    names, numbers = [name for name in rows.split(",") if name], whole_numbers("--seeds", seeds, "0,1,2")
    check_json(json, out)
    if epochs is not None and epochs < 1:
        raise ValueError(f"--epochs {epochs} must be at least 1.")
    if target == Target.vae:
        result = _vae(names, numbers, epochs, data or "digits", out)
        emit(result, json, lambda console: console.print_json(data=result, default=str))
        return
    if out is None and (epochs is not None or data not in (None, "mnist")):
        raise ValueError(
            "--epochs and --data make results that are not the paper's; name their folder with --out."
        )
    folder = writable_folder(out or EXPERIMENTS / _paper(target))
    picked = _picked(target, names)
    if not stored:
        _run(picked, numbers, epochs, data or "mnist", folder)
    table, files = _present(target, folder)
    shown = [row for row in table if row.name in {each.name for each in picked}]
    result = {"rows": [dataclasses.asdict(row) for row in shown], "files": [str(path) for path in files]}
    emit(result, json, lambda console: _show(console, shown, files))


def _paper(target: Target) -> str:
    return "goemaere2023" if target == Target.table1 else "goemaere2024"


def _picked(target: Target, names: list[str]) -> "list[Experiment]":
    """The rows named, of those that the table or figure has."""
    from ..reproduce import FIGURES, TABLE1, TABLE2, chosen

    if target == Target.table1:
        return chosen(TABLE1, names)
    if target == Target.table2:
        return chosen(TABLE2, names)
    return chosen(chosen(TABLE2, FIGURES[target]), names)


def _run(rows: "list[Experiment]", seeds: Sequence[int], epochs: int | None, data: str, folder: Path) -> None:
    """Seed after seed, so that a whole table is there early."""
    from ...data import load
    from ..reproduce import run_row
    from .progress import progress_bar

    cache_compiled_code()
    dataset, console = load(data), error_console()
    for seed in seeds:
        for row in rows:
            with progress_bar(min(epochs or row.stop_after, row.stop_after)) as callback:
                found = run_row(row, seed, dataset, folder, epochs=epochs, callback=callback)
            told = f"{row.name}, seed {seed}: {found.paper_iterations:.2f} iterations, {found.accuracy:.2%}"
            console.print(told, soft_wrap=True)


def _present(target: Target, folder: Path) -> "tuple[list[TableRow], list[Path]]":
    """The whole table and its page, or the figure, from what is stored in `folder`."""
    from ..reproduce import FIGURES, TABLE1, TABLE2, draw, read_results, tabulate, write_page

    rows = TABLE1 if target == Target.table1 else TABLE2
    results = read_results(folder, [row.name for row in rows])
    table = tabulate(rows, results)
    if target in (Target.figure3, Target.figure4):
        drawn = [draw(target, results, folder)]
        return table, [path for path in drawn if path]
    figures = ["figure3-2023"] if target == Target.table1 else [name for name in FIGURES if "-" not in name]
    drawn = [draw(name, results, folder) for name in figures]
    files = [path for path in drawn if path]
    return table, [write_page(folder, table, results), *files]


def _show(console: Console, table: "list[TableRow]", files: list[Path]) -> None:
    from ..reproduce import HEADINGS, cells

    # Two tables, each of which fits a terminal of 80 columns: headings and lists, one entry a seed, are folded.
    for columns in ((0, 1, 2, 3, 4, 8, 9), (0, 6, 7, 10, 11, 5, 12)):
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for i in columns:
            heading = HEADINGS[i].replace(", ", "\n").replace("not ", "not\n")
            shown.add_column(heading, no_wrap=i not in (5, 12))
        for row in table:
            shown.add_row(*(cells(row)[i] for i in columns))
        console.print(shown)
    console.print("\n".join(str(path) for path in files), soft_wrap=True)


def _vae(rows: list[str], seeds: Sequence[int], epochs: int | None, data: str, out: Path | None) -> Any:
    from ..reproduce.vae import reproduce_vae

    cache_compiled_code()
    return reproduce_vae(rows, seeds, epochs, data, out)
