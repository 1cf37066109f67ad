"""Figures of what memories hold: curves from `analysis.capacity_curves` in, figures out."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ..memory.capacity.curves import BasinMap, Curves, Growth
from ..memory.capacity.measure import Curve
from .style import PALETTE, tidy

LABEL = "measured here; lines of theory as cited in hopfax.memory.capacity.theory"


def curves_figure(
    curves: Mapping[str, Curves],
    growth: Mapping[str, Growth],
    theory: Mapping[str, Mapping[str, float]],
    lines: Mapping[str, Mapping[str, np.ndarray]],
) -> Figure:
    """Four panels, a colour a memory: recall against load, flips and masks; capacity against neurons.

    Args:
        theory: for each memory, named numbers of patterns, drawn as upright lines in the first panel.
        lines: for each memory, named numbers of patterns at the sizes of its `growth`, in the last.
    Raises: `ValueError` where there is nothing to draw.
    """
    if not curves:
        raise ValueError("`curves` is empty; give at least one memory by its name.")
    figure = Figure(figsize=(11, 8), layout="constrained", dpi=110)
    (load, flips), (masks, size) = figure.subplots(2, 2)
    colours = dict(zip(curves, PALETTE * len(curves), strict=False))
    count = next(iter(curves.values())).count
    for name, found in curves.items():
        recall_curve(load, found.load, name, colours[name])
        recall_curve(flips, found.flips, name, colours[name])
        recall_curve(masks, found.masks, name, colours[name])
    load.set(xscale="log", xlabel="patterns")
    theory_lines(load, theory, colours)
    flips.set(xlabel=f"share of signs flipped, {count} patterns", xlim=(0, None))
    masks.set(xlabel=f"share of values masked, {count} patterns", xlim=(0, None))
    for name, found in growth.items():
        growth_curve(size, found, lines.get(name, {}), name, colours[name])
    figure.legend(*load.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(LABEL, fontsize=9, color="0.4")
    return figure


def recall_curve(axes: Axes, curve: Curve, name: str, colour: str) -> Axes:
    """Share recalled, with its 95 % interval as a band."""
    axes.fill_between(curve.values, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(curve.values, curve.share, "o-", color=colour, markersize=3.5, label=name)
    axes.set(ylim=(-0.03, 1.03), ylabel="recalled")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return tidy(axes)


def theory_lines(axes: Axes, theory: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> Axes:
    """Upright lines in the colour of each memory; one beyond the axis has no line, only a label."""
    low, high = axes.get_xlim()
    for name, numbers in theory.items():
        for style, (formula, value) in zip(("--", ":", "-."), numbers.items(), strict=False):
            label = f"{name}: {formula} = {value:.3g}"
            seen = low <= value <= high
            axes.plot([], [], style if seen else " ", color=colours[name], label=label)
            if seen:
                axes.axvline(value, color=colours[name], linestyle=style, linewidth=1.2)
    return axes


def growth_curve(axes: Axes, found: Growth, lines: Mapping[str, np.ndarray], name: str, colour: str) -> Axes:
    """Between what holds and what fails; an arrow where all that was tried is held; theory broken."""
    middle = np.sqrt(np.maximum(found.holds, 0.7) * found.fails)
    open_ended = found.holds == found.fails
    axes.errorbar(
        found.neurons,
        middle,
        (middle - np.maximum(found.holds, 0.7), found.fails - middle),
        fmt="o",
        markersize=4,
        lolims=open_ended,
        color=colour,
        label=name,
    )
    for style, (formula, values) in zip(("--", ":", "-."), lines.items(), strict=False):
        axes.plot(found.neurons, values, style, color=colour, linewidth=1.2, label=f"{name}: {formula}")
    axes.set(xscale="log", yscale="log", xlabel="neurons", ylabel="capacity, patterns")
    # What theory adds beyond the measured would flatten them: a line may leave the panel.
    axes.set_ylim(0.5, max(axes.get_ylim()[1] if axes.lines else 1, 3.0 * found.fails.max()))
    axes.set_xticks(found.neurons, [f"{n}" for n in found.neurons])
    axes.minorticks_off()
    return tidy(axes)


def basin_figure(found: BasinMap, name: str) -> Figure:
    """Recall as colour over load and share of flipped signs; the line is the basin, where half are recalled."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained", dpi=110)
    axes = figure.subplots()
    image = axes.pcolormesh(
        found.counts, found.flips, found.share.T, cmap="Blues", vmin=0, vmax=1, shading="nearest"
    )
    axes.plot(
        found.counts, found.basin, "o-", color=PALETTE[1], markersize=4, label="half recalled: the basin"
    )
    axes.set(xscale="log", xlabel="patterns", ylabel="share of signs flipped")
    axes.set_title(f"Basins of attraction, {name}\n(measured here)", fontsize="medium")
    axes.legend(loc="upper right", fontsize="small")
    figure.colorbar(image, ax=axes, label="recalled", format=PercentFormatter(1.0))
    return figure
