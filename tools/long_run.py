"""Train for many epochs, and watch that memory does not grow and that learning does not collapse late.

    python tools/long_run.py --epochs 200 --data mnist --layers 784,512,10 --recipe goemaere2023 --out long_run.json

The JSON has the metrics of each epoch with the resident memory at its end, and the memory's growth, by a straight
line through the second half.
"""

import argparse
import dataclasses
import json
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from hopfax._internal.provenance import circumstances
from hopfax.data import load
from hopfax.training import ClassifierJob, recipes, train
from hopfax.training.metrics import to_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--layers", default="64,32,10")
    parser.add_argument(
        "--recipe",
        choices=["goemaere2023", "goemaere2024", "low_feedback", "goemaere_ep"],
        default="low_feedback",
    )
    parser.add_argument("--out", type=Path, default=Path("long_run.json"))
    options = parser.parse_args()
    recipe = dataclasses.replace(
        getattr(recipes, options.recipe)([int(size) for size in options.layers.split(",")]),
        epochs=options.epochs,
    )
    epochs = trained(recipe, options.data)
    seen = summary(epochs)
    content = {"arguments": sys.argv[1:], **seen, "epochs": epochs, "circumstances": circumstances()}
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(seen, indent=2))


def trained(recipe: recipes.Recipe, data: str) -> list[dict]:
    """A row an epoch: its metrics, and the megabytes that are resident at its end."""
    rows = []

    def report(chunk):
        if chunk.ends_epoch:
            rows.append({**to_json(chunk.metrics), "resident_mb": resident()})

    with tempfile.TemporaryDirectory() as place:
        train(ClassifierJob(recipe, load(data)), Path(place) / "run", callback=report)
    return rows


def resident() -> float:
    """Megabytes of this process, as Linux tells."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def summary(epochs: list[dict]) -> dict:
    memory, accuracy = (np.array([row[name] for row in epochs]) for name in ("resident_mb", "train_accuracy"))
    late = np.arange(len(memory)) >= len(memory) // 2
    levels = {"first": memory[0], "median": np.median(memory), "largest": np.max(memory)}
    return {
        "resident megabytes": {name: float(value) for name, value in levels.items()},
        "growth in the second half, megabytes an epoch": float(
            np.polyfit(np.flatnonzero(late), memory[late], 1)[0]
        ),
        "train accuracy, best and last": [float(accuracy.max()), float(accuracy[-1])],
    }


if __name__ == "__main__":
    main()
