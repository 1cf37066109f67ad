"""Do all solvers keep the same equilibrium through training? Trains, relaxes after each epoch, writes JSON.

    python -m experiments.same_equilibrium.run [--only 784-512-10] [--seed 0] [--smoke]

Networks in training lie in `runs/`; what is there, and what the JSON has, is not done again.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from benchmarks.common import circumstances

from hopfax import load_model, save_model
from hopfax._internal.files import write_json
from hopfax.data import Dataset, load
from hopfax.training import Chunk, ClassifierJob, train

from .config import Config, configs, smoke
from .measure import compare

HERE = Path(__file__).parent
RUNS = Path("runs/same_equilibrium")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    for config in (smoke if options.smoke else configs)(options.seed):
        if config.name.startswith(options.only):
            run(config, options.results, options.runs / config.name)


def run(config: Config, results: Path, folder: Path) -> dict[str, Any]:
    """The result of one network, epoch 0 being the untrained one; written after each epoch."""
    dataset, path = load(config.data), results / f"{config.name}.json"
    _train(config, dataset, folder)
    result = _begun(config, path)
    for epoch in range(len(result["epochs"]), config.recipe.epochs + 1):
        began = time.perf_counter()
        images, labels = dataset.test_images[: config.examples], dataset.test_labels[: config.examples]
        row = compare(load_model(folder / f"epoch{epoch}"), images, labels, config)
        result["epochs"].append({"epoch": epoch, **row, "seconds": time.perf_counter() - began})
        _write(path, {**result, "circumstances": circumstances()})
        print(f"{config.name}: epoch {epoch} compared in {result['epochs'][-1]['seconds']:.0f} s", flush=True)
    return result


def _train(config: Config, dataset: Dataset, folder: Path) -> None:
    """Leave the network of each epoch in `folder`."""
    last = folder / f"epoch{config.recipe.epochs}"
    if last.exists():
        return

    def report(chunk: Chunk) -> None:
        if chunk.ends_epoch:
            save_model(chunk.state.model, folder / f"epoch{chunk.epoch}")
            print(f"{config.name}: epoch {chunk.epoch} trained in {chunk.seconds:.0f} s", flush=True)

    with jax.enable_x64(False):
        save_model(config.recipe.network(), folder / "epoch0")
        train(ClassifierJob(config.recipe, dataset), folder / "training", resume=True, callback=report)


def _begun(config: Config, path: Path) -> dict[str, Any]:
    """The result so far. Raises: `ValueError` if it is of other settings."""
    settings = json.loads(json.dumps(config.json()))
    if not path.exists():
        return {"config": settings, "epochs": []}
    result = json.loads(path.read_text(encoding="utf-8"))
    if result["config"] != settings:
        raise ValueError(f"`{path}` has the results of other settings; move it away, or restore them.")
    return result


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result, indent=1)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="networks whose layers begin so, such as 784-512")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the networks")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
