"""How many iterations does each model need on one and the same trained network? No training, so deep ones are cheap.

    python -m experiments.same_weights.run NETWORK_DIR [--name 5-HAM-EO-0] [--examples 1000]

`NETWORK_DIR` is a folder that `hopfax train` or `hopfax reproduce` wrote.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import circumstances

from hopfax import load_model, paper_method
from hopfax.checkpoint import write_whole
from hopfax.cli.runfile import read_run
from hopfax.data import load
from hopfax.training import evaluate

HERE = Path(__file__).parent
MODELS = ("HAM", "HAM-DEQ", "HAM-EO", "HAM-EO-DEQ")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    result = run(options.network, options.examples)
    path = options.results / f"{options.name or options.network.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(result, indent=1) + "\n").encode())
    print(table(result))


def run(folder: Path, examples: int) -> dict[str, Any]:
    """Iterations, convergence and accuracy of each model on the network in `folder`."""
    recipe, data = read_run(folder)
    dataset, network = load(data), load_model(folder)
    images, labels = dataset.test_images[:examples], dataset.test_labels[:examples]
    rows = {}
    for name in MODELS:
        method = paper_method(name, recipe.forward_steps)
        rows[name] = evaluate(network, images, labels, method=method, steps=recipe.forward_steps).summary()
    return {
        "trained by": recipe.config(),
        "data": data,
        "examples": len(labels),
        "models": rows,
        "circumstances": circumstances(),
    }


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
    parser.add_argument("network", type=Path, help="folder of the trained network")
    parser.add_argument("--name", help="of the result; that of the folder if not given")
    parser.add_argument("--examples", type=int, default=10_000, help="the first so many of the test set")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
