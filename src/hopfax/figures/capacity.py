"""Figures of the capacity of memories, from the numbers of `hopfax.memory.capacity`."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ..memory.capacity.curves import BasinMap, Curves, Growth
from ..memory.capacity.measure import Curve
from .style import DASHES, PALETTE, colours, new_figure, remove_box

LABEL = "measured with hopfax; lines: theory, sources in hopfax.memory.capacity.theory"


def curves_figure(
    curves: Mapping[str, Curves],
    growth: Mapping[str, Growth],
    theory: Mapping[str, Mapping[str, float]],
    lines: Mapping[str, Mapping[str, np.ndarray]],
) -> Figure:
    """Four panels with one colour per memory: recall against load, flips and masks; capacity against neurons.

    Args:
        curves: the recall of each memory, by its name.
        growth: the capacity of each memory at several sizes.
        theory: for each memory, named numbers of patterns, drawn as vertical lines in the first panel.
        lines: for each memory, named numbers of patterns at the sizes of its `growth`, drawn in the last panel.
    Raises: `ValueError` for no curves.
    """
    colour = dict(zip(curves, colours("curves", curves), strict=True))
    figure = new_figure(11.0, 8.0)
    (load, flips), (masks, size) = figure.subplots(2, 2)
    count = next(iter(curves.values())).count
    for name, recall in curves.items():
        recall_curve(load, recall.load, name, colour[name])
        recall_curve(flips, recall.flips, name, colour[name])
        recall_curve(masks, recall.masks, name, colour[name])
    load.set(xscale="log", xlabel="patterns")
    theory_lines(load, theory, colour)
    flips.set(xlabel=f"fraction of signs flipped, {count} patterns", xlim=(0, None))
    masks.set(xlabel=f"fraction of values masked, {count} patterns", xlim=(0, None))
    for name, capacity in growth.items():
        growth_curve(size, capacity, lines.get(name, {}), name, colour[name])
    figure.legend(*load.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(LABEL, fontsize=9, color="0.4")
    return figure


def recall_curve(axes: Axes, curve: Curve, name: str, colour: str) -> Axes:
    """The fraction of patterns recalled, with its 95 % interval as a band."""
    axes.fill_between(curve.values, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(curve.values, curve.fraction, "o-", color=colour, markersize=3.5, label=name)
    axes.set(ylim=(-0.03, 1.03), ylabel="recalled")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return remove_box(axes)


def theory_lines(axes: Axes, theory: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> Axes:
    """Vertical lines in the colour of each memory; a value outside the axis has a label but no line."""
    low, high = axes.get_xlim()
    for name, numbers in theory.items():
        for style, (formula, value) in zip(DASHES, numbers.items(), strict=False):
            label = f"{name}: {formula} = {value:.3g}"
            visible = low <= value <= high
            axes.plot([], [], style if visible else " ", color=colours[name], label=label)
            if visible:
                axes.axvline(value, color=colours[name], linestyle=style, linewidth=1.2)
    return axes


def growth_curve(axes: Axes, growth: Growth, lines: Mapping[str, np.ndarray], name: str, colour: str) -> Axes:
    """Capacity against the number of neurons, with broken lines of theory.

    A bar goes from the largest number of patterns that is recalled to the smallest that is not; it is an arrow if
    all numbers that were tried are recalled.
    """
    middle = np.sqrt(np.maximum(growth.holds, 0.7) * growth.fails)
    open_ended = growth.holds == growth.fails
    axes.errorbar(
        growth.neurons,
        middle,
        (middle - np.maximum(growth.holds, 0.7), growth.fails - middle),
        fmt="o",
        markersize=4,
        lolims=open_ended,
        color=colour,
        label=name,
    )
    for style, (formula, values) in zip(DASHES, lines.items(), strict=False):
        axes.plot(growth.neurons, values, style, color=colour, linewidth=1.2, label=f"{name}: {formula}")
    axes.set(xscale="log", yscale="log", xlabel="neurons", ylabel="capacity, patterns")
    # Limits that include all lines of theory would flatten the measured points, so a line may leave the panel.
    axes.set_ylim(0.5, max(axes.get_ylim()[1] if axes.lines else 1, 3.0 * growth.fails.max()))
    axes.set_xticks(growth.neurons, [f"{n}" for n in growth.neurons])
    axes.minorticks_off()
    return remove_box(axes)


def basin_figure(basins: BasinMap, name: str) -> Figure:
    """The recalled fraction by load and fraction of flipped signs; on the line half of the patterns are recalled."""
    figure = new_figure(6.4, 4.4)
    axes = figure.subplots()
    image = axes.pcolormesh(
        basins.counts, basins.flips, basins.fraction.T, cmap="Blues", vmin=0, vmax=1, shading="nearest"
    )
    axes.plot(
        basins.counts, basins.basin, "o-", color=PALETTE[1], markersize=4, label="half recalled: the basin"
    )
    axes.set(xscale="log", xlabel="patterns", ylabel="fraction of signs flipped")
    axes.set_title(f"Basins of attraction, {name}\n(measured with hopfax)", fontsize="medium")
    axes.legend(loc="upper right", fontsize="small")
    figure.colorbar(image, ax=axes, label="recalled", format=PercentFormatter(1.0))
    return figure
