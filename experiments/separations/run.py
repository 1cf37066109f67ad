"""Recall against load: memories with a softmax beside memories with sparse and compact weights.

    python -m experiments.separations.run [--smoke] [--table]

Random signs, recalled from queries with flipped signs; every memory has its automatic `beta`. Writes one JSON, and
draws the figure of the page from it. `KSubsets` takes no part: what it recalls is the mean of several patterns.
"""

import argparse
import functools as ft
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.random as jr
from experiments.runs import markdown
from matplotlib.figure import Figure

from hopfax import Memory
from hopfax.figures.capacity import recall_curve
from hopfax.figures.style import colours, new_figure
from hopfax.lagrangians import Entmax, Normmax, Softmax, Sparsemax
from hopfax.memory import Epanechnikov
from hopfax.memory.capacity.measure import Curve, Trial, recall_against_load
from hopfax.memory.capacity.memories import of_memory
from hopfax.memory.capacity.patterns import Flip
from hopfax.training.job import stored_or_made

HERE = Path(__file__).parent
FIGURE = HERE.parents[1] / "docs" / "images" / "separations_capacity.png"
SEPARATIONS = {
    "softmax": Softmax,
    "sparsemax": Sparsemax,
    "entmax 1.5": ft.partial(Entmax, 1.5),
    "normmax 2": ft.partial(Normmax, 2.0),
    "Epanechnikov": Epanechnikov,
}
CONFIG = {"neurons": 24, "flips": 0.2, "overlap": 0.95, "repeats": 4, "queries": 64, "seed": 0}
LOADS = (4, 16, 64, 256, 1024, 4096)


def measure(config: dict[str, Any]) -> dict[str, Any]:
    """The recalled fraction of every memory at each load, with its 95 % interval."""
    sizes = {name: config[name] for name in ("neurons", "overlap", "repeats", "queries")}
    trial, curves = Trial(corruption=Flip(config["flips"]), **sizes), {}
    for name, separation in SEPARATIONS.items():
        store = of_memory(
            lambda patterns, separation=separation: Memory.store(patterns, separation=separation)
        )
        curve = recall_against_load(store, trial, config["loads"], jr.key(config["seed"]))
        curves[name] = {key: getattr(curve, key).tolist() for key in ("fraction", "low", "high")}
        print(name, curves[name]["fraction"], flush=True)
    return {"curves": curves}


def table(result: dict[str, Any]) -> str:
    """One row for each memory: the recalled per cent at each load."""
    loads = result["config"]["loads"]
    rows = ([name, *(f"{100 * x:.0f}" for x in one["fraction"])] for name, one in result["curves"].items())
    return markdown(["recalled, %", *(f"{load:,} patterns" for load in loads)], rows)


def figure(result: dict[str, Any]) -> Figure:
    """All curves in one panel."""
    drawn = new_figure(6.4, 3.6)
    axes, curves = drawn.subplots(), result["curves"]
    for (name, one), colour in zip(curves.items(), colours("curves", curves), strict=True):
        recall_curve(axes, Curve(result["config"]["loads"], **one), name, colour)
    axes.set(xscale="log", xlabel="patterns")
    axes.legend(frameon=False)
    return drawn


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    options = parser.parse_args(arguments)
    path = options.results / "signs.json"
    if not options.table:
        small = {"repeats": 1, "queries": 8, "loads": [4, 16]} if options.smoke else {}
        config = {**CONFIG, "loads": list(LOADS), **small}
        stored_or_made(path, config, lambda: measure(config))
    result = json.loads(path.read_text(encoding="utf-8"))
    if not options.smoke:
        figure(result).savefig(FIGURE)
    print(table(result))


if __name__ == "__main__":
    main()
