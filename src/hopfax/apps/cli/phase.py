"""`hopfax phase`: the phase transition of modern Hopfield networks in the inverse temperature."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from .output import Json, check_json, emit, error_console, writable_folder

if TYPE_CHECKING:
    from ...memory.phase import ClusterThresholds, Thresholds

app = typer.Typer(
    help="Phase transition of modern Hopfield networks: thresholds, minima and figures (derived here).",
    no_args_is_help=True,
)
MOST_PATTERNS = 2000  # whose minima are counted: all pairs of them are compared
THRESHOLDS = {
    "spinodal": "minima at the patterns appear",
    "coexistence": "they are as deep as the average of all patterns",
    "instability": "the average ceases to be a minimum",
}
CLUSTER_THRESHOLDS = {
    "cluster_minima_appear": "minima at the averages of the clusters appear",
    "centroid_unstable": "the average of all patterns ceases to be a minimum",
    "pattern_minima_appear": "minima at the patterns appear",
    "cluster_means_unstable": "the averages of the clusters cease to be minima",
}
Seed = Annotated[int, typer.Option(help="Random seed of the orientation of the patterns.")]


@app.command("thresholds")
def thresholds_command(
    patterns: Annotated[int, typer.Option(help="Number of equidistant patterns.")],
    norm: Annotated[
        float | None, typer.Option(help="Norm of the patterns, for thresholds in beta.", show_default=False)
    ] = None,
    cosine: Annotated[
        float | None,
        typer.Option(help="Cosine between any two patterns, for thresholds in beta.", show_default=False),
    ] = None,
    json: Json = None,
) -> None:
    """Print the three thresholds of equidistant patterns in the inverse temperature.

    Without --norm and --cosine, they are effective inverse temperatures:
    beta times half the squared distance of two patterns.

    Example: hopfax phase thresholds --patterns 100 --norm 1 --cosine 0.2
    """
    from ...memory.phase import thresholds

    check_json(json)
    if (norm is None) != (cosine is None):
        raise ValueError("--norm and --cosine go together; give both or none.")
    effective = thresholds(patterns)
    columns = {"effective beta": _named(effective)}
    result = {"patterns": patterns, **_named(effective), "overlap_at_spinodal": effective.overlap_at_spinodal}
    if norm is not None and cosine is not None:
        columns["beta"] = result["in_beta"] = _named(effective.in_beta(norm, cosine))

    def show(console: Console) -> None:
        console.print(_table(f"{patterns} equidistant patterns", THRESHOLDS, columns))
        overlap = f"{effective.overlap_at_spinodal:.4g}"
        console.print(
            f"Overlap of the new minima with their patterns at the spinodal: {overlap}", soft_wrap=True
        )

    emit(result, json, show)


@app.command("clusters")
def clusters_command(
    clusters: Annotated[int, typer.Option(help="Number of clusters.")],
    per_cluster: Annotated[int, typer.Option(help="Number of patterns in each cluster.")],
    within: Annotated[float, typer.Option(help="Cosine between patterns of a cluster.")],
    across: Annotated[float, typer.Option(help="Cosine between patterns of different clusters.")],
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """Print the four thresholds of clustered patterns of norm 1, by formula and by simulation.

    Example: hopfax phase clusters --clusters 4 --per-cluster 8 --within 0.9 --across 0
    """
    import jax

    from ...memory.phase import cluster_patterns, cluster_thresholds, simulate_cluster_thresholds

    check_json(json)
    formula = _fields(cluster_thresholds(clusters, per_cluster, within, across))
    with error_console().status("simulating"), jax.enable_x64(True):
        total, key = clusters * per_cluster, jax.random.key(seed)
        rows = cluster_patterns(clusters, per_cluster, within, across, total, 1.0, key)
        simulated = _fields(simulate_cluster_thresholds(rows, clusters))
    title = f"{clusters} clusters of {per_cluster} patterns"
    table = _table(title, CLUSTER_THRESHOLDS, {"beta, formula": formula, "beta, simulated": simulated})
    emit({**formula, "simulated": simulated}, json, lambda console: console.print(table))


@app.command("minima")
def minima_command(
    patterns: Annotated[Path, typer.Argument(metavar="FILE", help=".npy or .csv, one pattern a row.")],
    points: Annotated[int, typer.Option(help="Number of inverse temperatures.")] = 16,
    json: Json = None,
) -> None:
    """Count the distinct minima that the patterns of a file lead to, at several inverse temperatures.

    They range from an eighth of the spinodal of equidistant patterns with the
    same mean distance to eight times this spinodal.

    Example: hopfax phase minima stored.npy --points 32
    """
    import jax.numpy as jnp
    import numpy as np

    from ...memory.phase import beta_for_mean_field, count_minima, thresholds
    from .arrays import duplicates, read_rows

    check_json(json)
    rows = read_rows(patterns)
    if len(rows) > MOST_PATTERNS:
        raise ValueError(
            f"{patterns} has {len(rows)} rows; minima are counted for {MOST_PATTERNS} at most, take a sample."
        )
    if points < 2:
        raise ValueError(f"--points must be at least 2, got {points}.")
    guess = float(beta_for_mean_field(jnp.asarray(rows), thresholds(len(rows)).spinodal))
    betas = np.geomspace(guess / 8, 8 * guess, points)
    with error_console().status("relaxing"):
        counts = count_minima(rows, betas)
    result = {"patterns": len(rows), "duplicates": duplicates(rows), "equidistant_guess": guess}
    result |= {"beta": betas.tolist(), "minima": counts.tolist()}
    emit(result, json, lambda console: _show_minima(console, result))


@app.command("figures")
def figures_command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the figures.")],
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """Draw six figures of the phase transition, derived and simulated here, as PNG files.

    Example: hopfax phase figures --out figures
    """
    from ...figures.phase import draw_all

    check_json(json, out)
    folder = writable_folder(out)
    with error_console().status("simulating"):
        paths = [str(path) for path in draw_all(folder, seed)]
    emit({"figures": paths}, json, lambda console: console.print("\n".join(paths), soft_wrap=True))


def _named(thresholds: "Thresholds") -> dict[str, float]:
    return {name: getattr(thresholds, name) for name in THRESHOLDS}


def _fields(thresholds: "ClusterThresholds") -> dict[str, float]:
    return {name: getattr(thresholds, name) for name in CLUSTER_THRESHOLDS}


def _table(title: str, meanings: Mapping[str, str], columns: Mapping[str, Mapping[str, float]]) -> Table:
    """A row for each threshold, a column of numbers for each of `columns`."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("threshold", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right")
    table.add_column("what happens there")
    for name, meaning in meanings.items():
        numbers = (f"{column[name]:.6g}" for column in columns.values())
        table.add_row(name.replace("_", " "), *numbers, meaning)
    return table


def _show_minima(console: Console, result: dict[str, Any]) -> None:
    duplicates = f", {result['duplicates']} of them equal to others" if result["duplicates"] else ""
    table = Table(
        title=f"{result['patterns']} patterns{duplicates}", title_justify="left", box=box.SIMPLE_HEAD
    )
    for heading in ("beta", "distinct minima"):
        table.add_column(heading, justify="right")
    for beta, count in zip(result["beta"], result["minima"], strict=True):
        table.add_row(f"{beta:.4g}", str(count))
    console.print(table)
    guess = f"{result['equidistant_guess']:.4g}"
    console.print(
        f"Equidistant patterns with the same mean distance have one minimum below beta {guess}.",
        soft_wrap=True,
    )
