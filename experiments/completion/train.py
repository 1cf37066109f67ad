"""A network that completes images, by equilibrium propagation and by the implicit gradient from equal seeds.

    python -m experiments.completion.train [--only ep-5-seed0] [--smoke]

One model for all masks. The result of a run is its squared error, summed over the missing pixels of the first 1,000
test images, with 30 % of the pixels or the upper half missing, from four starts. Networks in training lie in `runs/`;
what is there, and what the JSON has, is not done again.
"""

import dataclasses
from pathlib import Path
from typing import Any

from experiments.runs import Run, command, dataset_of, markdown, stored, stored_result

from hopfax.gradients.base import AbstractGradient
from hopfax.training import Chunk, CompletionJob, CompletionRecipe, mixture_recipe, run_and_store
from hopfax.training.completion_job import IMPLICIT, equilibrium_propagation

HERE = Path(__file__).parent
SEEDS = 3
EPOCHS = (5, 20)
GRADIENTS: dict[str, AbstractGradient] = {"ep": equilibrium_propagation(), "implicit": IMPLICIT}
NETWORKS = {
    "": CompletionRecipe(),
    "mixture-": mixture_recipe(),
}  # by what the names of their runs begin with


def runs() -> list[Run[CompletionRecipe]]:
    """Seed by seed, short runs first, so that an early end leaves both networks and gradients with some."""
    return [
        _run(network, gradient, epochs, seed)
        for seed in range(SEEDS)
        for epochs in EPOCHS
        for network in NETWORKS
        for gradient in GRADIENTS
    ]


def smoke() -> list[Run[CompletionRecipe]]:
    """Seconds on the embedded digits; shows that both gradients run, and nothing else."""
    recipe = CompletionRecipe(layers=(64, 16), epochs=1, tested=50)
    return [
        Run(f"smoke-{name}", dataclasses.replace(recipe, gradient=gradient), "digits")
        for name, gradient in GRADIENTS.items()
    ]


def _run(network: str, gradient: str, epochs: int, seed: int) -> Run[CompletionRecipe]:
    how = {"epochs": epochs, "seed": seed, "gradient": GRADIENTS[gradient]}
    recipe = dataclasses.replace(NETWORKS[network], **how)
    return Run(f"{network}{gradient}-{epochs}-seed{seed}", recipe)


def carry_out(run: Run[CompletionRecipe], results: Path, folders: Path) -> dict[str, Any]:
    """The result, from `results` if it is there; else trained in a folder of `folders`, which may be interrupted.

    Raises: `ValueError` if the stored result has other settings.
    """

    def report(chunk: Chunk) -> None:
        means = ", ".join(f"{name} {value:.4g}" for name, value in chunk.means().items())
        print(f"{run.name}: epoch {chunk.epoch}, {chunk.batch} of {chunk.batches}: {means}", flush=True)

    def measure() -> dict[str, Any]:
        job = CompletionJob(run.recipe, dataset_of(run.data))
        return run_and_store(job, folders / run.name, callback=report)

    return stored_result(run, results, measure)


def table(results: Path) -> str:
    """One row for each run, in Markdown, from the JSON alone; errors are those from the mean image."""
    contents = list(stored(results).values())
    masks = list(contents[0]["completion"]) if contents else []
    head = ["run", *masks, "range over starts, %", "converged, %", "seconds an epoch"]
    return markdown(head, (_row(result, masks) for result in contents))


def _row(result: dict[str, Any], masks: list[str]) -> list[str]:
    starts = [result["completion"][mask] for mask in masks]
    errors = [f"{rows['mean']['error']:.3f} ± {rows['mean']['standard_error']:.3f}" for rows in starts]
    by_start = [[row["error"] for row in rows.values()] for rows in starts]
    spread = max(100 * (max(column) / min(column) - 1) for column in by_start)
    converged = min(100 * row["converged"] for rows in starts for row in rows.values())
    seconds = min(result["seconds_per_epoch"])
    return [result["name"], *errors, f"{spread:.2f}", f"{converged:.1f}", f"{seconds:.0f}"]


def main(arguments: list[str] | None = None) -> None:
    """The runs whose names begin as asked for, one after another."""
    options = command(__doc__, HERE).parse_args(arguments)
    for run in () if options.table else smoke() if options.smoke else runs():
        if run.name.startswith(options.only):
            carry_out(run, options.results, options.runs)
    print(table(options.results))


if __name__ == "__main__":
    main()
