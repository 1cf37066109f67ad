"""Does even-odd elimination pay on graphs other than chains? Trains each graph, then counts iterations.

python -m experiments.bipartite.run [--smoke]
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from benchmarks.common import circumstances

from hopfax import HAM, EvenOdd, Synchronous
from hopfax._internal.files import write_json
from hopfax.costs import StateSquaredError
from hopfax.data import Dataset, load
from hopfax.diagnostics.spectra import spectral_radius
from hopfax.method import Method
from hopfax.papers import paper_method
from hopfax.relax import relax
from hopfax.solvers import Anderson, Energy, Picard
from hopfax.training import Classification, Trainer, TrainState, evaluate, fit
from hopfax.training.madam import madam

from .graphs import GRAPHS, Config, build

HERE = Path(__file__).parent
PATHS = {
    "synchronous": (Synchronous(), Picard()),
    "even-odd": (EvenOdd(), Picard()),
    "even-odd Anderson": (EvenOdd(), Anderson(safeguard=Energy(), delay=0)),
}
SMOKE = Config(modules=5, neurons=8, pixels=64, data="digits", epochs=1, examples=16, steps=60)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    config = SMOKE if options.smoke else dataclasses.replace(Config(), seed=options.seed)
    dataset = load(config.data)
    result = {"config": dataclasses.asdict(config), "graphs": {}}
    for name in GRAPHS:
        result["graphs"][name] = run(name, config, dataset)
        path = options.results / f"seed{config.seed}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {**result, "circumstances": circumstances()}
        write_json(path, whole, indent=1)
        print(line(name, result["graphs"][name]), flush=True)


def run(name: str, config: Config, dataset: Dataset) -> dict[str, Any]:
    """Accuracy, iterations by each path and spectral radii of one graph after training."""
    network = build(config, GRAPHS[name], jr.key(config.seed))
    trained, seconds = _train(network, config, dataset)
    images, labels = dataset.test_images[: config.examples], dataset.test_labels[: config.examples]
    rows = {}
    for path, (update, solver) in PATHS.items():
        method = Method(update, solver)
        rows[path] = evaluate(
            trained, images, labels, method=method, steps=config.steps, cost=StateSquaredError()
        ).summary()
    weights = sum(s.weight.size for s in network.synapses.values() if len(s.layers) == 2)
    return {
        "synapses": [list(pair) for pair in GRAPHS[name](config)],
        "weights": weights,
        "seconds an epoch": seconds,
        "paths": rows,
        "spectral radius": _radii(trained, images),
    }


def line(name: str, row: dict[str, Any]) -> str:
    """A row of the table."""
    paths = row["paths"]
    iterations = [f"{paths[path]['iterations_mean']:.1f}" for path in PATHS]
    ratio = paths["synchronous"]["iterations_mean"] / paths["even-odd"]["iterations_mean"]
    missed = "/".join(str(paths[path]["did_not_converge"]) for path in PATHS)
    accuracy = 100 * paths["even-odd"]["accuracy"]
    cells = [name, str(row["weights"]), *iterations, f"{ratio:.2f}", missed, f"{accuracy:.2f}"]
    return "| " + " | ".join(cells) + " |"


def _train(network: HAM, config: Config, dataset: Dataset) -> tuple[HAM, list[float]]:
    batches = len(dataset.train_labels) // config.batch_size
    rate = lambda step: config.rate * (1 - 0.9 * jnp.clip(step / (config.epochs * batches), 0, 1))
    task = Classification(paper_method("HAM-EO", 120, 24), StateSquaredError())
    trainer = Trainer(madam(rate, gradient_bound=3.0), task, config.batch_size)
    begun = TrainState.begin(network, trainer, key=jr.key(config.seed))
    epochs = list(fit(trainer, begun, dataset.train_images, dataset.train_labels, epochs=config.epochs))
    return epochs[-1][0].model, [row["seconds"] for _, row in epochs]


def _radii(network: HAM, images) -> dict[str, float]:
    """The mean over a few examples: even-odd has the square of synchronous."""
    few = jnp.asarray(images[:16], jnp.float32)
    equilibrium = relax(network, {"input": few}, method=Method(rtol=1e-6, max_steps=2000))

    def radius(update):
        one = lambda image, state: spectral_radius(network, {"input": image}, state, update, key=jr.key(0))
        return float(jnp.mean(jax.jit(jax.vmap(one))(few, equilibrium.state)))

    return {"synchronous": radius(Synchronous()), "even-odd": radius(EvenOdd())}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
