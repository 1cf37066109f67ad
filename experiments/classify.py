"""A classifier trained by a recipe and tested after its last epoch, stored as one JSON: what several experiments do."""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hopfax.data import load
from hopfax.training import Chunk, ClassifierJob, Recipe, run_and_store
from hopfax.training.job import stored_or_made


@dataclasses.dataclass(frozen=True)
class Run:
    """One network in training; `name` is that of its JSON."""

    name: str
    recipe: Recipe
    data: str = "mnist"

    def config(self) -> dict[str, Any]:
        return {**self.recipe.config(), "data": self.data}


def carry_out(run: Run, results: Path, runs: Path) -> dict[str, Any]:
    """The result, from `results` if it is there; else trained in a folder of `runs`, which may be interrupted.

    Raises: `ValueError` if the stored result has other settings.
    """
    make = lambda: {"name": run.name, **train_and_test(run, runs / run.name)}
    return stored_or_made(results / f"{run.name}.json", run.config(), make)


def train_and_test(run: Run, folder: Path) -> dict[str, Any]:
    """The result of training in `folder`, which goes on from what is there."""

    def report(chunk: Chunk) -> None:
        if chunk.ends_epoch:
            print(f"{run.name}: epoch {chunk.epoch} took {chunk.seconds:.0f} s", flush=True)

    result = run_and_store(ClassifierJob(run.recipe, load(run.data)), folder, callback=report)
    print(f"{run.name}: test error {100 * (1 - result['test_accuracy']):.2f} %", flush=True)
    names = ("test_accuracy", "iterations_mean", "iterations_std", "did_not_converge")
    return {name: result[name] for name in (*names, "seconds_per_epoch", "metrics")}


def table(results: Path) -> str:
    """One row for each network and its seeds, in Markdown, from the JSON alone."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(results.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        groups.setdefault(stored["name"].split("-seed")[0], []).append(stored)
    head = "| run | seeds | test error, % | mean | validation error, % | seconds an epoch |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *map(_row, groups, groups.values())])


def _row(name: str, group: Sequence[dict[str, Any]]) -> str:
    errors = [100 * (1 - each["test_accuracy"]) for each in group]
    held_out = [each["metrics"][-1]["validation_accuracy"] for each in group]
    validation = ", ".join(f"{100 * (1 - each):.2f}" for each in held_out if each is not None)
    seconds = min(min(each["seconds_per_epoch"]) for each in group)
    tested = ", ".join(f"{error:.2f}" for error in errors)
    mean = sum(errors) / len(errors)
    return f"| {name} | {len(group)} | {tested} | {mean:.2f} | {validation} | {seconds:.1f} |"


def main(runs: Sequence[Run], smoke: Sequence[Run], description: str, here: Path) -> None:
    """The runs whose names begin as asked for, one after another."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", default="", help="runs whose names begin so")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown, and no training")
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=here / "results", help="folder of the JSON")
    parser.add_argument("--runs", type=Path, default=Path("runs") / here.name, help="folder of the networks")
    options = parser.parse_args()
    if options.table:
        print(table(options.results))
        return
    for run in smoke if options.smoke else runs:
        if run.name.startswith(options.only):
            carry_out(run, options.results, options.runs)
