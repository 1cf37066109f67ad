"""Draw docs/images/overview.png, the picture at the top of the README: `python tools/draw_overview.py`.

A chain with its even and odd layers, how fast the four models of the papers relax, digits completed.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import FancyArrowPatch

from hopfax import figures as plots
from hopfax.apps import demo
from hopfax.data import Dataset, corruption_masks, digits, first_of_each_class
from hopfax.training import train_in_memory

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "overview.png"
INPUT, ODD, EVEN = "#8a8a8a", "#e08a00", "#4053d3"
SHOWN = slice(2, 7)  # the first test digit of these classes
COMPLETED = {
    "nearest": "nearest",
    "feed_forward": "feed-\nforward",
    "metric_memory": "memory",
    "trained": "trained\nby EP",
}


def main() -> None:
    """Train, complete, draw, save."""
    dataset = digits()
    training = demo.add_shifted_images(dataset)
    traces = {
        name: np.asarray(train_in_memory(demo.small_recipe(name), training).evaluation.trace)
        for name in demo.MODELS
    }
    figure = Figure(figsize=(9, 3.3), layout="constrained", dpi=200)
    left, middle, right = figure.subfigures(1, 3, width_ratios=(1.0, 1.15, 1.0), wspace=0.04)
    draw_chain(left)
    draw_residuals(middle, traces)
    draw_completed(right, dataset)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE)
    print(PICTURE)


def draw_chain(figure: SubFigure) -> None:
    """Four layers in a row, and which of them moves in which half-step."""
    figure.suptitle("Build a memory, clamp its input", fontsize=11, fontweight="bold")
    network, steps = figure.subplots(2, 1, height_ratios=(2, 1))
    kinds = (
        ("input\n(clamped)", INPUT, 6),
        ("odd", ODD, 5),
        ("even", EVEN, 4),
        ("odd", ODD, 3),
        ("even", EVEN, 2),
    )
    places = [_layer(network, column, *kind) for column, kind in enumerate(kinds)]
    for before, after in zip(places, places[1:], strict=False):
        for start in before:
            network.plot(
                *np.stack([np.repeat([start], len(after), 0), after]).transpose(2, 0, 1),
                color="0.82",
                lw=0.7,
                zorder=0,
            )
    network.set(xlim=(-0.6, 4.6), ylim=(-4.3, 3.2))
    network.axis("off")
    _alternation(steps)


def _layer(axes: Axes, column: int, name: str, colour: str, neurons: int) -> np.ndarray:
    heights = np.arange(neurons) - (neurons - 1) / 2
    places = np.stack([np.full(neurons, float(column)), heights], axis=1)
    axes.scatter(*places.T, s=70, color=colour, edgecolor="white", zorder=1)
    axes.text(column, -3.1, name, color=colour, ha="center", va="top", fontsize=9)
    return places


def _alternation(axes: Axes) -> None:
    """Half-steps in turn: one colour is at rest while the other is minimised exactly."""
    turns = ((0, "odd\nlayers", ODD), (2, "even\nlayers", EVEN))
    for place, name, colour in turns:
        axes.text(place, 0, name, color="white", fontsize=9, fontweight="bold", ha="center", va="center",
                  bbox={"boxstyle": "round,pad=0.45", "facecolor": colour, "edgecolor": "none"})  # fmt: skip
    for tail, head in (((0.45, 0.2), (1.55, 0.2)), ((1.55, -0.2), (0.45, -0.2))):
        axes.add_patch(FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=13, color="0.35",
                                       connectionstyle="arc3,rad=-0.25"))  # fmt: skip
    axes.text(
        1,
        -1.05,
        "each in turn to its exact minimum:\nthe energy never rises",
        ha="center",
        va="center",
        fontsize=8.5,
    )
    axes.set(xlim=(-0.8, 2.8), ylim=(-1.5, 0.75))
    axes.axis("off")


def draw_residuals(figure: SubFigure, traces: dict[str, np.ndarray]) -> None:
    """Median residual of the four models on the test digits."""
    figure.suptitle("Relax it to equilibrium, fast", fontsize=11, fontweight="bold")
    axes = plots.residual_curves(figure.subplots(), traces)
    axes.set(xlim=(0, 24), ylim=(1e-7, 1))
    axes.legend(frameon=False, fontsize=9, loc="upper right")


def draw_completed(figure: SubFigure, dataset: Dataset) -> None:
    """Digits that no method has seen, completed from their lower half."""
    figure.suptitle("Complete what it never saw", fontsize=11, fontweight="bold")
    known = corruption_masks(len(dataset.test_labels), dataset.image_shape)["top half"]
    images = dataset.test_images
    rows = {"unseen": images, "erased": np.where(known, images, np.nan)}
    for name, completer in demo.completers(dataset).items():
        rows[COMPLETED[name]] = completer.complete(images, known).clip(0, 1)
    shown = first_of_each_class(dataset.test_labels, dataset.classes)[SHOWN]
    for axes, (title, row) in zip(figure.subplots(len(rows), 1), rows.items(), strict=True):
        plots.images_row(axes, row[shown].reshape(-1, *dataset.image_shape))
        axes.set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")


if __name__ == "__main__":
    main()
