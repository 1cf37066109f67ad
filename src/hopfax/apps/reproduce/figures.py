"""The heat maps and the curves of the mean first crossing of the papers, from stored results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ...diagnostics import TraceSummary
from ...diagnostics.summaries import TOLERANCES
from .results import Result

# Figure -> networks from left to right, each with four panels: base and -DEQ above -EO and -EO-DEQ.
NETWORKS = {"figure3-2023": ("v1-HAM",), "figure3": ("3-CHN", "3-HAM"), "figure4": ("5-HAM", "7-HAM")}
LINES = (("", "-DEQ"), ("-EO", "-EO-DEQ"))

# Mean index of the first step below each tolerance, by its log10, of the CHNs with three layers.
# Source: [goemaere2024], a notebook of its code.
PRINTED: Mapping[str, Mapping[float, float]] = MappingProxyType(
    {
        name: dict(zip((-2.0, -2.5, -3.0, -3.5, -4.0, -4.5, -5.0, -6.0, -7.0), values, strict=True))
        for name, values in {
            "3-CHN": (12.84, 20.63, 27.24, 33.35, 39.09, 44.42, 49.30, 57.69, 66.46),
            "3-CHN-DEQ": (7.97, 10.59, 13.75, 17.27, 20.61, 23.69, 26.69, 32.44, 39.77),
            "3-CHN-EO": (2.38, 3.57, 5.59, 9.51, 16.76, 29.19, 35.31, 37.28, 38.00),
            "3-CHN-EO-DEQ": (2.60, 3.81, 5.56, 9.02, 16.17, 28.83, 35.17, 37.00, 37.51),
        }.items()
    }
)


def _layout(networks: Sequence[str]) -> tuple[str, ...]:
    """The names of the panels, line by line."""
    return tuple(network + model for line in LINES for network in networks for model in line)


FIGURES: dict[str, tuple[str, ...]] = {name: _layout(networks) for name, networks in NETWORKS.items()}


def draw(name: str, results: Mapping[str, Sequence[Result]], folder: Path) -> Path | None:
    """Draw the figure `name`, a heat map for each row with all its seeds, and save it in `folder`.

    Colour is the number of test examples with a relative step, the curve is the mean first crossing, and the circle is
    that at 1e-4. Returns: its path; None where no row has results.
    Source: [goemaere2023], Fig. 3; [goemaere2024], Figs. 3 and 4, and code.
    """
    from ...figures.convergence import summary_figure

    networks = [network for network in NETWORKS[name] if any(results.get(row) for row in _layout([network]))]
    if not networks:
        return None
    panels = {}
    for row in _layout(networks):
        runs = results.get(row, ())
        panels[f"{row} ({_seeds(runs)})"] = pool(runs) if runs else None
    figure = summary_figure(panels, columns=2 * len(networks))
    path = folder / f"{name.partition('-')[0]}.png"
    figure.savefig(path)
    return path


def pool(results: Sequence[Result]) -> TraceSummary:
    """The sum of the histograms and the means of the crossings, over seeds."""
    counts = np.sum([result.histogram for result in results], axis=0)
    means = np.mean([result.crossing for result in results], axis=0)
    return TraceSummary(counts, means, float(np.mean([result.paper_iterations for result in results])))


def crossing_table(results: Mapping[str, Sequence[Result]]) -> str:
    """A table in Markdown of the mean index at each tolerance that the 2024 paper prints, its numbers and ours.

    It is empty if there are no results of these rows.
    """
    names = [name for name in PRINTED if results.get(name)]
    if not names:
        return ""
    decades = list(PRINTED[names[0]])
    lines = [
        ("log10 of the tolerance", *(f"{decade:g}" for decade in decades)),
        ("---",) * (len(decades) + 1),
    ]
    for name in names:
        lines.append((f"{name}, paper", *(f"{PRINTED[name][decade]:.2f}" for decade in decades)))
        lines.append((f"{name}, ours", *(f"{mean:.2f}" for mean in _mean_crossings(results[name], decades))))
    return "\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _mean_crossings(results: Sequence[Result], decades: Sequence[float]) -> list[float]:
    """Means over seeds at the tolerances `10 ** decade`, each of which is one of `TOLERANCES`."""
    indices = [int(np.argmin(np.abs(np.log10(TOLERANCES) - decade))) for decade in decades]
    return np.mean([result.crossing for result in results], axis=0)[indices].tolist()


def _seeds(results: Sequence[Result]) -> str:
    return f"{len(results)} seed" + "s" * (len(results) != 1)
