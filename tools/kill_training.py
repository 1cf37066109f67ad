"""Kill a training on the digits by SIGKILL at random moments, go on, and compare with one that was never killed.

    python tools/kill_training.py --kills 50

After each kill the checkpoint must be whole, and lack no more than the steps since it was due; at the end weights,
optimiser and metrics must be those of the undisturbed run to the last bit. Says what it found as JSON; its exit code
is 1 where something was lost.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

CHUNKS = 2  # between checkpoints
LOG = "steps.log"


def work(folder: Path, epochs: int) -> None:
    """Train in `folder`, or go on there; the step of each chunk goes to a log beside it as soon as it is done."""
    from hopfax.data import digits
    from hopfax.training import ClassifierJob, train
    from hopfax.training.recipes import Recipe

    recipe = Recipe(layers=(64, 8, 10), epochs=epochs)
    log = (folder.parent / LOG).open("a", buffering=1)
    log.write("begun\n")
    report = lambda chunk: log.write(f"{int(chunk.state.step)} {chunk.batches}\n")
    train(ClassifierJob(recipe, digits()), folder, resume=True, checkpoint_chunks=CHUNKS, callback=report)


def start(folder: Path, epochs: int) -> subprocess.Popen:
    command = [sys.executable, __file__, "--work", str(folder), "--epochs", str(epochs)]
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(folder.parent.parent / "compiled")}
    always = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    (folder.parent).mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(command, env={**os.environ, **compiled, **always}, stderr=subprocess.DEVNULL)


def finish(folder: Path, epochs: int) -> float:
    """Seconds of a run that nobody kills, from its first chunk on."""
    process, began = start(folder, epochs), None
    while process.poll() is None:
        began = time.perf_counter() if began is None and len(logged(folder)) > 1 else began
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"training in {folder} ended with code {process.returncode}")
    return time.perf_counter() - began if began else 0.0


def logged(folder: Path) -> list[str]:
    path = folder.parent / LOG
    return path.read_text().splitlines() if path.exists() else []


def kill(folder: Path, epochs: int, after: float) -> bool:
    """Start a run and kill it so many seconds `after` its first block; whether that was in time."""
    known = len(logged(folder))
    process, began = start(folder, epochs), None
    while process.poll() is None:
        if began is None and len(logged(folder)) > known + 1:
            began = time.perf_counter()
        if began is not None and time.perf_counter() - began >= after:
            process.send_signal(signal.SIGKILL)
            return process.wait() == -signal.SIGKILL
        time.sleep(0.001)
    return False


def lost(folder: Path) -> tuple[int, int]:
    """Steps that were done and are not in the checkpoint, which must be whole, and how many there may be."""
    done = [line.split() for line in logged(folder) if line[:1].isdigit() and len(line.split()) == 2]
    path = folder / "checkpoint.safetensors"
    saved = int(load_file(path)["step"]) if path.exists() else 0
    step, batches = (int(done[-1][0]), int(done[-1][1])) if done else (0, 20)
    return max(0, step - saved), CHUNKS * -(-batches // 20)


def same(a: Path, b: Path) -> bool:
    """Whether two finished runs are the same but for the seconds they took."""
    first, second = (load_file(folder / "checkpoint.safetensors") for folder in (a, b))
    equal = first.keys() == second.keys() and all(
        x.dtype == second[name].dtype and np.array_equal(x, second[name]) for name, x in first.items()
    )
    return equal and rows(a) == rows(b)


def rows(folder: Path) -> list[dict]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: x for name, x in json.loads(line).items() if name != "seconds"} for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(given.work, given.epochs)
    with tempfile.TemporaryDirectory() as place:
        told = killed(Path(place), given.kills, given.epochs, random.Random(given.seed))
    print(json.dumps(told))
    sys.exit(0 if told["same"] and told["most_lost"] <= told["allowed"] else 1)


def killed(place: Path, kills: int, epochs: int, chance: random.Random) -> dict:
    """So many kills, in as many runs as they take, each run then finished and compared."""
    whole = place / "whole" / "run"
    seconds = max(finish(whole, epochs), 0.2)
    found, equal, number = [], [], 0
    while len(found) < kills:
        run = place / str(number) / "run"
        while len(found) < kills and kill(run, epochs, chance.uniform(0, seconds)):
            found.append(lost(run))
        finish(run, epochs)
        equal.append(same(whole, run))
        number += 1
    most, allowed = max(steps for steps, _ in found), max(limit for _, limit in found)
    return {"kills": kills, "runs": number, "most_lost": most, "allowed": allowed, "same": all(equal)}


if __name__ == "__main__":
    main()
