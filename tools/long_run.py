"""Train for many epochs, and watch that memory does not grow and that learning does not collapse late.

    python tools/long_run.py --epochs 200 --out long_run.json -- --data mnist --layers 784 512 10 --recipe v1

What follows `--` goes to `hopfax train`. The JSON has, for each epoch, the resident memory at its end, the training
loss and the training accuracy; and the memory's growth, by a straight line through the second half.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hopfax.circumstances import circumstances


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("long_run.json"))
    parser.add_argument("train", nargs="*", default=["--data", "digits", "--layers", "64", "32", "10"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        epochs = watch(Path(place) / "run", given.epochs, given.train)
    told = {"arguments": given.train, **summary(epochs), "epochs": epochs, "circumstances": circumstances()}
    given.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(summary(epochs), indent=2))


def watch(folder: Path, epochs: int, train: list[str]) -> list[dict]:
    """The rows of the run's metrics, each with the megabytes that were resident when it was seen."""
    command = [sys.executable, "-m", "hopfax", "train", "--out", str(folder), "--epochs", str(epochs), *train]
    process, found = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), []
    while process.poll() is None:
        time.sleep(0.1)
        found += [{**row, "resident_mb": resident(process.pid)} for row in rows(folder)[len(found) :]]
    if process.returncode:
        raise SystemExit(f"hopfax train ended with code {process.returncode}")
    return found


def rows(folder: Path) -> list[dict]:
    path = folder / "metrics.jsonl"
    wanted = ("epoch", "loss", "mean_steps", "train_accuracy", "did_not_converge")
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    return [{name: value for name, value in json.loads(line).items() if name in wanted} for line in whole]


def resident(process: int) -> float:
    status = Path(f"/proc/{process}/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else float("nan")


def summary(epochs: list[dict]) -> dict:
    memory = np.array([row["resident_mb"] for row in epochs])
    levels = {"first": memory[0], "median": np.nanmedian(memory), "largest": np.nanmax(memory)}
    accuracy = np.array([row["train_accuracy"] for row in epochs])
    late = np.isfinite(memory) & (np.arange(len(memory)) >= len(memory) // 2)
    slope = np.polyfit(np.flatnonzero(late), memory[late], 1)[0]
    return {
        "resident megabytes": {name: float(value) for name, value in levels.items()},
        "growth in the second half, megabytes an epoch": float(slope),
        "train accuracy, best and last": [float(accuracy.max()), float(accuracy[-1])],
    }


if __name__ == "__main__":
    main()
