"""Figures: data in, `Axes` out.

The only module that imports matplotlib: import it where a figure is drawn.
"""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float, Real
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..diagnostics.convergence import paper_iterations
from .style import colours, tidy_counts

DECADES = (-8.0, 0.0)  # of the relative residual, from the floor of float32 to the first step from zero
BINS = 400
CURVE_TOLERANCES = 10.0 ** np.arange(-8.0, -1.75, 0.5)
EMPTY = "#dcdce4"  # a bin without examples: darker than the pale end of the colour scale
RESIDUAL = "relative residual"


def convergence_heatmap(
    axes: Axes,
    traces: Float[ArrayLike, "examples iterations"],
    tolerance: float = 1e-4,
    *,
    bins: int = BINS,
    most: float | None = None,
) -> Axes:
    """How many examples have which relative residual after how many iterations, as the papers draw it.

    Colour is the count in each of `bins` bins of `log10` residual over [-8, 0], on a log scale; the dashed
    line is at `tolerance`. The curve is the mean index at which an example first falls below each of
    `1e-8 ... 1e-2`, in half decades, as published (`paper_iterations`); the circle is that mean at `tolerance`.

    Args:
        bins: 400 in the papers, for 50,000 examples; fewer examples need fewer.
        most: the count at the dark end of the scale, for panels that share one; the largest count if None.

    Raises:
        ValueError: traces without examples or iterations, no bins, or a tolerance outside (1e-8, 1).

    Source: [goemaere2024], Figs. 3 and 4, and code; what is below 1e-8 is not drawn.
    """
    _check_tolerance(tolerance)
    return crossing_heatmap(axes, crossings(traces, tolerance, bins), tolerance, most=most)


class Crossings(eqx.Module):
    """What a heat map shows of many traces, without them.

    `counts`: examples in each bin of `log10` residual over [-8, 0], for each iteration. `means`: of the index
    of the first residual below each of `CURVE_TOLERANCES`. `mean`: the same at the tolerance drawn.
    """

    counts: Real[np.ndarray, "bins iterations"]
    means: Float[np.ndarray, " tolerances"]
    mean: float


def crossings(
    traces: Float[ArrayLike, "examples iterations"], tolerance: float = 1e-4, bins: int = BINS
) -> Crossings:
    """Of traces. Raises: `ValueError` for traces without examples or iterations, or no bins."""
    means = np.array([mean_crossing(traces, each) for each in CURVE_TOLERANCES])
    return Crossings(residual_counts(traces, bins), means, mean_crossing(traces, tolerance))


def crossing_heatmap(
    axes: Axes, found: Crossings, tolerance: float = 1e-4, *, most: float | None = None
) -> Axes:
    """`convergence_heatmap` of what is left of the traces."""
    bins, iterations = found.counts.shape
    axes.pcolormesh(
        np.arange(iterations + 1) - 0.5,
        np.linspace(*DECADES, bins + 1),
        np.ma.masked_equal(found.counts, 0),
        norm=LogNorm(1, max(most or found.counts.max(), 2)),
        cmap="magma_r",
        rasterized=True,
    )
    axes.set_facecolor(EMPTY)
    height = np.log10(tolerance)
    axes.axhline(height, color="white", linestyle="--", linewidth=1.8, path_effects=_outline("0.45", 3.0))
    curve = {"color": "cyan", "linewidth": 2, "path_effects": _outline("0.2", 3.6)}
    axes.plot(found.means, np.log10(CURVE_TOLERANCES), **curve)
    circle = {"markersize": 8, "markerfacecolor": "white", "markeredgecolor": "black"}
    axes.plot(found.mean, height, "o", **circle)
    axes.set(
        xlim=(-0.5, iterations - 0.5), ylim=DECADES, xlabel="iteration", ylabel=f"log$_{{10}}$ {RESIDUAL}"
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axes


def residual_counts(
    traces: Float[ArrayLike, "examples iterations"], bins: int = BINS
) -> Real[np.ndarray, "bins iterations"]:
    """Examples in each of `bins` bins of `log10` residual over [-8, 0], for each iteration; NaN in none."""
    traces = _matrix("traces", traces)
    if bins < 1:
        raise ValueError(f"`bins={bins}` must be at least 1.")
    with np.errstate(divide="ignore"):
        heights = np.log10(traces)
    columns = [np.histogram(column, bins, DECADES)[0] for column in heights.T]
    return np.stack(columns, axis=1)


def mean_crossing(traces: Float[ArrayLike, "examples iterations"], tolerance: float) -> float:
    """Mean over the examples of the index of the first residual below `tolerance`, as published."""
    index = paper_iterations(jnp.asarray(_matrix("traces", traces)), tolerance)
    return float(np.mean(np.asarray(index)))


def convergence_figure(
    traces: Mapping[str, Float[ArrayLike, "examples iterations"]],
    tolerance: float = 1e-4,
    *,
    bins: int = BINS,
) -> Figure:
    """A `convergence_heatmap` for each model, two a row, on one colour scale.

    Raises: `ValueError` for no models, and as `convergence_heatmap`.
    """
    _check_tolerance(tolerance)
    colours("traces", traces)
    return crossing_figure(
        {name: crossings(trace, tolerance, bins) for name, trace in traces.items()}, tolerance
    )


def crossing_figure(
    found: Mapping[str, Crossings | None], tolerance: float = 1e-4, *, columns: int = 2
) -> Figure:
    """A `crossing_heatmap` for each model, `columns` a row, on one colour scale; the panel of None says so.

    Panels of a column share the axis of iterations. Raises: `ValueError` for no models.
    """
    rows = -(-len(colours("found", found)) // columns)
    most = max((float(each.counts.max()) for each in found.values() if each), default=0)
    figure = Figure(figsize=(4.5 * columns, 0.8 + 3.1 * rows), layout="constrained", dpi=110)
    grid = figure.subplots(rows, columns, sharex="col", sharey=True, squeeze=False)
    for axes, (name, each) in zip(grid.flat, found.items(), strict=False):
        if each is None:
            axes.text(0.5, 0.5, "not run yet", transform=axes.transAxes, ha="center", color="0.5")
        else:
            crossing_heatmap(axes, each, tolerance, most=most)
        axes.set_title(name, fontweight="bold")
        axes.label_outer()
    for axes in grid.flat[len(found) :]:
        axes.set_visible(False)
    scale = ScalarMappable(LogNorm(1, max(most, 2)), "magma_r")
    figure.colorbar(scale, ax=grid, label="examples in a bin", format="%d", fraction=0.04, pad=0.02)
    return figure


def residual_curves(
    axes: Axes, traces: Mapping[str, Float[ArrayLike, "examples iterations"]], tolerance: float | None = 1e-4
) -> Axes:
    """Median relative residual of each model against the iteration, and the middle 80 % of the examples.

    Raises: `ValueError` for no traces, or a tolerance outside (1e-8, 1).
    """
    for (name, trace), colour in zip(traces.items(), colours("traces", traces), strict=True):
        trace = _matrix(f"traces[{name!r}]", trace)
        iteration = np.flatnonzero(~np.isnan(trace).all(axis=0))
        low, middle, high = np.nanquantile(trace[:, iteration], (0.1, 0.5, 0.9), axis=0)
        axes.fill_between(iteration, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(iteration, middle, color=colour, linewidth=2, label=name)
    if tolerance is not None:
        _check_tolerance(tolerance)
        axes.axhline(tolerance, color="0.4", linestyle="--", linewidth=1)
    axes.set(yscale="log", ylim=(10.0 ** DECADES[0], 2), xlabel="iteration", ylabel=RESIDUAL)
    axes.legend(frameon=False)
    return tidy_counts(axes)


def energy_curves(axes: Axes, energies: Mapping[str, Float[ArrayLike, " sweeps"]]) -> Axes:
    """Energy of one example (arbitrary unit) after each sweep, a curve a model.

    Raises: `ValueError` for no energies.
    """
    for (name, energy), colour in zip(energies.items(), colours("energies", energies), strict=True):
        axes.plot(np.asarray(energy), color=colour, linewidth=2, marker="o", markersize=3, label=name)
    axes.set(xlabel="sweep", ylabel="energy")
    axes.legend(frameon=False)
    return tidy_counts(axes)


def training_curves(
    axes: Axes, curves: Mapping[str, Sequence[float]], quantity: str = "loss", *, percent: bool = False
) -> Axes:
    """`quantity` after each epoch, from 1, a curve a model.

    Args: `percent` writes fractions in [0, 1] as percentages.
    Raises: `ValueError` for no curves.
    """
    for (name, curve), colour in zip(curves.items(), colours("curves", curves), strict=True):
        axes.plot(
            np.arange(1, len(curve) + 1),
            curve,
            color=colour,
            linewidth=2,
            marker="o",
            markersize=3,
            label=name,
        )
    axes.set(xlabel="epoch", ylabel=quantity)
    axes.legend(frameon=False)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return tidy_counts(axes)


def _outline(colour: str, width: float) -> list:
    """A line that stands out on any ground."""
    return [Stroke(linewidth=width, foreground=colour), Normal()]


def _matrix(argument: str, traces) -> np.ndarray:
    traces = np.asarray(traces)
    if traces.ndim != 2 or not traces.size:
        raise ValueError(
            f"`{argument}` has shape {traces.shape}; give (examples, iterations), at least one each."
        )
    return traces


def _check_tolerance(tolerance: float) -> None:
    if not 10.0 ** DECADES[0] < tolerance < 1:
        raise ValueError(f"`tolerance` must lie between 1e-8 and 1, got {tolerance}.")
