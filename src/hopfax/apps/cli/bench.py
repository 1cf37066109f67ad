"""`hopfax bench`: hopfax beside other libraries."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from .output import Json, check_json, emit, error_console, writable_folder

if TYPE_CHECKING:
    from ..bench import Outcome

SHOWN = 1, 2, 4, 5  # of the table's columns, what a terminal of 80 columns holds


def bench(
    peers: Annotated[
        bool, typer.Option("--peers", help="Other libraries that are installed take part.")
    ] = False,
    only: Annotated[
        str,
        typer.Option(
            "--only", metavar="NAMES", help="Of relax, solve, train, propagate, recall; all if not given."
        ),
    ] = "",
    rounds: Annotated[int, typer.Option("--rounds", help="Timed calls of each contestant.")] = 20,
    hopdeq: Annotated[
        Path | None,
        typer.Option("--hopdeq", metavar="DIR", help="A checkout of cgoemaere/hopdeq.", show_default=False),
    ] = None,
    energy_based_learning: Annotated[
        Path | None,
        typer.Option(
            "--energy-based-learning",
            metavar="DIR",
            help="A checkout of rain-neuromorphics/energy-based-learning.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for peers.json, peers.md and peers.png.", show_default=False
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Time the same work by hopfax and others, in turn, checking what each gives; leave the machine alone.

    Example: hopfax bench --rounds 3 --json times.json
    """
    from ..._internal.provenance import circumstances
    from ..bench import CONTESTS, PACKAGES, Peers, hold

    check_json(json, out)
    names = [name for name in only.split(",") if name] or list(CONTESTS)
    if unknown := [name for name in names if name not in CONTESTS]:
        raise ValueError(f"--only {','.join(unknown)}: choose from {', '.join(CONTESTS)}.")
    if rounds < 2:
        raise ValueError(f"--rounds {rounds} must be at least 2, to have a spread.")
    folders = {"hopdeq": hopdeq, "energy-based-learning": energy_based_learning}
    given = {name: folder for name, folder in folders.items() if folder}
    if given and not peers:
        raise ValueError(f"{', '.join(given)} only take part with --peers; add it.")
    taking_part, console = Peers(peers, given), error_console()
    folder = writable_folder(out) if out else None
    outcomes = []
    for name in names:
        console.print(f"{name}: {CONTESTS[name].work}", soft_wrap=True)
        outcomes.append(hold(CONTESTS[name], taking_part, rounds))
    result = {"contests": [dataclasses.asdict(each) for each in outcomes], "rounds": rounds}
    result["circumstances"] = circumstances(PACKAGES)
    if folder:
        _keep(outcomes, result, folder)
    emit(result, json, lambda console: _show(console, outcomes))


def _keep(outcomes: "list[Outcome]", result: dict, folder: Path) -> None:
    from ..._internal.files import write_atomic, write_json
    from ..bench import draw, markdown

    write_json(folder / "peers.json", result)
    write_atomic(folder / "peers.md", markdown(outcomes).encode())
    draw(outcomes, folder / "peers.png")


def _show(console: Console, outcomes: "list[Outcome]") -> None:
    from ..bench.report import HEADINGS, cells

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for i in SHOWN:
        table.add_column(HEADINGS[i], no_wrap=HEADINGS[i] != "check")
    for row in (row for outcome in outcomes for row in outcome.rows):
        table.add_row(*(cells(row)[i] for i in SHOWN))
    console.print(table)
    for outcome in outcomes:
        if not outcome.leads:
            console.print(f"{outcome.contest}: not the fastest here. {outcome.remark}", soft_wrap=True)
