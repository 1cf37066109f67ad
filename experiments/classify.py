"""A classifier trained by a recipe and tested after its last epoch, stored as one JSON: what several experiments do."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.runs import Run, by_setting, command, dataset_of, markdown, stored_result

from hopfax.training import Chunk, ClassifierJob, Recipe, run_and_store

HELD_OUT = 10_000


def trials(
    prefix: str, base: Recipe, changes: Mapping[str, Mapping[str, Any]], data: str = "mnist"
) -> list[Run[Recipe]]:
    """What each change of a recipe does, seen on `HELD_OUT` training examples."""
    return [
        Run(
            f"{prefix}-{name.replace(' ', '-')}",
            dataclasses.replace(base, validation=HELD_OUT, **change),
            data,
        )
        for name, change in changes.items()
    ]


def carry_out(run: Run[Recipe], results: Path, runs: Path) -> dict[str, Any]:
    """The result, from `results` if it is there; else trained in a folder of `runs`, which may be interrupted.

    Raises: `ValueError` if the stored result has other settings.
    """
    return stored_result(run, results, lambda: train_and_test(run, runs / run.name))


def train_and_test(run: Run[Recipe], folder: Path) -> dict[str, Any]:
    """The result of training in `folder`, which goes on from what is there."""

    def report(chunk: Chunk) -> None:
        if chunk.ends_epoch:
            print(f"{run.name}: epoch {chunk.epoch}, {chunk.progress()}, {chunk.seconds:.0f} s", flush=True)

    result = run_and_store(ClassifierJob(run.recipe, dataset_of(run.data)), folder, callback=report)
    print(f"{run.name}: test error {100 * (1 - result['test_accuracy']):.2f} %", flush=True)
    names = ("test_accuracy", "iterations_mean", "iterations_std", "did_not_converge")
    return {name: result[name] for name in (*names, "seconds_per_epoch", "metrics")}


def table(results: Path) -> str:
    """One row for each network and its seeds, in Markdown, from the JSON alone."""
    head = ("run", "seeds", "test error, %", "mean", "validation error, %", "seconds an epoch")
    return markdown(head, (_row(name, group) for name, group in by_setting(results).items()))


def _row(name: str, group: Sequence[dict[str, Any]]) -> list[Any]:
    errors = [100 * (1 - result["test_accuracy"]) for result in group]
    held_out = [result["metrics"][-1]["validation_accuracy"] for result in group]
    validation = ", ".join(f"{100 * (1 - accuracy):.2f}" for accuracy in held_out if accuracy is not None)
    seconds = min(min(result["seconds_per_epoch"]) for result in group)
    tested = ", ".join(f"{error:.2f}" for error in errors)
    return [name, len(group), tested, f"{sum(errors) / len(errors):.2f}", validation, f"{seconds:.1f}"]


def main(runs: Sequence[Run[Recipe]], smoke: Sequence[Run[Recipe]], description: str, here: Path) -> None:
    """The runs whose names begin as asked for, one after another."""
    options = command(description, here).parse_args()
    if options.table:
        print(table(options.results))
        return
    for run in smoke if options.smoke else runs:
        if run.name.startswith(options.only):
            carry_out(run, options.results, options.runs)
