"""`hopfax recall` and `hopfax calibrate`: memories from files."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from .arrays import duplicates, note_duplicates, read_rows
from .output import Json, check_json, emit, error_console, writable_folder

Patterns = Annotated[
    Path, typer.Option("--patterns", metavar="FILE", help=".npy or .csv, one pattern a row.")
]
Queries = Annotated[
    Path, typer.Option("--queries", metavar="FILE", help="One query a row; NaN where a value is not known.")
]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the recalled rows go, as .npy.")]
Values = Annotated[
    Path | None,
    typer.Option(
        "--values",
        metavar="FILE",
        help="One row for each pattern: what it stands for, and what is read out in its place.",
        show_default=False,
    ),
]
Beta = Annotated[
    float | None,
    typer.Option("--beta", help="Inverse temperature; calibrated without it.", show_default=False),
]
DotOption = Annotated[
    bool, typer.Option("--dot", help="Compare by product, as attention does, not by distance.")
]


def recall(
    patterns: Patterns,
    queries: Queries,
    out: Out,
    values: Values = None,
    beta: Beta = None,
    dot: DotOption = False,
    json: Json = None,
) -> None:
    """Recall the pattern behind each query, or its values; known values of a query with NaN are held.

    Example: hopfax recall --patterns stored.npy --queries damaged.npy --out recalled.npy
    """
    from ...memory.memory import Memory
    from ...memory.similarities import Dot, Euclidean

    check_json(json)
    if out.suffix != ".npy":
        raise ValueError(f"--out {out} must end in .npy.")
    writable_folder(out.parent)
    stored = read_rows(patterns)
    asked = read_rows(queries, stored.shape[1], missing=True)
    outputs = None if values is None else read_rows(values)
    if outputs is not None and len(outputs) != len(stored):
        raise ValueError(f"{values} has {len(outputs)} rows for {len(stored)} patterns; give one for each.")
    with error_console().status("recalling"):
        memory = Memory.store(
            stored,
            "auto" if beta is None else beta,
            values=outputs,
            similarity=Dot() if dot else Euclidean(),
        )
        found = _recall(memory, asked)
    np.save(out, found.state if found.value is None else found.value)
    account = {"beta": float(memory.beta), "duplicates": duplicates(stored), "queries": [*_each(found)]}

    def show(console: Console) -> None:
        console.print(f"{len(asked)} recalled at beta {account['beta']:.4g}, in {out}", soft_wrap=True)
        console.print(note_duplicates(account["duplicates"]), end="\n" if account["duplicates"] else "")

    emit(account, json, show)


def calibrate(
    patterns: Annotated[Path, typer.Argument(metavar="FILE", help=".npy or .csv, one pattern a row.")],
    share: Annotated[float, typer.Option(help="Share of the patterns that are to be fixed points.")] = 0.99,
    dot: DotOption = False,
    json: Json = None,
) -> None:
    """The inverse temperature that suits patterns: where they become fixed points, where the average goes.

    Example: hopfax calibrate stored.npy --share 0.95
    """
    from ...memory.calibration import calibrate as run
    from ...memory.similarities import Dot, Euclidean

    check_json(json)
    stored = read_rows(patterns)
    with error_console().status("calibrating"):
        found = run(stored, share, similarity=Dot() if dot else Euclidean())
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
    result = {name: getattr(found, name) for name in names} | {"duplicates": duplicates(stored)}
    result["one_over_root_d"] = stored.shape[1] ** -0.5

    def show(console: Console) -> None:
        console.print("\n".join(f"{name}: {value:.6g}" for name, value in result.items()))

    emit(result, json, show)


def _recall(memory, asked: np.ndarray):
    """In one batch, with NaN for what is not known."""
    known = ~np.isnan(asked)
    return memory.recall(asked, None if known.all() else known)


def _each(found):
    """An account of each query."""
    from ...memory.phase import StateKind
    from ...solvers.equilibrium import Status

    for i in range(len(found.state)):
        yield {
            "kind": StateKind(int(found.kind[i])).name.lower(),
            "index": int(found.index[i]),
            "members": [int(m) for m in found.members[i] if m >= 0],
            "size": int(found.size[i]),
            "confidence": float(found.confidence[i]),
            "steps": int(found.steps[i]),
            "status": Status(int(found.status[i])).name,
        }
