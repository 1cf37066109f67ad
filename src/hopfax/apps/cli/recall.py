"""`hopfax recall` and `hopfax calibrate`: memories of patterns from files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from .completing import complete_rows
from .output import Json, check_file, check_json, emit, error_console

if TYPE_CHECKING:
    import numpy as np

    from ...memory.recall import Recall

Queries = Annotated[
    Path,
    typer.Option(
        "--queries",
        metavar="FILE",
        help=".npy or .csv, one query a row; NaN, or a blank cell, marks an unknown value.",
    ),
]
OfNetwork = Annotated[
    Path | None,
    typer.Option(
        "--network",
        metavar="DIR",
        help="In place of --patterns: a finished `hopfax train --task completion`, which fills in unknown values.",
        show_default=False,
    ),
]
PatternsOrNetwork = Annotated[
    Path | None,
    typer.Option("--patterns", metavar="FILE", help=".npy or .csv, one pattern a row.", show_default=False),
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="File for the recalled rows, .npy or .csv.")]
Values = Annotated[
    Path | None,
    typer.Option(
        "--values",
        metavar="FILE",
        help="One row for each pattern, which is recalled in place of the pattern.",
        show_default=False,
    ),
]
Beta = Annotated[
    float | None,
    typer.Option("--beta", help="Inverse temperature. Default: calibrated.", show_default=False),
]
DotOption = Annotated[
    bool, typer.Option("--dot", help="Compare by the dot product, as attention does, and not by distance.")
]


def recall(
    queries: Queries,
    out: Out,
    patterns: PatternsOrNetwork = None,
    network: OfNetwork = None,
    values: Values = None,
    beta: Beta = None,
    dot: DotOption = False,
    json: Json = None,
) -> None:
    """Recall a stored pattern, or its values, from each query; or complete it with a trained network.

    The known values of a query with unknown ones are clamped. A .csv file may have names of columns
    and rows, as pandas writes them, and a .csv file of results has those of the queries.

    Example: hopfax recall --patterns stored.npy --queries corrupted.npy --out recalled.npy
    """
    import numpy as np

    from ...memory.memory import Memory
    from ...memory.similarities import Dot, Euclidean
    from .arrays import Rows, duplicates, read_rows, read_table, write_table

    check_json(json)
    check_file(out, ".npy", ".csv")
    if patterns is None and network is not None:
        if values is not None or beta is not None or dot:
            raise ValueError("--values, --beta and --dot are for --patterns; leave them out with --network.")
        complete_rows(network, queries, out, json)
        return
    if patterns is None or network is not None:
        raise ValueError("give either --patterns, a file, or --network, a folder of `hopfax train`.")
    stored = read_rows(patterns)
    asked = read_table(queries, stored.shape[1], missing=True)
    outputs = None if values is None else read_table(values)
    if outputs is not None and len(outputs.numbers) != len(stored):
        raise ValueError(
            f"{values} has {len(outputs.numbers)} rows for {len(stored)} patterns; give one for each."
        )
    with error_console().status("recalling"):
        memory = Memory.store(
            stored,
            "auto" if beta is None else beta,
            values=None if outputs is None else outputs.numbers,
            similarity=Dot() if dot else Euclidean(),
        )
        recalled = _recall(memory, asked.numbers)
    rows = np.asarray(recalled.state if recalled.value is None else recalled.value)
    columns = (asked if outputs is None else outputs).columns
    write_table(out, Rows(rows, columns, asked.index))
    result = {"beta": float(memory.beta), "duplicates": duplicates(stored), "queries": [*_rows(recalled)]}
    emit(result, json, lambda console: _show_recall(console, result, out))


def calibrate(
    patterns: Annotated[Path, typer.Argument(metavar="FILE", help=".npy or .csv, one pattern a row.")],
    fraction: Annotated[
        float, typer.Option(help="Fraction of the patterns that are to be fixed points.")
    ] = 0.99,
    dot: DotOption = False,
    json: Json = None,
) -> None:
    """Find the inverse temperature at which patterns become fixed points and their average ceases to be one.

    Example: hopfax calibrate stored.npy --fraction 0.95
    """
    from ...memory.calibration import calibrate as run
    from ...memory.similarities import Dot, Euclidean
    from .arrays import duplicates, read_rows

    check_json(json)
    stored = read_rows(patterns)
    with error_console().status("calibrating"):
        calibration = run(stored, fraction, similarity=Dot() if dot else Euclidean())
    names = (
        "beta",
        "global_beta",
        "recall_beta",
        "first_guess",
        "fraction",
        "attainable",
        "patterns",
        "probes",
    )
    result = {name: getattr(calibration, name) for name in names} | {"duplicates": duplicates(stored)}
    result["one_over_root_d"] = stored.shape[1] ** -0.5
    emit(result, json, lambda console: _show_calibration(console, result))


def _recall(memory, queries: "np.ndarray") -> "Recall":
    """All queries in one batch; NaN marks unknown values."""
    import numpy as np

    known = ~np.isnan(queries)
    return memory.recall(queries, None if known.all() else known)


def _rows(recalled: "Recall") -> Iterator[dict[str, Any]]:
    """What was recalled from each query."""
    from ...memory.phase import StateKind
    from ...solvers.equilibrium import Status

    for i in range(len(recalled.state)):
        yield {
            "kind": StateKind(int(recalled.kind[i])).name.lower(),
            "index": int(recalled.index[i]),
            "members": [int(member) for member in recalled.members[i] if member >= 0],
            "size": int(recalled.size[i]),
            "confidence": float(recalled.confidence[i]),
            "steps": int(recalled.steps[i]),
            "status": Status(int(recalled.status[i])).name,
        }


def _show_recall(console: Console, result: dict[str, Any], out: Path) -> None:
    queries = result["queries"]
    count = lambda name, value: sum(query[name] == value for query in queries)
    kinds = (
        f"single patterns {count('kind', 'pattern')}, averages of some {count('kind', 'subset')}, "
        f"the average of all {count('kind', 'global')}"
    )
    console.print(f"Queries: {len(queries)}, at beta {result['beta']:.4g}", soft_wrap=True)
    console.print(f"Recalled: {kinds}", soft_wrap=True)
    console.print(
        f"{len(queries) - count('status', 'converged')} of {len(queries)} queries did not converge",
        soft_wrap=True,
    )
    if result["duplicates"]:
        console.print(
            f"{result['duplicates']} patterns are equal to others and are recalled together.", soft_wrap=True
        )
    console.print(f"Written to {out}", soft_wrap=True)


def _show_calibration(console: Console, result: dict[str, Any]) -> None:
    table = Table("beta", "what it is", box=box.SIMPLE_HEAD, pad_edge=False)
    fraction = f"{result['fraction'] * result['attainable']:.4g}"
    table.add_row(f"{result['recall_beta']:.6g}", "to recall with: the larger of the next two")
    table.add_row(
        f"{result['beta']:.6g}", f"lowest at which a fraction {fraction} of the patterns are fixed points"
    )
    table.add_row(f"{result['global_beta']:.6g}", "lowest at which the average of all patterns is no minimum")
    table.add_row(
        f"{result['first_guess']:.6g}", "spinodal of equidistant patterns with the same mean distance"
    )
    table.add_row(f"{result['one_over_root_d']:.6g}", "1 / sqrt(d), as in attention")
    console.print(table)
    console.print(
        f"Patterns: {result['patterns']} different, of which {result['probes']} were tried; "
        f"{result['duplicates']} rows are equal to others.",
        soft_wrap=True,
    )
