"""Compares learning rules: test error, cosine of the worst array to the implicit gradient, seconds an epoch.

    python -m experiments.learning_rules.run [--only ep-centred] [--smoke] [--table]

Networks in training lie in `runs/`; what is there, and what the JSON has, is not done again. The cosines are those of
the first weights and of the trained ones, each of the mean gradient of one batch.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from experiments.classify import Run, train_and_test

from hopfax import load_model
from hopfax.data import load
from hopfax.diagnostics import worst_array
from hopfax.gradients import ConjugateGradient, Implicit
from hopfax.networks import AbstractNetwork
from hopfax.objective import cost_gradient
from hopfax.training.job import stored_or_made

from .config import runs, smoke

HERE = Path(__file__).parent
BATCH = 256
EXACT = Implicit(ConjugateGradient(rtol=1e-6))


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    for run in [] if options.table else (smoke if options.smoke else runs)():
        if run.name.startswith(options.only):
            make = lambda run=run: result_of(run, options.runs / run.name)
            stored_or_made(options.results / f"{run.name}.json", run.config(), make)
    print(table(options.results))


def result_of(run: Run, folder: Path) -> dict[str, Any]:
    """The result of training, and how near the rule is to the gradient at the first and at the trained weights."""
    tested = train_and_test(run, folder)
    networks = {"first": run.recipe.network(), "trained": load_model(folder)}
    return {"name": run.name, **tested, "cosines": {key: cosine(run, net) for key, net in networks.items()}}


def cosine(run: Run, network: AbstractNetwork) -> dict[str, Any]:
    """The array in which the rule and the implicit gradient agree least, and the cosine there."""
    data = load(run.data)
    images = data.train_images[:BATCH].reshape(-1, *network.layers["input"].shape)
    targets = jax.nn.one_hot(data.train_labels[:BATCH], network.layers["output"].size)
    method = dataclasses.replace(run.recipe.method, rtol=1e-5)

    def gradient(method):
        return cost_gradient(network, {"input": images}, run.recipe.cost, targets, method=method).gradient

    array, value = worst_array(gradient(method), gradient(dataclasses.replace(method, gradient=EXACT)))
    return {"array": array, "cosine": value}


def table(results: Path) -> str:
    """One row for each rule, mean over its seeds, in Markdown, from the JSON alone."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(results.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        groups.setdefault(stored["name"].split("-seed")[0], []).append(stored)
    head = "| rule | seeds | test error, % | cosine at first | cosine after training | seconds an epoch |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *map(_row, groups, groups.values())])


def _row(name: str, group: Sequence[dict[str, Any]]) -> str:
    mean = lambda values: sum(values) / len(group)
    error = mean([100 * (1 - stored["test_accuracy"]) for stored in group])
    first, trained = (
        min(stored["cosines"][key]["cosine"] for stored in group) for key in ("first", "trained")
    )
    seconds = min(min(stored["seconds_per_epoch"]) for stored in group)
    return f"| {name} | {len(group)} | {error:.2f} | {first:.4f} | {trained:.4f} | {seconds:.1f} |"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="runs whose names begin so")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown, and no training")
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    parser.add_argument("--runs", type=Path, default=Path("runs/learning_rules"), help="of the networks")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
