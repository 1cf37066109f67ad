"""`hopfax bench`: the time that hopfax and other libraries take for the same work."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from .options import names_among
from .output import Json, check_json, emit, error_console, writable_folder

if TYPE_CHECKING:
    from ..bench import BenchmarkResult

SHOWN_COLUMNS = 1, 2, 4, 5  # of the report's table; more would not fit a terminal of 80 columns


def bench(
    peers: Annotated[
        bool, typer.Option("--peers", help="Time the other libraries that are installed, too.")
    ] = False,
    only: Annotated[
        str,
        typer.Option(
            "--only",
            metavar="NAMES",
            help="Some of relax, solve, train, propagate and recall. Default: all.",
            show_default=False,
        ),
    ] = "",
    rounds: Annotated[int, typer.Option("--rounds", help="Timed calls of each implementation.")] = 20,
    hopdeq: Annotated[
        Path | None,
        typer.Option(
            "--hopdeq", metavar="DIR", help="Checkout of hopdeq (cgoemaere on GitHub).", show_default=False
        ),
    ] = None,
    energy_based_learning: Annotated[
        Path | None,
        typer.Option(
            "--energy-based-learning",
            metavar="DIR",
            help="Checkout of energy-based-learning (rain-neuromorphics on GitHub).",
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
    """Time hopfax and other libraries on the same work, in turn, and check each result.

    Use no other program on this machine in the meantime.

    Example: hopfax bench --rounds 3 --json times.json
    """
    from ..._internal.provenance import circumstances
    from ..bench import BENCHMARKS, PACKAGES, Peers, run_benchmark

    check_json(json, out)
    names = names_among("--only", only, BENCHMARKS)
    if rounds < 2:
        raise ValueError(f"--rounds {rounds} must be at least 2, to have a spread.")
    checkouts = {"hopdeq": hopdeq, "energy-based-learning": energy_based_learning}
    folders = {name: folder for name, folder in checkouts.items() if folder}
    if folders and not peers:
        raise ValueError(f"--{', --'.join(folders)} needs --peers; add it.")
    libraries, errors = Peers(peers, folders), error_console()
    folder = writable_folder(out) if out else None
    results = []
    for name in names:
        errors.print(f"{name}: {BENCHMARKS[name].work}", soft_wrap=True)
        results.append(run_benchmark(BENCHMARKS[name], libraries, rounds))
    content: dict[str, Any] = {"benchmarks": [dataclasses.asdict(result) for result in results]}
    content |= {"rounds": rounds, "circumstances": circumstances(PACKAGES)}
    if folder:
        _write(results, content, folder)
    emit(content, json, lambda console: _show(console, results))


def _write(results: "Sequence[BenchmarkResult]", content: dict[str, Any], folder: Path) -> None:
    from ..._internal.files import write_atomic, write_json
    from ..bench import draw, markdown

    write_json(folder / "peers.json", content)
    write_atomic(folder / "peers.md", markdown(results).encode())
    draw(results, folder / "peers.png")


def _show(console: Console, results: "Sequence[BenchmarkResult]") -> None:
    from ..bench.report import HEADINGS, cells

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for i in SHOWN_COLUMNS:
        table.add_column(HEADINGS[i], no_wrap=HEADINGS[i] != "check")
    for row in (row for result in results for row in result.rows):
        table.add_row(*(cells(row)[i] for i in SHOWN_COLUMNS))
    console.print(table)
    for result in results:
        if not result.fastest:
            console.print(f"{result.benchmark}: another library is faster. {result.remark}", soft_wrap=True)
