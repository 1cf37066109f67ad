"""What all figures share: colours, line styles, new figures, axes without a box."""

from collections.abc import Sized

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

PALETTE = ("#4053d3", "#b51d14", "#00a06b", "#e08a00", "#7a3db8", "#5a5a5a", "#d94f9e", "#2aa5c7")
DASHES = ("--", ":", "-.")  # of the lines of theory beside a measured curve


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, at 110 dots per inch, whose layout fits the labels."""
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def remove_box(axes: Axes) -> Axes:
    """`axes` without its upper and right border."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def integer_ticks(axes: Axes) -> Axes:
    """`axes` with ticks at whole numbers only along the x axis."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return axes


def colours(argument: str, curves: Sized) -> list[str]:
    """A colour of the palette for each curve. Raises: `ValueError` naming `argument` if there are none."""
    if not len(curves):
        raise ValueError(f"`{argument}` is empty; give at least one.")
    return [PALETTE[index % len(PALETTE)] for index in range(len(curves))]
