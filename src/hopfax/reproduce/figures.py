"""The papers' heat maps again, from stored results alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .results import Result

# Name -> rows as the paper lays them out, row by row: base and -DEQ above -EO and -EO-DEQ, two networks side by side.
FIGURES: dict[str, tuple[str, ...]] = {
    "figure3-2023": ("v1-HAM", "v1-HAM-DEQ", "v1-HAM-EO", "v1-HAM-EO-DEQ"),
    "figure3": (
        *("3-CHN", "3-CHN-DEQ", "3-HAM", "3-HAM-DEQ"),
        *("3-CHN-EO", "3-CHN-EO-DEQ", "3-HAM-EO", "3-HAM-EO-DEQ"),
    ),
    "figure4": (
        *("5-HAM", "5-HAM-DEQ", "7-HAM", "7-HAM-DEQ"),
        *("5-HAM-EO", "5-HAM-EO-DEQ", "7-HAM-EO", "7-HAM-EO-DEQ"),
    ),
}


def draw(name: str, results: Mapping[str, Sequence[Result]], folder: Path) -> Path | None:
    """Writes `NAME.png` into `folder`: a heat map a row, seeds pooled; none where no row has results.

    Colour is how many test examples have which relative step, the curve the mean first crossing, the circle that
    at 1e-4. Source: [goemaere2023], Fig. 3; [goemaere2024], Figs. 3 and 4; [goemaere2024] code.
    """
    from ..plots import crossing_figure

    panels = {row: results[row] for row in FIGURES[name] if results.get(row)}
    if not panels:
        return None
    titles = {f"{row} ({_seeds(found)})": pooled(found) for row, found in panels.items()}
    columns = 4 if len(panels) == len(FIGURES[name]) > 4 else 2
    figure = crossing_figure(titles, columns=columns, share_x=False)
    path = folder / f"{name.partition('-')[0]}.png"
    figure.savefig(path)
    return path


def pooled(found: Sequence[Result]):
    """Counts summed and means averaged over seeds, for `plots.crossing_heatmap`."""
    from ..plots import Crossings

    counts = np.sum([each.histogram for each in found], axis=0)
    means = np.mean([each.crossing for each in found], axis=0)
    return Crossings(counts, means, float(np.mean([each.published for each in found])))


def _seeds(found: Sequence[Result]) -> str:
    return f"{len(found)} seed" + "s" * (len(found) > 1)
