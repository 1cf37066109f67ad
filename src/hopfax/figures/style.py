"""What all figures share: colours, axes."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

PALETTE = ("#4053d3", "#b51d14", "#00a06b", "#e08a00", "#7a3db8", "#5a5a5a")


def tidy(axes: Axes) -> Axes:
    """`axes` without its upper and right border."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def tidy_counts(axes: Axes) -> Axes:
    """As `tidy`, with whole numbers along the x axis."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return tidy(axes)


def colours(argument: str, curves: Mapping) -> list[str]:
    if not curves:
        raise ValueError(f"`{argument}` is empty; give at least one curve by its name.")
    return [PALETTE[place % len(PALETTE)] for place in range(len(curves))]
