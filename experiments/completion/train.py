"""A network that completes images, by equilibrium propagation and by the implicit gradient from equal seeds.

    python -m experiments.completion.train [--only ep-seed0] [--smoke]

One model for all masks. The result of a run is its squared error, summed over the missing pixels of the first 1,000
test images, with 30 % of the pixels or the upper half missing, from four starts. Networks in training lie in `runs/`;
what is there, and what the JSON has, is not done again.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from hopfax.data import load
from hopfax.gradients.base import AbstractGradient
from hopfax.training import Chunk, CompletionJob, CompletionRecipe, run_and_store
from hopfax.training.completion_job import IMPLICIT, equilibrium_propagation
from hopfax.training.job import stored_or_made

SEEDS = 3
EPOCHS = 20
GRADIENTS: dict[str, AbstractGradient] = {"ep": equilibrium_propagation(), "implicit": IMPLICIT}


@dataclasses.dataclass(frozen=True)
class Run:
    """One network in training; `name` is that of its JSON."""

    name: str
    recipe: CompletionRecipe
    data: str = "mnist"

    def config(self) -> dict[str, Any]:
        return {**self.recipe.config(), "data": self.data}


def runs() -> list[Run]:
    """Seed by seed, so that an early end leaves both gradients with some."""
    return [_run(gradient, seed) for seed in range(SEEDS) for gradient in GRADIENTS]


def smoke() -> list[Run]:
    """Seconds on the embedded digits; shows that both gradients run, and nothing else."""
    recipe = CompletionRecipe(layers=(64, 16), epochs=1, tested=50)
    return [
        Run(f"smoke-{name}", dataclasses.replace(recipe, gradient=gradient), "digits")
        for name, gradient in GRADIENTS.items()
    ]


def _run(gradient: str, seed: int) -> Run:
    recipe = CompletionRecipe(epochs=EPOCHS, seed=seed, gradient=GRADIENTS[gradient])
    return Run(f"{gradient}-seed{seed}", recipe)


def carry_out(run: Run, results: Path, folders: Path) -> dict[str, Any]:
    """The result, from `results` if it is there; else trained in a folder of `folders`, which may be interrupted.

    Raises: `ValueError` if the stored result has other settings.
    """

    def report(chunk: Chunk) -> None:
        means = ", ".join(f"{name} {value:.4g}" for name, value in chunk.means().items())
        print(f"{run.name}: epoch {chunk.epoch}, {chunk.batch} of {chunk.batches}: {means}", flush=True)

    def make() -> dict[str, Any]:
        job = CompletionJob(run.recipe, load(run.data))
        return {"name": run.name, **run_and_store(job, folders / run.name, callback=report)}

    return stored_or_made(results / f"{run.name}.json", run.config(), make)


def table(results: Path) -> str:
    """One row for each run, in Markdown, from the JSON alone; errors are those from the mean image."""
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    masks = list(stored[0]["completion"]) if stored else []
    head = ["run", *masks, "range over starts, %", "converged, %", "seconds an epoch"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(_row(run, masks) for run in stored)])


def _row(run: dict[str, Any], masks: list[str]) -> str:
    starts = [run["completion"][mask] for mask in masks]
    errors = [f"{rows['mean']['error']:.3f} ± {rows['mean']['standard_error']:.3f}" for rows in starts]
    by_start = [[row["error"] for row in rows.values()] for rows in starts]
    spread = max(100 * (max(column) / min(column) - 1) for column in by_start)
    converged = min(100 * row["converged"] for rows in starts for row in rows.values())
    seconds = min(run["seconds_per_epoch"])
    return f"| {' | '.join([run['name'], *errors, f'{spread:.2f}', f'{converged:.1f}', f'{seconds:.0f}'])} |"


def main(arguments: list[str] | None = None) -> None:
    """The runs whose names begin as asked for, one after another."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="runs whose names begin so")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown, and no training")
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=here / "results", help="folder of the JSON")
    parser.add_argument("--runs", type=Path, default=Path("runs/completion"), help="folder of the networks")
    options = parser.parse_args(arguments)
    for run in () if options.table else smoke() if options.smoke else runs():
        if run.name.startswith(options.only):
            carry_out(run, options.results, options.runs)
    print(table(options.results))


if __name__ == "__main__":
    main()
