"""How many iterations does each model of the 2024 paper need on one and the same trained network?

    python -m experiments.same_weights.run --layers 784,1280,510,200,10 [--seed 0] [--epochs 10] [--smoke]

Training is by the paper's recipe, but for the solver and the gradient, which are hopfax's fast ones: all models have
the same equilibria, and deep networks train in a fraction of the time. Networks lie in `runs/`.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.random as jr
from benchmarks.common import circumstances

from hopfax import EvenOdd, Method, load_model, save_model
from hopfax._internal.files import write_atomic, write_json
from hopfax.apps.cli.options import layer_sizes
from hopfax.costs import StateSquaredError
from hopfax.data import Dataset, load
from hopfax.gradients import ConjugateGradient, Implicit
from hopfax.networks import AbstractNetwork
from hopfax.papers import paper_method
from hopfax.solvers import Anderson, Residual
from hopfax.training import Classification, Trainer, TrainState, evaluate, fit
from hopfax.training.recipes import Recipe, goemaere2023, goemaere2024

HERE = Path(__file__).parent
RUNS = Path("runs/same_weights")
MODELS = ("HAM", "HAM-DEQ", "HAM-EO", "HAM-EO-DEQ")
FAST = Method(
    EvenOdd(), Anderson(safeguard=Residual(), delay=0), Implicit(ConjugateGradient(rtol=1e-3)), 1e-4, 0.0, 200
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    make, layers, data = (
        (goemaere2023, (64, 16, 10), "digits")
        if options.smoke
        else (goemaere2024, layer_sizes(options.layers), "mnist")
    )
    recipe = dataclasses.replace(make(layers), seed=options.seed)
    name = f"{'-'.join(map(str, recipe.layers))}-seed{recipe.seed}"
    dataset = load(data)
    network, seconds = trained(recipe, dataset, options.runs / name, options.epochs)
    result = {"recipe": recipe.config(), "epochs": options.epochs, "seconds": seconds, "data": data}
    result |= {"models": compare(network, dataset, recipe), "circumstances": circumstances()}
    path = options.results / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result, indent=1)
    print(table(result))


def trained(
    recipe: Recipe, dataset: Dataset, folder: Path, epochs: int
) -> tuple[AbstractNetwork, list[float]]:
    """The network after so many of the recipe's epochs, and the seconds of each; saved, and not trained again."""
    account = folder / "seconds.json"
    if account.exists():
        return load_model(folder), json.loads(account.read_text(encoding="utf-8"))
    batches = len(dataset.train_labels) // recipe.batch_size
    trainer = Trainer(
        recipe.transformation(batches), Classification(FAST, StateSquaredError()), recipe.batch_size
    )
    state = TrainState.begin(recipe.network(), trainer, key=jr.fold_in(jr.key(recipe.seed), 1))
    seconds, images, labels = [], dataset.train_images, dataset.train_labels
    for after, means in fit(trainer, state, images, labels, epochs=epochs):
        print(means, flush=True)
        seconds.append(means["seconds"])
        save_model(after.model, folder)
    write_atomic(account, json.dumps(seconds).encode())
    return load_model(folder), seconds


def compare(network: AbstractNetwork, dataset: Dataset, recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Iterations, convergence and accuracy of each model on the test set."""
    steps, rows = recipe.forward_steps, {}
    for name in MODELS:
        method = paper_method(name, steps)
        evaluation = evaluate(
            network,
            dataset.test_images,
            dataset.test_labels,
            method=method,
            steps=steps,
            cost=StateSquaredError(),
        )
        rows[name] = evaluation.summary()
        print(name, rows[name], flush=True)
    return rows


def table(result: dict[str, Any]) -> str:
    """One line a model."""
    base = result["models"]["HAM"]["iterations_mean"]
    return "\n".join(
        f"| {name} | {row['iterations_mean']:.1f} | {base / row['iterations_mean']:.2f} | "
        f"{row['did_not_converge']} | {100 * row['accuracy']:.2f} |"
        for name, row in result["models"].items()
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", default="784,1024,512,256,128,70,10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10, help="of the recipe's ten")
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the networks")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
