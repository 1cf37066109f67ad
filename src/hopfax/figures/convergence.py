"""Figures of convergence and training: heat maps of residuals, and curves of residuals, energies and losses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import PercentFormatter

from ..diagnostics.summaries import BINS, DECADES, TOLERANCES, TraceSummary, as_matrix, summarise
from .style import colours, integer_ticks, new_figure, remove_box

EMPTY = "#dcdce4"  # the colour of an empty bin, darker than the pale end of the colour scale
RESIDUAL = "relative residual"
MARKED: dict[str, Any] = {"linewidth": 2, "marker": "o", "markersize": 3}


def convergence_heatmap(
    axes: Axes,
    traces: Float[ArrayLike, "examples iterations"],
    tolerance: float = 1e-4,
    *,
    bins: int = BINS,
    most: float | None = None,
) -> Axes:
    """A heat map of the relative residuals of many examples over the iterations, as in the papers.

    Colour is the number of examples in each of `bins` bins of `log10` of the residual over [-8, 0], on a log scale.
    The dashed line is at `tolerance`. The curve is the mean iteration at which an example first falls below each of
    `1e-8 ... 1e-2`, in half decades, counted as in the papers (`paper_iterations`); the circle is that mean at
    `tolerance`. Residuals below 1e-8 are not drawn.

    Args:
        traces: the relative residual of each example at each iteration.
        bins: the number of bins; 400 in the papers, for 50,000 examples. Fewer examples need fewer bins.
        most: the count at the dark end of the colour scale, for panels that share one; the largest count if None.
    Raises: `ValueError` for traces without examples or iterations, no bins, or a tolerance outside (1e-8, 1).
    Source: [goemaere2024], Figs. 3 and 4, and code.
    """
    _check_tolerance(tolerance)
    return summary_heatmap(axes, summarise(traces, tolerance, bins), tolerance, most=most)


def summary_heatmap(
    axes: Axes, summary: TraceSummary, tolerance: float = 1e-4, *, most: float | None = None
) -> Axes:
    """`convergence_heatmap` of traces that were summarised before."""
    bins, iterations = summary.counts.shape
    axes.pcolormesh(
        np.arange(iterations + 1) - 0.5,
        np.linspace(*DECADES, bins + 1),
        np.ma.masked_equal(summary.counts, 0),
        norm=LogNorm(1, max(most or summary.counts.max(), 2)),
        cmap="magma_r",
        rasterized=True,
    )
    axes.set_facecolor(EMPTY)
    height = np.log10(tolerance)
    axes.axhline(height, color="white", linestyle="--", linewidth=1.8, path_effects=_outline("0.45", 3.0))
    curve = {"color": "cyan", "linewidth": 2, "path_effects": _outline("0.2", 3.6)}
    axes.plot(summary.mean_iterations, np.log10(TOLERANCES), **curve)
    circle = {"markersize": 8, "markerfacecolor": "white", "markeredgecolor": "black"}
    axes.plot(summary.mean_at_tolerance, height, "o", **circle)
    axes.set(
        xlim=(-0.5, iterations - 0.5), ylim=DECADES, xlabel="iteration", ylabel=f"log$_{{10}}$ {RESIDUAL}"
    )
    return integer_ticks(axes)


def convergence_figure(
    traces: Mapping[str, Float[ArrayLike, "examples iterations"]],
    tolerance: float = 1e-4,
    *,
    bins: int = BINS,
) -> Figure:
    """A `convergence_heatmap` for each model, two per row, on one colour scale.

    Raises: `ValueError` for no models, and as `convergence_heatmap`.
    """
    _check_tolerance(tolerance)
    colours("traces", traces)
    return summary_figure(
        {name: summarise(trace, tolerance, bins) for name, trace in traces.items()}, tolerance
    )


def summary_figure(
    summaries: Mapping[str, TraceSummary | None], tolerance: float = 1e-4, *, columns: int = 2
) -> Figure:
    """A `summary_heatmap` for each model, `columns` per row, on one colour scale.

    The panel of a model without a summary (None) says "not run yet". Panels in a column share the x axis.
    Raises: `ValueError` for no models.
    """
    rows = -(-len(colours("summaries", summaries)) // columns)
    most = max((float(summary.counts.max()) for summary in summaries.values() if summary), default=0)
    figure = new_figure(4.5 * columns, 0.8 + 3.1 * rows)
    grid = figure.subplots(rows, columns, sharex="col", sharey=True, squeeze=False)
    for index, (name, summary) in enumerate(summaries.items()):
        axes = grid.flat[index]
        if summary is None:
            axes.text(0.5, 0.5, "not run yet", transform=axes.transAxes, ha="center", color="0.5")
        else:
            summary_heatmap(axes, summary, tolerance, most=most)
        axes.set_title(name, fontweight="bold")
        axes.label_outer()
        if index + columns >= len(summaries):  # no panel is below this one
            axes.set_xlabel("iteration")
            axes.tick_params(labelbottom=True)
    for axes in grid.flat[len(summaries) :]:
        axes.set_visible(False)
    scale = ScalarMappable(LogNorm(1, max(most, 2)), "magma_r")
    figure.colorbar(scale, ax=grid, label="examples in a bin", format="%d", fraction=0.04, pad=0.02)
    return figure


def residual_curves(
    axes: Axes, traces: Mapping[str, Float[ArrayLike, "examples iterations"]], tolerance: float | None = 1e-4
) -> Axes:
    """The median relative residual of each model at each iteration, with the middle 80 % of the examples as a band.

    Raises: `ValueError` for no traces, or a tolerance outside (1e-8, 1).
    """
    for (name, trace), colour in zip(traces.items(), colours("traces", traces), strict=True):
        trace = as_matrix(f"traces[{name!r}]", trace)
        iteration = np.flatnonzero(~np.isnan(trace).all(axis=0))
        low, middle, high = np.nanquantile(trace[:, iteration], (0.1, 0.5, 0.9), axis=0)
        axes.fill_between(iteration, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(iteration, middle, color=colour, linewidth=2, label=name)
    if tolerance is not None:
        _check_tolerance(tolerance)
        axes.axhline(tolerance, color="0.4", linestyle="--", linewidth=1)
    axes.set(yscale="log", ylim=(10.0 ** DECADES[0], 2), xlabel="iteration", ylabel=RESIDUAL)
    return _finish(axes)


def energy_curves(axes: Axes, energies: Mapping[str, Float[ArrayLike, " sweeps"]]) -> Axes:
    """The energy of one example, in arbitrary units, after each sweep; one curve per model.

    Raises: `ValueError` for no energies.
    """
    for (name, energy), colour in zip(energies.items(), colours("energies", energies), strict=True):
        axes.plot(np.asarray(energy), color=colour, label=name, **MARKED)
    axes.set(xlabel="sweep", ylabel="energy")
    return _finish(axes)


def training_curves(
    axes: Axes, curves: Mapping[str, Sequence[float]], quantity: str = "loss", *, percent: bool = False
) -> Axes:
    """The value of `quantity` after each epoch, from epoch 1; one curve per model.

    Args:
        quantity: the label of the y axis.
        percent: whether fractions in [0, 1] are labelled as percentages.
    Raises: `ValueError` for no curves.
    """
    for (name, curve), colour in zip(curves.items(), colours("curves", curves), strict=True):
        axes.plot(np.arange(1, len(curve) + 1), curve, color=colour, label=name, **MARKED)
    axes.set(xlabel="epoch", ylabel=quantity)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return _finish(axes)


def _finish(axes: Axes) -> Axes:
    """`axes` with a legend, whole numbers along the x axis and no box."""
    axes.legend(frameon=False)
    return remove_box(integer_ticks(axes))


def _outline(colour: str, width: float) -> list:
    """An outline that makes a line visible on any background."""
    return [Stroke(linewidth=width, foreground=colour), Normal()]


def _check_tolerance(tolerance: float) -> None:
    if not 10.0 ** DECADES[0] < tolerance < 1:
        raise ValueError(f"`tolerance` must lie between 1e-8 and 1, got {tolerance}.")
