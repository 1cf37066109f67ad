"""The error of completed images against the number of stored ones, from the JSON alone.

python -m experiments.completion.figures [--out docs/images]
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from hopfax.figures.style import colours, new_figure, remove_box

from .benchmark import HERE, STORED, errors_by_number

IMAGES = HERE.parents[1] / "docs" / "images"
KINDS = ("30 %", "top half")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=STORED, help="folder of the JSON")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder of the figure")
    options = parser.parse_args()
    draw_numbers(options.results / "mnist-numbers.json").savefig(options.out / "completion_numbers.png")


def draw_numbers(path: Path) -> Figure:
    """Unseen images: a panel for each damage, a line for each method."""
    figure = new_figure(9.0, 3.6)
    panels = figure.subplots(1, len(KINDS))
    for axes, kind in zip(panels, KINDS, strict=True):
        errors = errors_by_number(path, kind)
        for colour, (name, by_images) in zip(colours("errors", errors), errors.items(), strict=True):
            axes.plot(*zip(*sorted(by_images["unseen"].items()), strict=True), "o-", color=colour, label=name)
        axes.set(xscale="log", title=f"{kind} missing", xlabel="stored images")
        axes.set_ylim(bottom=0)
        remove_box(axes)
    panels[0].set_ylabel("squared error of a missing pixel")
    panels[-1].legend(fontsize="small")
    return figure


if __name__ == "__main__":
    main()
