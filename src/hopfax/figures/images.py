"""Rows of images."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import ArrayLike, Real
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from .style import new_figure

UNKNOWN = "#8fc4ec"  # blue, not a grey level, so that an unknown pixel does not look like a pale one


def images_row(axes: Axes, images: Real[ArrayLike, "count height width *channels"], title: str = "") -> Axes:
    """Images side by side, 0 white and 1 black, or of red, green and blue, with `title` to their left.

    Values must lie in [0, 1]; unknown pixels are NaN and drawn in blue.
    Raises: `ValueError` for no images, or values outside [0, 1].
    """
    images = np.asarray(images, float)
    images = images[..., 0] if images.ndim == 4 and images.shape[3] == 1 else images
    if not images.size or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)):
        raise ValueError(
            f"`images` has shape {images.shape}; give (count, height, width) or (count, height, width, 3) with at "
            "least one image."
        )
    if np.nanmin(images, initial=0) < -0.01 or np.nanmax(images, initial=0) > 1.01:
        raise ValueError(f"`images` lie in [{np.nanmin(images)}, {np.nanmax(images)}]; scale them to [0, 1].")
    count, height, width = images.shape[:3]
    for index, image in enumerate(images):
        left = index * (width + 1)
        axes.imshow(_painted(image), cmap=_greys(), vmin=0, vmax=1, extent=(left, left + width, 0, height))
        axes.plot(*_frame(left, width, height), color="0.75", linewidth=0.6, clip_on=False)
    axes.set(
        xlim=(-0.1, count * (width + 1) - 0.9),
        ylim=(-0.1, height + 0.1),
        xticks=[],
        yticks=[],
        aspect="equal",
    )
    axes.set_ylabel(title, rotation=0, horizontalalignment="right", verticalalignment="center", labelpad=8)
    axes.spines[:].set_visible(False)
    return axes


def images_figure(rows: Sequence[tuple[str, Real[ArrayLike, "count height width *channels"]]]) -> Figure:
    """A figure with one `images_row` for each pair of a title and images, from top to bottom.

    Raises: `ValueError` for no rows, and as `images_row`.
    """
    if not rows:
        raise ValueError("`rows` is empty; give at least one (title, images).")
    count = max(len(np.asarray(images)) for _, images in rows)
    figure = new_figure(1.6 + 0.75 * count, 0.85 * len(rows))
    figure.set_layout_engine("compressed")  # the default layout cuts off long titles
    grid = figure.subplots(len(rows), 1, squeeze=False)
    for axes, (title, images) in zip(grid.flat, rows, strict=True):
        images_row(axes, images, title)
    return figure


def _painted(image: np.ndarray) -> np.ndarray:
    """A colour image with its unknown pixels painted; a grey one is painted by its colour map."""
    if image.ndim == 2:
        return image
    unknown = np.isnan(image).any(axis=2, keepdims=True)
    return np.clip(np.where(unknown, to_rgb(UNKNOWN), image), 0, 1)


def _frame(left: int, width: int, height: int) -> tuple[list[int], list[int]]:
    return [left, left + width, left + width, left, left], [0, 0, height, height, 0]


def _greys():
    return colormaps["gray_r"].with_extremes(bad=UNKNOWN)
