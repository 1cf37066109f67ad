"""The figures, from the JSON alone: learned filters, and error against seconds of training for each gradient.

python -m experiments.convolutional.figures [--out docs/images]
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from experiments.runs import stored
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from hopfax.figures.style import PALETTE, new_figure, remove_box

from .config import GRADIENTS, SETTINGS, Setting, described
from .run import HERE

IMAGES = HERE.parents[1] / "docs" / "images"
LABELS = {"ep": "equilibrium propagation", "implicit": "implicit gradient"}
COLUMNS = 16  # filters in a row
PANELS = 3  # settings in a row

Results = Mapping[str, Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder of the figures")
    options = parser.parse_args()
    results = stored(options.results)
    draw_filters(results).savefig(options.out / "convolutional_filters.png")
    draw_errors(results).savefig(options.out / "convolutional_errors.png")


def of_setting(results: Results, setting: Setting, gradient: str) -> list[Mapping[str, Any]]:
    """The results of a setting by one gradient, in the order of the seeds."""
    begins = f"{setting.name}-{gradient}-seed"
    return [result for name, result in sorted(results.items()) if name.startswith(begins)]


def draw_filters(results: Results) -> Figure:
    """The first filters of the first seed of each data set and network, by equilibrium propagation.

    Raises: `ValueError` where no run is stored.
    """
    rows = {
        f"{setting.data}, {setting.network}": runs[0]
        for setting in SETTINGS
        if (runs := of_setting(results, setting, "ep"))
    }
    _require(rows)
    pictures = {title: mosaic(np.asarray(result["filters"])) for title, result in rows.items()}
    heights = [len(picture) / picture.shape[1] for picture in pictures.values()]
    figure = new_figure(9.0, 9.0 * sum(heights) + 0.5 * len(heights))
    panels = figure.subplots(len(rows), 1, squeeze=False, gridspec_kw={"height_ratios": heights}).flat
    for axes, (title, picture) in zip(panels, pictures.items(), strict=True):
        axes.imshow(picture, cmap="gray")
        axes.set_title(title, loc="left")
        axes.set_axis_off()
    return figure


def mosaic(kernel: np.ndarray) -> np.ndarray:
    """Filters side by side, each scaled to [0, 1], as a picture of three channels; a line is white.

    Args: `kernel` of shape (height, width, input channels, channels).
    """
    low, high = kernel.min((0, 1, 2), keepdims=True), kernel.max((0, 1, 2), keepdims=True)
    filters = np.moveaxis((kernel - low) / np.maximum(high - low, 1e-12), 3, 0)
    filters = np.broadcast_to(filters, (*filters.shape[:3], 3)) if filters.shape[3] == 1 else filters[..., :3]
    framed = np.pad(filters, ((0, -len(filters) % COLUMNS), (1, 0), (1, 0), (0, 0)), constant_values=1)
    _, height, width, channels = framed.shape
    rows = framed.reshape(-1, COLUMNS, height, width, channels).transpose(0, 2, 1, 3, 4)
    return rows.reshape(-1, COLUMNS * width, channels)


def draw_errors(results: Results) -> Figure:
    """The error on training examples over the seconds of training, and the test error at the end, for each gradient.

    Raises: `ValueError` where no run is stored.
    """
    done = [s for s in SETTINGS if any(of_setting(results, s, gradient) for gradient in GRADIENTS)]
    _require(done)
    rows = -(-len(done) // PANELS)
    figure = new_figure(4.4 * PANELS, 3.2 * rows)
    panels = figure.subplots(rows, PANELS, squeeze=False).flat
    for axes in panels[len(done) :]:
        axes.remove()
    for axes, setting in zip(panels, done, strict=False):
        for gradient, colour in zip(GRADIENTS, PALETTE, strict=False):
            _draw_runs(axes, of_setting(results, setting, gradient), LABELS[gradient], colour)
        changes = ("augmented" if setting.augmentation else "as they are") + described(setting)
        title = f"{setting.data}, {setting.network}, {setting.epochs} epochs\nimages {changes}"
        axes.set(title=title, xlabel="seconds of training", ylabel="error, %", yscale="log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5) if high < 100 * low else (1,)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        remove_box(axes)
    figure.axes[0].legend(frameon=False)
    return figure


def _draw_runs(axes, runs: Sequence[Mapping[str, Any]], label: str, colour: str) -> None:
    for run in runs:
        seconds = np.cumsum([row["seconds"] for row in run["metrics"]])
        errors = [100 * (1 - row["train_accuracy"]) for row in run["metrics"]]
        axes.plot(
            seconds, errors, color=colour, linewidth=1, label=f"{label}, training" if run is runs[0] else None
        )
        label_of_test = f"{label}, test" if run is runs[0] else None
        axes.plot(seconds[-1], 100 * run["test_error"], "o", color=colour, label=label_of_test)


def _require(stored_runs: Any) -> None:
    if not stored_runs:
        raise ValueError("no run is stored; train with `python -m experiments.convolutional.run`.")


if __name__ == "__main__":
    main()
