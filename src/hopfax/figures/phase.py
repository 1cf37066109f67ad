"""The six figures of the phase transition, from the numbers of `hopfax.memory.phase`.

All are derived and simulated by hopfax, since the figures of arXiv 2311.18434 were not available; every title says so.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax.random as jr
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from ..memory import phase
from .style import colours, new_figure, remove_box

LABEL = "derived and simulated with hopfax, not the paper's"


def order_parameter(axes: Axes, curves: Mapping[int, phase.Hysteresis]) -> Axes:
    """Figure 1: `m` against effective beta, solid for increasing beta, from the centroid, dashed for decreasing."""
    for (n, curve), colour in zip(curves.items(), colours("curves", curves), strict=True):
        axes.plot(curve.betas, curve.up, color=colour, label=f"N = {n}")
        axes.plot(curve.betas, curve.down, "--", color=colour)
    return _finish(axes, "Order parameter", "effective inverse temperature", "m")


def threshold_curves(axes: Axes, curves: phase.ThresholdCurves) -> Axes:
    """Figure 2: the three thresholds against the number of patterns."""
    names = ("spinodal", "coexistence", "instability")
    for name, colour in zip(names, colours("names", names), strict=True):
        axes.plot(curves.sizes, getattr(curves, name), color=colour, label=name)
    axes.set(xscale="log", yscale="log")
    return _finish(axes, "Thresholds", "number of patterns", "effective inverse temperature")


def collapse(
    axes: Axes,
    geometries: Sequence[phase.Geometry],
    curves: Sequence[phase.Hysteresis],
    effective: Float[np.ndarray, " betas"] | None = None,
) -> Axes:
    """Figure 3: one curve per geometry, against `beta`, or against `effective` beta, where the curves coincide."""
    styles = itertools.cycle(((5, "-"), (3, "--"), (1.5, ":")))  # all are visible where they coincide
    rows = zip(geometries, curves, colours("geometries", geometries), strict=True)
    for (geometry, curve, colour), (width, style) in zip(rows, styles, strict=False):
        label = f"d = {geometry.dimension}, r = {geometry.norm:g}, cos = {geometry.cosine:g}"
        betas = curve.betas if effective is None else effective
        axes.plot(betas, curve.down, style, color=colour, linewidth=width, label=label)
    if effective is None:
        axes.set_xscale("log")
        return _finish(axes, "Geometries", "inverse temperature", "m")
    return _finish(axes, "Collapse", "effective inverse temperature", "m")


def energy_profiles(axes: Axes, profiles: phase.EnergyProfiles) -> Axes:
    """Figure 4: the energy on the line from the centroid (m = 0) to a pattern (m = 1)."""
    rows = zip(profiles.effective, profiles.energy, colours("profiles", profiles.effective), strict=True)
    for effective, energy, colour in rows:
        axes.plot(profiles.m, energy, color=colour, label=f"effective beta {effective:.3g}")
    return _finish(axes, "Energy from centroid to pattern", "m", "beta (E - E at centroid)")


def start_fractions(axes: Axes, fractions: phase.StartFractions) -> Axes:
    """Figure 5: the fraction of random starts that end at each kind of fixed point."""
    labels = {"global_average": "average of all", "subset": "average of some", "pattern": "one pattern"}
    for (name, label), colour in zip(labels.items(), colours("labels", labels), strict=True):
        axes.plot(fractions.betas, getattr(fractions, name), color=colour, label=label)
    return _finish(axes, "Random starts", "inverse temperature", "fraction")


def unequal_distances(axes: Axes, counts: phase.UnequalDistances) -> Axes:
    """Figure 6: the number of minima of clustered and of random patterns, with the predicted cluster thresholds."""
    curves = {"clusters": counts.cluster_minima, "random": counts.random_minima}
    for (label, minima), colour in zip(curves.items(), colours("curves", curves), strict=True):
        axes.step(counts.betas, minima, where="mid", color=colour, label=label)
    predicted = counts.predicted
    axes.axvline(
        predicted.cluster_minima_appear,
        color="grey",
        linestyle=":",
        label="predicted: a minimum per cluster, then per pattern",
    )
    axes.axvline(predicted.pattern_minima_appear, color="grey", linestyle=":")
    axes.set_xscale("log")
    return _finish(axes, "Unequal distances", "inverse temperature", "minima")


def draw_all(folder: str | Path, seed: int = 0) -> Iterator[Path]:
    """Simulate and write `phase1.png` to `phase6.png` into `folder`; figure 3 has two panels."""
    keys = jr.split(jr.key(seed), 3)
    effective, fine = np.linspace(2.0, 12.0, 41), np.linspace(2.0, 12.0, 401)
    geometries = [
        phase.Geometry(10, d, r, c) for d, r, c in ((32, 1.0, 0.0), (16, 2.0, 0.5), (12, 0.5, -0.05))
    ]
    curves = phase.collapse_data(geometries, effective, keys[0])
    geometry, betas = phase.Geometry(10, 32, 1.0, 0.0), np.geomspace(1, 60, 30)
    panels: list[list[Callable[[Axes], Axes]]] = [
        [lambda axes: order_parameter(axes, phase.order_parameter_data([3, 5, 10], fine))],
        [
            lambda axes: threshold_curves(
                axes, phase.threshold_data(np.geomspace(2, 1e6, 60).astype(int).tolist())
            )
        ],
        [
            lambda axes: collapse(axes, geometries, curves),
            lambda axes: collapse(axes, geometries, curves, effective),
        ],
        [lambda axes: energy_profiles(axes, phase.energy_profile_data(10))],
        [
            lambda axes: start_fractions(
                axes, phase.start_fraction_data(geometry, effective, keys[1], starts=200)
            )
        ],
        [lambda axes: unequal_distances(axes, phase.unequal_distance_data(betas, keys[2]))],
    ]
    for number, draw in enumerate(panels, 1):
        yield _write(Path(folder) / f"phase{number}.png", draw)


def _write(path: Path, panels: Sequence[Callable[[Axes], Axes]]) -> Path:
    figure = new_figure(5.5 * len(panels), 4.0)
    for axes, draw in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw(axes)
    figure.savefig(path, dpi=150)
    return path


def _finish(axes: Axes, title: str, x: str, y: str) -> Axes:
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(f"{title}\n({LABEL})", fontsize="small")
    axes.legend(fontsize="small")
    return remove_box(axes)
