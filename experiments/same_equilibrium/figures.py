"""The figure, from the JSON alone.

python -m experiments.same_equilibrium.figures [--out docs/images/same_equilibrium.png]
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hopfax.figures.style import PALETTE

HERE = Path(__file__).parent
IMAGE = HERE.parents[1] / "docs" / "images" / "same_equilibrium.png"
OUTCOMES = {
    "same": ("same equilibrium", "#dcdce4"),
    "other_lower": ("another, lower energy", PALETTE[2]),
    "other_higher": ("another, higher energy", PALETTE[1]),
    "not_converged": ("not converged", PALETTE[3]),
    "only_reference_not_converged": ("converged, where even-odd Picard did not", PALETTE[0]),
}
HALF_DECADE = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    parser.add_argument("--out", type=Path, default=IMAGE)
    options = parser.parse_args()
    paths = sorted(options.results.glob("*.json"))
    draw([json.loads(path.read_text(encoding="utf-8")) for path in paths], options.out)


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """A row for each network, its seeds pooled: outcomes after each epoch, and distances."""
    networks: dict[str, list[dict]] = {}
    for result in results:
        name = "-".join(map(str, result["config"]["recipe"]["layers"]))
        networks.setdefault(name, []).append(result)
    figure = Figure(figsize=(11.5, 0.9 + 3.8 * len(networks)), layout="constrained", dpi=110)
    grid = figure.subplots(len(networks), 2, squeeze=False, width_ratios=(3, 2))
    for (left, right), (name, runs) in zip(grid, sorted(networks.items(), key=_depth), strict=True):
        _outcomes(left, runs)
        left.set_title(f"{name}, {_pooled(runs)}", fontweight="bold", loc="left")
        _distances(right, runs)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(OUTCOMES), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _depth(item: tuple[str, list]) -> int:
    return item[0].count("-")


def _pooled(runs: Sequence[dict]) -> str:
    seeds = f"{len(runs)} seeds x " if len(runs) > 1 else ""
    return f"{seeds}{runs[0]['config']['examples']:,} test images"


def _outcomes(axes: Axes, runs: Sequence[dict]) -> None:
    """For each contestant a bar an epoch: the share of examples that are not at the same equilibrium, and why."""
    names = list(runs[0]["epochs"][0]["contestants"])[1:]
    total = sum(run["config"]["examples"] for run in runs)
    epochs = np.arange(min(len(run["epochs"]) for run in runs))
    width = 0.9 / len(epochs)
    places = (np.arange(len(names))[:, None] - 0.45 + width * (epochs + 0.5)).ravel()
    reached = np.zeros(len(places))
    for outcome, (label, colour) in list(OUTCOMES.items())[1:]:
        share = 100 * _counts(runs, names, epochs, outcome).ravel() / total
        axes.barh(places, share, width * 0.9, reached, color=colour, label=label)
        reached = reached + share
    for place, end, epoch in zip(places, reached, np.tile(epochs, len(names)), strict=True):
        axes.text(end, place, f" epoch {epoch}: {end:.3g} %", size=6, va="center", color="0.3")
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, max(1.35 * reached.max(), 1)))
    axes.set_xlabel("examples not at the same equilibrium, %")
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)


def _counts(runs: Sequence[dict], names: Iterable[str], epochs: Iterable[int], outcome: str) -> np.ndarray:
    """How many examples had `outcome`; contestants x epochs."""
    rows = lambda name, epoch: (run["epochs"][epoch]["contestants"][name] for run in runs)
    return np.array([[sum(row[outcome] for row in rows(name, epoch)) for epoch in epochs] for name in names])


def _distances(axes: Axes, runs: Sequence[dict]) -> None:
    """Histogram over all contestants but the reference and all epochs, with the threshold."""
    counts: Counter[float] = Counter()
    for run in runs:
        for row in run["epochs"]:
            for contestant in list(row["contestants"].values())[1:]:
                counts.update({float(edge): count for edge, count in contestant["histogram"].items()})
    threshold = np.log10(runs[0]["config"]["same"])
    colours = [OUTCOMES["same"][1] if edge < threshold else PALETTE[4] for edge in counts]
    style = {"align": "edge", "color": colours, "edgecolor": "0.4", "linewidth": 0.5}
    axes.bar(list(counts), list(counts.values()), HALF_DECADE, **style)
    axes.axvline(threshold, color="0.3", linestyle="--", linewidth=1)
    axes.set(yscale="log", ylim=(0.5, None), xlim=(-13, 0.5), ylabel="equilibria, all epochs")
    axes.set_xlabel("log$_{10}$ of the largest distance of an activation")
    axes.set_title("distance from even-odd Picard's", loc="left")
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
