"""Compares learning rules: test error, cosine of the worst array to the implicit gradient, seconds an epoch.

    python -m experiments.learning_rules.run [--only ep-centred] [--smoke] [--table]

Networks in training lie in `runs/`; what is there, and what the JSON has, is not done again. The cosines are those of
the first weights and of the trained ones, each of the mean gradient of one batch.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from experiments.classify import train_and_test
from experiments.runs import Run, by_setting, command, dataset_of, markdown, stored_result

from hopfax import load_model
from hopfax.diagnostics import worst_array
from hopfax.gradients import ConjugateGradient, Implicit
from hopfax.networks import AbstractNetwork
from hopfax.objective import cost_gradient
from hopfax.training import Recipe

from .config import runs, smoke

HERE = Path(__file__).parent
BATCH = 256
EXACT = Implicit(ConjugateGradient(rtol=1e-6))


def main(arguments: Sequence[str] | None = None) -> None:
    options = command(__doc__, HERE).parse_args(arguments)
    chosen = smoke if options.smoke else runs
    for run in [] if options.table else chosen(options.only):
        stored_result(run, options.results, lambda run=run: measure(run, options.runs / run.name))
    print(table(options.results))


def measure(run: Run[Recipe], folder: Path) -> dict[str, Any]:
    """The result of training, and how near the rule is to the gradient at the first and at the trained weights."""
    tested = train_and_test(run, folder)
    networks = {"first": run.recipe.network(), "trained": load_model(folder)}
    return {**tested, "cosines": {key: cosine(run, net) for key, net in networks.items()}}


def cosine(run: Run[Recipe], network: AbstractNetwork) -> dict[str, Any]:
    """The array in which the rule and the implicit gradient agree least, and the cosine there."""
    data = dataset_of(run.data)
    images = data.train_images[:BATCH].reshape(-1, *network.layers["input"].shape)
    targets = jax.nn.one_hot(data.train_labels[:BATCH], network.layers["output"].size)
    method = dataclasses.replace(run.recipe.method, rtol=1e-5)

    def gradient(method):
        return cost_gradient(network, {"input": images}, run.recipe.cost, targets, method=method).gradient

    array, value = worst_array(gradient(method), gradient(dataclasses.replace(method, gradient=EXACT)))
    return {"array": array, "cosine": value}


def table(results: Path) -> str:
    """One row for each rule, mean over its seeds, in Markdown, from the JSON alone."""
    head = (
        "data",
        "rule",
        "seeds",
        "test error, %",
        "cosine at first",
        "cosine after training",
        "seconds an epoch",
    )
    return markdown(head, (_row(name, group) for name, group in by_setting(results).items()))


def _row(name: str, group: Sequence[dict[str, Any]]) -> list[Any]:
    error = sum(100 * (1 - result["test_accuracy"]) for result in group) / len(group)
    first, trained = (
        min(result["cosines"][key]["cosine"] for result in group) for key in ("first", "trained")
    )
    seconds = min(min(result["seconds_per_epoch"]) for result in group)
    data = group[0]["config"]["data"]
    rule = name.removeprefix(f"{data}-")
    return [data, rule, len(group), f"{error:.2f}", f"{first:.4f}", f"{trained:.4f}", f"{seconds:.1f}"]


if __name__ == "__main__":
    main()
