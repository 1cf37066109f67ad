"""`hopfax capacity`: how many random patterns a kind of memory holds, beside others and beside theory."""

import enum
import json as json_format
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from .output import Json, check_json, emit, error_console, writable_folder

POINTS = 9  # of a curve


class Kind(enum.StrEnum):
    """Memories to measure."""

    hebb = "hebb"
    projection = "projection"
    storkey = "storkey"
    polynomial = "polynomial"
    modern = "modern"
    trained = "trained"


def capacity(
    memory: Annotated[Kind, typer.Argument(help="Which kind of memory.")],
    neurons: Annotated[int, typer.Option(help="Number of neurons.")] = 100,
    flips: Annotated[float, typer.Option(help="Share of signs flipped in the queries.")] = 0.1,
    share: Annotated[float, typer.Option(help="Share of queries to be recalled right.")] = 0.9,
    most: Annotated[int, typer.Option(help="Stop looking at this many patterns.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the patterns and flips.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for curves and a map of basins, as JSON and PNG.",
            show_default=False,
        ),
    ] = None,
    beside: Annotated[
        str, typer.Option(metavar="NAMES", help="Memories in the same figure, such as hebb,modern.")
    ] = "hebb,polynomial,modern",
    json: Json = None,
) -> None:
    """Bisect for the number of random patterns of signs at which recall falls below a share.

    With --out, also draw recall against load, flips and masks, and capacity against size.

    Example: hopfax capacity modern --neurons 64 --flips 0.2 --out curves
    """
    import jax

    from ...memory.capacity.measure import Trial, basin_size, recall_rate
    from ...memory.capacity.measure import capacity as search
    from ...memory.capacity.patterns import Flip

    check_json(json, out)
    others = [memory, *(kind for kind in _kinds(beside) if kind != memory)]
    store, trial, key = _store(memory), Trial(neurons, corruption=Flip(flips)), jax.random.key(seed)
    folder = None if out is None else writable_folder(out)
    with error_console().status("measuring"):
        low, high = search(store, trial, key, fraction=share, most=most)
        at = recall_rate(store, trial, max(low, 1), key)
        half = max(low // 2, 1)
        basin = basin_size(store, trial, half, key)
        files = [] if folder is None else _draw(folder, others, trial, (share, most), half, key)
    result = {"memory": memory.value, "neurons": neurons, "flips": flips, "holds": low, "fails": high}
    result |= {
        "recall_at_holds": at.fraction,
        "interval": [at.low, at.high],
        "theory": _theory(memory, neurons),
    }
    result |= {"basin": {"patterns": half, "flips": basin}, "files": files}
    emit(result, json, lambda console: _show(console, result))


def _show(console: Console, result: dict[str, Any]) -> None:
    names = ("memory", "neurons", "holds", "fails")
    lines = ["{}, {} neurons: {} patterns hold, {} do not".format(*(result[name] for name in names))]
    lines += [f"theory: {result['theory']}"]
    lines += ["basin: {flips:.0%} of the signs flipped, {patterns} patterns".format(**result["basin"])]
    console.print("\n".join([*lines, *result["files"]]), soft_wrap=True)


def _draw(folder: Path, kinds: list[Kind], trial, limits: tuple[float, int], half: int, key) -> list[str]:
    """Curves of all `kinds`, and the basins of the first, which holds twice `half` patterns."""
    from ...figures.capacity import basin_figure, curves_figure
    from ...memory.capacity import curves as measure

    share, most = limits
    flips, masks = np.linspace(0, 0.5, POINTS).tolist(), np.linspace(0, 0.95, POINTS).tolist()
    counts, sizes = measure.loads(most, POINTS), _sizes(trial.neurons)
    stores = {kind.value: _store(kind) for kind in kinds}
    curves = {n: measure.curves(s, trial, counts, (flips, masks), half, key) for n, s in stores.items()}
    growth = {n: measure.growth(s, trial, sizes, key, fraction=share, most=most) for n, s in stores.items()}
    basins = measure.basin_map(_store(kinds[0]), trial, measure.loads(4 * half + 1, POINTS), flips, key)
    lines = {kind.value: _lines(kind, sizes) for kind in kinds}
    theory = {kind.value: _theory(kind, trial.neurons) for kind in kinds}
    curves_figure(curves, growth, theory, lines).savefig(folder / "capacity.png")
    basin_figure(basins, kinds[0].value).savefig(folder / "basins.png")
    content = {"curves": measure.as_lists(curves), "growth": measure.as_lists(growth), "theory": theory}
    content |= {"basins": measure.as_lists({kinds[0].value: basins}), "neurons": trial.neurons}
    text = json_format.dumps(content, indent=1)
    (folder / "capacity.json").write_text(text + "\n", encoding="utf-8")
    return [str(folder / name) for name in ("capacity.json", "capacity.png", "basins.png")]


def _sizes(neurons: int) -> list[int]:
    """Up to five numbers of neurons, the largest `neurons`."""
    return sorted({min(neurons, max(round(neurons / 2**step), 8)) for step in (3, 2, 1.5, 1, 0)})


def _lines(kind: Kind, sizes: list[int]) -> dict[str, np.ndarray]:
    """`_theory` at each size."""
    found = [_theory(kind, size) for size in sizes]
    return {formula: np.array([each[formula] for each in found]) for formula in found[0]}


def _kinds(names: str) -> list[Kind]:
    try:
        return [Kind(name.strip()) for name in names.split(",") if name.strip()]
    except ValueError as error:
        raise ValueError(f"--beside {names!r}: {error}; choose from {', '.join(Kind)}.") from error


def _store(memory: Kind):
    import jax

    from ...memory import binary as classical
    from ...memory.capacity import memories as stores

    others = {
        Kind.polynomial: lambda: stores.polynomial(3),
        Kind.modern: lambda: stores.modern(_beta),
        Kind.trained: lambda: stores.trained(lambda visible: visible, jax.random.key(0)),
    }
    return others[memory]() if memory in others else stores.binary(getattr(classical, memory.value))


def _beta(patterns):
    """Twice the spinodal of as many orthogonal patterns of signs."""
    from ...memory.phase import thresholds

    return 2 * thresholds(max(len(patterns), 2)).spinodal / patterns.shape[1]


def _theory(memory: Kind, neurons: int) -> dict[str, float]:
    from ...memory.capacity import theory as theory

    lines = {
        Kind.hebb: {"0.138 n": theory.hebbian(neurons), "n / (2 ln n)": theory.hebbian_exact(neurons)},
        Kind.projection: {"n": float(neurons)},
        Kind.storkey: {"n / sqrt(2 ln n)": theory.storkey(neurons)},
        Kind.polynomial: {"n^2 / (6 ln n)": theory.polynomial(neurons, 3)},
        Kind.modern: {"2^(n/2)": theory.exponential(neurons)},
        Kind.trained: {},  # no theory of these: as many hidden as visible neurons, trained on the patterns
    }
    return lines[memory]
