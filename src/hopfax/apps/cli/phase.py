"""`hopfax phase`: thresholds, clusters, minima and figures of the phase transition in inverse temperature."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from .arrays import duplicates, read_rows
from .output import Json, check_json, emit, error_console, writable_folder

app = typer.Typer(help="Phase transition of modern Hopfield networks (derived here).", no_args_is_help=True)
_MOST = 2000  # patterns whose minima are counted: all pairs of them are compared
Seed = Annotated[int, typer.Option(help="Orientation of the patterns.")]


@app.command("thresholds")
def thresholds_command(
    patterns: Annotated[int, typer.Option(help="Number of equidistant patterns.")],
    beta_norm: Annotated[float | None, typer.Option(help="Their norm, for thresholds in beta.")] = None,
    cosine: Annotated[
        float | None, typer.Option(help="Their pairwise cosine, for thresholds in beta.")
    ] = None,
    json: Json = None,
) -> None:
    """Effective inverse temperatures at which minima appear, are equally deep, and the centroid goes.

    Example: hopfax phase thresholds --patterns 100 --beta-norm 1 --cosine 0.2
    """
    from ...memory.phase import thresholds

    check_json(json)
    if (beta_norm is None) != (cosine is None):
        raise ValueError("--beta-norm and --cosine go together; give both or none.")
    found = thresholds(patterns)
    result = {"patterns": patterns, **_named(found), "overlap_at_spinodal": found.overlap_at_spinodal}
    if beta_norm is not None and cosine is not None:
        result["in_beta"] = _named(found.in_beta(beta_norm, cosine))
    emit(result, json, lambda console: _show(console, result))


@app.command("clusters")
def clusters_command(
    clusters: Annotated[int, typer.Option(help="Number of clusters.")],
    per_cluster: Annotated[int, typer.Option(help="Patterns in each.")],
    within: Annotated[float, typer.Option(help="Cosine within a cluster.")],
    across: Annotated[float, typer.Option(help="Cosine between clusters.")],
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """The four thresholds of patterns in clusters, by formula and by simulation.

    Example: hopfax phase clusters --clusters 4 --per-cluster 8 --within 0.9 --across 0
    """
    import jax

    from ...memory.phase import cluster_patterns, cluster_thresholds, simulate_cluster_thresholds

    check_json(json)
    predicted = cluster_thresholds(clusters, per_cluster, within, across)
    with error_console().status("simulating"), jax.enable_x64(True):
        total, key = clusters * per_cluster, jax.random.key(seed)
        rows = cluster_patterns(clusters, per_cluster, within, across, total, 1.0, key)
        simulated = simulate_cluster_thresholds(rows, clusters)
    result = {**_fields(predicted), "simulated": _fields(simulated)}
    emit(result, json, lambda console: _show(console, result))


@app.command("minima")
def minima_command(
    patterns: Annotated[Path, typer.Argument(metavar="FILE", help=".npy or .csv, one pattern a row.")],
    points: Annotated[int, typer.Option(help="Number of inverse temperatures.")] = 16,
    json: Json = None,
) -> None:
    """Number of distinct minima that patterns settle into, around where the equidistant formula puts them.

    Example: hopfax phase minima stored.npy --points 32
    """
    import jax.numpy as jnp

    from ...memory.phase import beta_for_mean_field, count_minima, thresholds

    check_json(json)
    rows = read_rows(patterns)
    if len(rows) > _MOST:
        raise ValueError(
            f"{patterns} has {len(rows)} rows; minima are counted for {_MOST} at most, take a sample."
        )
    if points < 2:
        raise ValueError(f"--points must be at least 2, got {points}.")
    guess = float(beta_for_mean_field(jnp.asarray(rows), thresholds(len(rows)).spinodal))
    betas = np.geomspace(guess / 8, 8 * guess, points)
    with error_console().status("settling"):
        counts = count_minima(rows, betas)
    about = {"patterns": len(rows), "duplicates": duplicates(rows), "equidistant_guess": guess}
    result = {**about, "beta": betas.tolist(), "minima": counts.tolist()}
    emit(result, json, lambda console: _show(console, result))


@app.command("figures")
def figures_command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the figures.")],
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """The six figures of the phase transition, derived and simulated here, as PNG files.

    Example: hopfax phase figures --out figures
    """
    from ...figures.phase import draw_all

    check_json(json, out)
    folder = writable_folder(out)
    with error_console().status("simulating"):
        paths = [str(path) for path in draw_all(folder, seed)]
    emit({"figures": paths}, json, lambda console: console.print("\n".join(paths), soft_wrap=True))


def _named(found) -> dict[str, float]:
    return {name: getattr(found, name) for name in ("spinodal", "coexistence", "instability")}


def _fields(found) -> dict[str, float]:
    names = ("cluster_minima_appear", "centroid_unstable", "pattern_minima_appear", "cluster_means_unstable")
    return {name: getattr(found, name) for name in names}


def _show(console: Console, result: dict) -> None:
    for name, value in result.items():
        console.print(
            f"{name}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}", soft_wrap=True
        )
