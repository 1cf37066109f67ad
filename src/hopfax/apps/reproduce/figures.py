"""The papers' heat maps again, from stored results alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...diagnostics import TraceSummary
from .results import Result

# Name -> networks side by side, each with four panels: base and -DEQ above -EO and -EO-DEQ.
NETWORKS = {"figure3-2023": ("v1-HAM",), "figure3": ("3-CHN", "3-HAM"), "figure4": ("5-HAM", "7-HAM")}
LINES = (("", "-DEQ"), ("-EO", "-EO-DEQ"))


def _layout(networks: Sequence[str]) -> tuple[str, ...]:
    """Names of the panels, line by line."""
    return tuple(network + model for line in LINES for network in networks for model in line)


FIGURES: dict[str, tuple[str, ...]] = {name: _layout(networks) for name, networks in NETWORKS.items()}


def draw(name: str, results: Mapping[str, Sequence[Result]], folder: Path) -> Path | None:
    """Writes the figure `name` into `folder`: a heat map a row, seeds pooled; none where no row has results.

    Colour is how many test examples have which relative step, the curve the mean first crossing, the circle that
    at 1e-4. Source: [goemaere2023], Fig. 3; [goemaere2024], Figs. 3 and 4; [goemaere2024] code.
    """
    from ...figures.convergence import summary_figure

    networks = [each for each in NETWORKS[name] if any(results.get(row) for row in _layout([each]))]
    if not networks:
        return None
    found = {row: results.get(row, ()) for row in _layout(networks)}
    panels = {f"{row} ({_seeds(each)})": pooled(each) if each else None for row, each in found.items()}
    figure = summary_figure(panels, columns=2 * len(networks))
    path = folder / f"{name.partition('-')[0]}.png"
    figure.savefig(path)
    return path


def pooled(found: Sequence[Result]) -> TraceSummary:
    """Counts summed and means averaged over seeds, for `summary_heatmap`."""
    counts = np.sum([each.histogram for each in found], axis=0)
    means = np.mean([each.crossing for each in found], axis=0)
    return TraceSummary(counts, means, float(np.mean([each.paper_iterations for each in found])))


def _seeds(found: Sequence[Result]) -> str:
    return f"{len(found)} seed" + "s" * (len(found) != 1)
