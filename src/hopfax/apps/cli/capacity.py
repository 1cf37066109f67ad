"""`hopfax capacity`: how many random patterns a memory stores, compared with other memories and with theory."""

import enum
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..._internal.compiled import cache_compiled_code
from .options import split_names
from .output import Json, check_json, emit, result_table, stages, writable_folder

if TYPE_CHECKING:
    import numpy as np

    from ...memory.capacity.measure import PRNGKey, Store, Trial

POINTS = 9  # of a curve


class MemoryKind(enum.StrEnum):
    """Memories to measure."""

    hebb = "hebb"
    projection = "projection"
    storkey = "storkey"
    polynomial = "polynomial"
    modern = "modern"
    trained = "trained"


MEMORIES = """\
hebb, projection, storkey: binary Hopfield network by this learning rule.

polynomial: dense memory of degree 3.

modern: modern Hopfield network, with exponential separation.

trained: HAM with hidden neurons, trained on the patterns.
"""


def capacity(
    memory: Annotated[
        MemoryKind,
        typer.Argument(metavar="MEMORY", help=MEMORIES),
    ],
    neurons: Annotated[int, typer.Option(help="Number of neurons.")] = 100,
    flips: Annotated[float, typer.Option(help="Fraction of the signs flipped in the queries.")] = 0.1,
    fraction: Annotated[float, typer.Option(help="Fraction of the queries that must be recalled.")] = 0.9,
    most: Annotated[int, typer.Option(help="Largest number of patterns to try.")] = 1000,
    seed: Annotated[int, typer.Option(help="Random seed of the patterns and flips.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for the curves, as JSON and PNG.", show_default=False
        ),
    ] = None,
    compare: Annotated[
        str, typer.Option(metavar="NAMES", help="Other memories in the figures of --out.")
    ] = "hebb,polynomial,modern",
    json: Json = None,
) -> None:
    """Find by bisection how many random patterns of signs a memory recalls from corrupted queries.

    With --out, also draw recall against the number of patterns, flips and masks,
    capacity against the number of neurons, and a map of basins of attraction.

    It takes less than a minute for 64 neurons, on two cores, and with --out one to five minutes for each memory:
    nearly all of it is compilation, once for each number of patterns, which is kept for the next time.

    Example: hopfax capacity hebb --neurons 32 --most 32 --compare "" --out curves
    """
    import jax

    from ...memory.capacity.measure import Trial, basin_size, recall_rate
    from ...memory.capacity.measure import capacity as find_capacity
    from ...memory.capacity.patterns import Flip

    check_json(json, out)
    kinds = [memory, *(kind for kind in _kinds(compare) if kind != memory)]
    store, trial, key = _store(memory), Trial(neurons, corruption=Flip(flips)), jax.random.key(seed)
    folder = None if out is None else writable_folder(out)
    cache_compiled_code()
    about = "about 30 s" if folder is None else f"about {len(kinds)} to {5 * len(kinds)} minutes"
    with stages(2 if folder is None else 2 * len(kinds) + 3, about) as begin:
        begin(f"capacity of {memory}")
        low, high = find_capacity(store, trial, key, fraction=fraction, most=most)
        rate = recall_rate(store, trial, max(low, 1), key)
        half = max(low // 2, 1)
        begin(f"basins of {memory}")
        basin = basin_size(store, trial, half, key)
        files = [] if folder is None else _draw(folder, kinds, trial, (fraction, most, half), key, begin)
    result = {"memory": memory.value, "neurons": neurons, "flips": flips, "fraction": fraction}
    result |= {
        "holds": low,
        "fails": high,
        "recall_at_holds": rate.fraction,
        "interval": [rate.low, rate.high],
    }
    result |= {
        "theory": _theory(memory, neurons),
        "basin": {"patterns": half, "flips": basin},
        "files": files,
    }
    emit(result, json, lambda console: _show(console, result))


def _show(console: Console, result: dict[str, Any]) -> None:
    console.print(_sentence(result), soft_wrap=True)
    table = result_table("capacity", "patterns")
    low, high = result["interval"]
    table.add_row("measured", str(result["holds"]))
    for formula, patterns in result["theory"].items():
        table.add_row(f"theory, {formula}", f"{patterns:.4g}")
    console.print(table)
    queries = f"{result['recall_at_holds']:.0%} of the queries (95% interval {low:.0%} to {high:.0%})"
    console.print(f"At the measured capacity {queries} were recalled.", soft_wrap=True)
    console.print(
        "With {patterns} patterns, half of the queries are recalled up to {flips:.0%} of the signs flipped.".format(
            **result["basin"]
        ),
        soft_wrap=True,
    )
    console.print("\n".join(result["files"]), end="\n" if result["files"] else "", soft_wrap=True)


def _sentence(result: dict[str, Any]) -> str:
    """The capacity in words."""
    name, low, high = f"{result['memory']}, {result['neurons']} neurons", result["holds"], result["fails"]
    queries = f"{result['fraction']:.0%} of the queries with {result['flips']:.0%} of the signs flipped"
    if low == high:
        return f"{name}: {queries} are recalled with {low} patterns, the most that were tried (--most)."
    if low == 0:
        return f"{name}: not even one pattern is recalled from {queries}."
    return f"{name}: {queries} are recalled with {low} patterns, and not with {high}."


def _draw(
    folder: Path,
    kinds: Sequence[MemoryKind],
    trial: "Trial",
    limits: tuple[float, int, int],
    key: "PRNGKey",
    begin: Callable[[str], None],
) -> list[str]:
    """Draw curves of all `kinds` and the basins of the first.

    Args:
        limits: the fraction that must be recalled, the most patterns, and half the capacity of the first of `kinds`.
        begin: called with what is done next.
    """
    import numpy as np

    from ..._internal.files import write_json
    from ...figures.capacity import basin_figure, curves_figure
    from ...memory.capacity import curves as measure

    fraction, most, half = limits
    flips, masks = np.linspace(0, 0.5, POINTS).tolist(), np.linspace(0, 0.95, POINTS).tolist()
    counts, sizes = measure.loads(most, POINTS), _sizes(trial.neurons)
    stores = {kind.value: _store(kind) for kind in kinds}
    curves, growth = {}, {}
    for name, store in stores.items():
        begin(f"recall curves of {name}")
        curves[name] = measure.curves(store, trial, counts, (flips, masks), half, key)
        begin(f"capacity of {name} by size")
        growth[name] = measure.growth(store, trial, sizes, key, fraction=fraction, most=most)
    begin(f"map of basins of {kinds[0]}")
    basins = measure.basin_map(_store(kinds[0]), trial, measure.loads(4 * half + 1, POINTS), flips, key)
    lines = {kind.value: _theory_lines(kind, sizes) for kind in kinds}
    theory = {kind.value: _theory(kind, trial.neurons) for kind in kinds}
    curves_figure(curves, growth, theory, lines).savefig(folder / "capacity.png")
    basin_figure(basins, kinds[0].value).savefig(folder / "basins.png")
    content = {"curves": measure.as_lists(curves), "growth": measure.as_lists(growth), "theory": theory}
    content |= {"basins": measure.as_lists({kinds[0].value: basins}), "neurons": trial.neurons}
    write_json(folder / "capacity.json", content, indent=1)
    return [str(folder / name) for name in ("capacity.json", "capacity.png", "basins.png")]


def _sizes(neurons: int) -> list[int]:
    """Up to five numbers of neurons, the largest of them `neurons`."""
    return sorted({min(neurons, max(round(neurons / 2**step), 8)) for step in (3, 2, 1.5, 1, 0)})


def _theory_lines(kind: MemoryKind, sizes: Sequence[int]) -> "dict[str, np.ndarray]":
    """`_theory` at each size."""
    import numpy as np

    rows = [_theory(kind, size) for size in sizes]
    return {formula: np.array([row[formula] for row in rows]) for formula in rows[0]}


def _kinds(names: str) -> list[MemoryKind]:
    try:
        return [MemoryKind(name) for name in split_names(names)]
    except ValueError as error:
        raise ValueError(f"--compare {names!r}: {error}; choose from {', '.join(MemoryKind)}.") from error


def _store(kind: MemoryKind) -> "Store":
    import jax

    from ...memory import storage_rules
    from ...memory.capacity import memories

    others = {
        MemoryKind.polynomial: lambda: memories.polynomial(3),
        MemoryKind.modern: lambda: memories.modern(_beta),
        MemoryKind.trained: lambda: memories.trained(lambda visible: visible, jax.random.key(0)),
    }
    return others[kind]() if kind in others else memories.binary(getattr(storage_rules, kind.value))


def _beta(patterns) -> float:
    """Twice the spinodal of as many orthogonal patterns of signs."""
    from ...memory.phase import thresholds

    return 2 * thresholds(max(len(patterns), 2)).spinodal / patterns.shape[1]


def _theory(kind: MemoryKind, neurons: int) -> dict[str, float]:
    from ...memory.capacity import theory

    formulas = {
        MemoryKind.hebb: {"0.138 n": theory.hebbian(neurons), "n / (2 ln n)": theory.hebbian_exact(neurons)},
        MemoryKind.projection: {"n": float(neurons)},
        MemoryKind.storkey: {"n / sqrt(2 ln n)": theory.storkey(neurons)},
        MemoryKind.polynomial: {"n^2 / (6 ln n)": theory.polynomial(neurons, 3)},
        MemoryKind.modern: {"2^(n/2)": theory.exponential(neurons)},
        MemoryKind.trained: {},  # as many hidden as visible neurons; there is no theory of these
    }
    return formulas[kind]
