"""The figure, from the JSON alone.

python -m experiments.calibration.figures [--out docs/images/calibration.png]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from hopfax.figures.style import PALETTE
from hopfax.memory.phase import thresholds

HERE = Path(__file__).parent
IMAGE = HERE.parents[1] / "docs" / "images" / "calibration.png"
TITLES = {"digits": "Digits", "mnist": "MNIST", "faces": "Face patches"}
# Contestant -> its short name, line style.
MARKED = {
    "1/sqrt(d), raw, distance": ("$1/\\sqrt{d}$, raw", ":"),
    "1/sqrt(d), standardised, distance": ("$1/\\sqrt{d}$, standardised", "--"),
    "auto": ('"auto"', "-"),
    "calibrated for 90 %": ("90 %", "-."),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "seed0.json", help="the JSON")
    parser.add_argument("--out", type=Path, default=IMAGE)
    options = parser.parse_args()
    draw(json.loads(options.results.read_text(encoding="utf-8")), options.out)


def draw(result: dict[str, Any], path: Path) -> None:
    """A panel for each set, and one for the heads."""
    figure = Figure(figsize=(12, 8.4), layout="constrained", dpi=110)
    panels = figure.subplots(2, 2).ravel()
    for axes, (name, measured) in zip(panels, result["sets"].items(), strict=False):
        recall(axes, measured)
        title = f"{TITLES[name]}: {measured['patterns']:,} patterns of {measured['dimension']} values"
        axes.set_title(title, fontweight="bold", loc="left")
    for axes in panels[len(result["sets"]) : -1]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    heads(panels[-1], result["attention"])
    figure.suptitle("Derived and simulated here", fontsize=9, color="0.4", x=0.99, ha="right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def recall(axes: Axes, measured: dict[str, Any]) -> None:
    """Share recalled against effective `beta` for each kind of query; the contestants are upright lines."""
    effective = [row["effective"] for row in measured["sweep"]]
    kinds = [name for name in measured["sweep"][0] if name != "effective"]
    for kind, colour in zip(kinds, PALETTE, strict=False):
        label = "lower half missing" if kind == "half" else f"{kind} s.d."
        axes.plot(
            effective,
            [row[kind]["recalled"] for row in measured["sweep"]],
            "o-",
            ms=4,
            color=colour,
            label=label,
        )
    for name, (label, style) in MARKED.items():
        axes.axvline(
            measured["contestants"][name]["effective"], color="0.25", linestyle=style, lw=1.4, label=label
        )
    axes.axvspan(0.8 * effective[0], measured["spinodal"], color="0.93", label="averaging, predicted")
    axes.set(xscale="log", xlim=(0.8 * effective[0], 1.25 * effective[-1]), ylim=(-0.03, 1.03))
    axes.set(xlabel="effective inverse temperature", ylabel="recalled")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.spines[["top", "right"]].set_visible(False)


def heads(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Each head at its effective `beta`, as dark as keys stay at themselves, between the two thresholds."""
    numbers = np.unique(np.geomspace(3, 3e4, 60).astype(int))
    limits = [thresholds(int(n)) for n in numbers]
    spinodal = [limit.spinodal for limit in limits]
    coexistence = [limit.coexistence for limit in limits]
    axes.fill_between(numbers, spinodal, 0, color="0.93")
    axes.fill_between(numbers, coexistence, spinodal, color=PALETTE[3], alpha=0.25, lw=0)
    points = [(row["keys"], row["effective"], row["own"]) for row in rows]
    x, y, own = np.array(points).T
    lost = np.array([row["other"] > 0.5 for row in rows])
    image = axes.scatter(x, y, c=own, cmap="Blues", vmin=0, vmax=1, s=130, edgecolors="0.3", zorder=3)
    axes.scatter(x[lost], y[lost], marker="x", color=PALETTE[1], s=40, zorder=4)
    axes.figure.colorbar(image, ax=axes, label="keys that stay at themselves", format=PercentFormatter(1))
    axes.set(xscale="log", ylim=(2, 20), xlim=(3, 3e4), xlabel="keys")
    axes.set_ylabel(r"effective inverse temperature, about $\sqrt{d}$")
    for where, y, text in (
        (2.5e3, 18.3, "single pattern"),
        (2.4e4, 14.7, "metastable"),
        (2.4e4, 6.85, "averaging"),
    ):
        axes.text(where, y, text, ha="right", va="center", fontsize=9)
    axes.set_title("Attention to random keys at $1/\\sqrt{d}$", fontweight="bold", loc="left")
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
