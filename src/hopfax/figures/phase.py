"""The six figures of the phase transition: data from `analysis.phase` in, axes out.

Derived and simulated here; the figures of arXiv 2311.18434 were not available, and every title says so.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from ..memory import phase

LABEL = "derived and simulated here, not the paper's"


def order_parameter(axes: Axes, curves: Mapping[int, phase.Hysteresis]) -> Axes:
    """Figure 1: `m` against effective beta; solid upwards from the centroid, dashed downwards from a
    pattern.
    """
    for n, curve in curves.items():
        (line,) = axes.plot(curve.betas, curve.up, label=f"N = {n}")
        axes.plot(curve.betas, curve.down, "--", color=line.get_color())
    return _finish(axes, "Order parameter", "effective inverse temperature", "m")


def threshold_curves(axes: Axes, curves: phase.ThresholdCurves) -> Axes:
    """Figure 2: the three thresholds against the number of patterns."""
    for name in ("spinodal", "coexistence", "instability"):
        axes.plot(curves.sizes, getattr(curves, name), label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    return _finish(axes, "Thresholds", "number of patterns", "effective inverse temperature")


def collapse(
    axes: Axes,
    geometries: Sequence[phase.Geometry],
    curves: Sequence[phase.Hysteresis],
    effective: Float[np.ndarray, " betas"] | None = None,
) -> Axes:
    """Figure 3: one curve a geometry, against `beta`, or on top of one another against `effective` beta."""
    styles = itertools.cycle(((5, "-"), (3, "--"), (1.5, ":")))  # all are seen where they coincide
    for geometry, curve, (width, style) in zip(geometries, curves, styles, strict=False):
        label = f"d = {geometry.dimension}, r = {geometry.norm:g}, cos = {geometry.cosine:g}"
        betas = curve.betas if effective is None else effective
        axes.plot(betas, curve.down, style, linewidth=width, label=label)
    if effective is None:
        axes.set_xscale("log")
        return _finish(axes, "Geometries", "inverse temperature", "m")
    return _finish(axes, "Collapse", "effective inverse temperature", "m")


def energy_profiles(axes: Axes, profiles: phase.EnergyProfiles) -> Axes:
    """Figure 4: energy on the line from the centroid (m = 0) to a pattern (m = 1)."""
    for effective, energy in zip(profiles.effective, profiles.energy, strict=True):
        axes.plot(profiles.m, energy, label=f"effective beta {effective:.3g}")
    return _finish(axes, "Energy from centroid to pattern", "m", "beta (E - E at centroid)")


def start_shares(axes: Axes, shares: phase.Shares) -> Axes:
    """Figure 5: where random starts end."""
    for name, label in (("whole", "global"), ("subset", "subset"), ("pattern", "one pattern")):
        axes.plot(shares.betas, getattr(shares, name), label=label)
    return _finish(axes, "Random starts", "inverse temperature", "share")


def unequal_distances(axes: Axes, found: phase.UnequalDistances) -> Axes:
    """Figure 6: minima of clustered and of random patterns, with the predicted cluster thresholds."""
    axes.step(found.betas, found.cluster_minima, where="mid", label="clusters")
    axes.step(found.betas, found.random_minima, where="mid", label="random")
    predicted = found.predicted
    for beta, label in (
        (predicted.cluster_minima_appear, "predicted: minima of clusters, of their patterns"),
        (predicted.pattern_minima_appear, None),
    ):
        axes.axvline(beta, color="grey", linestyle=":", label=label)
    axes.set_xscale("log")
    return _finish(axes, "Unequal distances", "inverse temperature", "minima")


def draw_all(folder: Path, seed: int = 0) -> Iterator[Path]:
    """Simulates and writes `phase1.png` to `phase6.png`; figure 3 has two panels."""
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
        [lambda axes: start_shares(axes, phase.start_share_data(geometry, effective, keys[1], starts=200))],
        [lambda axes: unequal_distances(axes, phase.unequal_distance_data(betas, keys[2]))],
    ]
    for number, drawn in enumerate(panels, 1):
        yield _write(folder / f"phase{number}.png", drawn)


def _write(path: Path, panels: Sequence[Callable[[Axes], Axes]]) -> Path:
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.5 * len(panels), 4), squeeze=False, layout="constrained"
    )
    for place, draw in zip(axes[0], panels, strict=True):
        draw(place)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return path


def _finish(axes: Axes, title: str, x: str, y: str) -> Axes:
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(f"{title}\n({LABEL})", fontsize="small")
    axes.legend(fontsize="small")
    return axes
