"""Convolutional networks trained by equilibrium propagation and by the implicit gradient: trains, tests, writes JSON.

    python -m experiments.convolutional.run [--only mnist-conv-5-ep] [--smoke]
    python -m experiments.convolutional.run --only validation
    python -m experiments.convolutional.run --table

Networks in training lie in `runs/`. An interrupted run goes on from its last checkpoint, and what the JSON has is not
done again. The JSON of a run has the numbers of its last epoch; `test_error` is a fraction.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from experiments.classify import train_and_test
from experiments.runs import Run, command, dataset_of, markdown, stored, stored_result

from hopfax import load_model, relax
from hopfax.apps.reproduce import fill_page
from hopfax.data import Dataset
from hopfax.diagnostics.gradient_check import named_cosines
from hopfax.gradients import EquilibriumPropagation
from hopfax.networks import AbstractNetwork
from hopfax.training import ClassifierJob
from hopfax.training.ep_checks import both_gradients
from hopfax.training.recipes import Recipe

from .config import NETWORKS, Setting, described, names, runs, smoke, trials

HERE = Path(__file__).parent
TESTED = 1_000  # test images whose solves are counted
HEAD = (
    *("data", "network", "epochs", "gradient", "error, %", "to reach", "seconds", "converged, %", "sweeps"),
    "worst cosine",
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = command(__doc__, HERE)
    parser.add_argument(
        "--readme", type=Path, default=HERE / "README.md", help="page into which --table writes"
    )
    options = parser.parse_args(arguments)
    if options.table:
        write_table(options.results, options.readme)
        return
    only = options.only
    for run in smoke() if options.smoke else itertools.chain(runs(only), trials(only or "validation")):
        carry_out(run, options.results, options.runs)


def carry_out(run: Run[Recipe], results: Path, folders: Path) -> dict[str, Any]:
    """The result, from `results` if it is there; else trained in a folder of `folders`, which may be interrupted.

    Raises: `ValueError` if the stored result has other settings.
    """
    return stored_result(run, results, lambda: measure(run, folders / run.name))


def measure(run: Run[Recipe], folder: Path) -> dict[str, Any]:
    """What is stored of a run: the numbers of the last epoch, the metrics of all, and the first filters."""
    result = train_and_test(run, folder)
    dataset, model = dataset_of(run.data), load_model(folder)
    return {
        "data": run.data,
        "network": network_of(run.recipe),
        "gradient": "ep" if isinstance(run.recipe.gradient, EquilibriumPropagation) else "implicit",
        "epochs": run.recipe.epochs,
        "seed": run.recipe.seed,
        "test_error": 1 - result["test_accuracy"],
        "seconds_per_epoch": float(np.median(result["seconds_per_epoch"])),
        **convergence(ClassifierJob(run.recipe, dataset), model, dataset),
        "metrics": result["metrics"],
        "filters": filters(model),
    }


def network_of(recipe: Recipe) -> str:
    """The name of its layers; "small" for those of the short runs."""
    named = (name for name, blocks in NETWORKS.items() if recipe.layers[1:-1] == blocks)
    return next(named, "small")


def convergence(job: ClassifierJob, model: AbstractNetwork, dataset: Dataset) -> dict[str, Any]:
    """Of 1,000 test images: the share that meets the tolerance of training, and sweeps.

    Of the first training batch: the cosine of the two gradients for each array of weights; none by the implicit one.
    """
    images = jnp.asarray(dataset.test_images[:TESTED]).reshape(-1, *model.layers["input"].shape)
    method = job.recipe.method
    statistics = jax.jit(lambda x: relax(model, {"input": x}, method=method).statistics)(images)
    numbers = {
        "converged": float(jnp.mean(statistics.status == 0)),
        "sweeps": float(jnp.mean(statistics.evaluations)),
    }
    if not isinstance(job.recipe.gradient, EquilibriumPropagation):
        return {**numbers, "cosines": None, "worst_cosine": None}
    trainer, size = job.trainer(), job.recipe.batch_size
    images, labels = jnp.asarray(job.data.train_images[:size]), jnp.asarray(job.data.train_labels[:size])
    cosines = named_cosines(*both_gradients(trainer.task, model, images, labels))
    return {**numbers, "cosines": cosines, "worst_cosine": min(cosines.values())}


def filters(model: AbstractNetwork) -> list[Any]:
    """The kernel of the first convolution, of shape (height, width, input channels, channels), to four digits."""
    first = model.synapses["-".join(model.order[:2])]
    (kernel,) = (leaf for leaf in jax.tree.leaves(first) if jnp.ndim(leaf) == 4)
    return np.round(np.asarray(kernel, np.float64), 4).tolist()


def table(results: Path) -> str:
    """One row for each setting and gradient with a stored seed, in Markdown, and a line with those that have none.

    Settings with another rate or decay than the recipe's are left out of that line.
    """
    contents = stored(results)
    groups: dict[tuple[Setting, str], list[dict[str, Any]]] = {}
    for name, setting, gradient, _ in names():
        groups.setdefault((setting, gradient), []).extend([contents[name]] if name in contents else [])
    rows = [_row(setting, gradient, group) for (setting, gradient), group in groups.items() if group]
    missing = [
        f"`{setting.name}-{gradient}`"
        for (setting, gradient), group in groups.items()
        if not group and not setting.changed
    ]
    return markdown(HEAD, rows) + (f"\n\nNot run: {', '.join(missing)}." if missing else "")


def _row(setting: Setting, gradient: str, group: Sequence[Mapping[str, Any]]) -> list[Any]:
    goal = "" if setting.goal is None else f"{100 * setting.goal:.2f}"
    network = setting.network + (", augmented" if setting.augmentation else "") + described(setting)
    mean = lambda name: float(np.mean([result[name] for result in group]))
    errors = ", ".join(f"{100 * result['test_error']:.2f}" for result in group)
    error = f"{100 * mean('test_error'):.2f}" + (f" ({errors})" if len(group) > 1 else "")
    cosine = "" if gradient == "implicit" else f"{min(result['worst_cosine'] for result in group):.3f}"
    seconds, sweeps = f"{mean('seconds_per_epoch'):.0f}", f"{mean('sweeps'):.1f}"
    what = [setting.data, network, setting.epochs, gradient]
    return [*what, error, goal, seconds, f"{100 * mean('converged'):.1f}", sweeps, cosine]


def write_table(results: Path, readme: Path) -> None:
    """Put the table into the page, and print it."""
    new = table(results)
    fill_page(readme, new + "\n")
    print(new)


if __name__ == "__main__":
    main()
