"""The accelerated rows of the 2023 paper's Table 1, trained with gradients through steps of the acceleration.

    python -m experiments.goemaere2023.backward --seeds 0,1,2              # MNIST, shuffled, as the stored rows
    python -m experiments.goemaere2023.backward --seeds 0,1,2 --emnist-like --no-shuffle
    python -m experiments.goemaere2023.backward --table                    # from the stored results alone

The notebooks that draw the paper's table say `method="backprop", solver="anderson"`: the gradient is backpropagated
through eight evaluations of the accelerated solver, which begin at the equilibrium. All else is the recipe
`goemaere2023`. Runs may be interrupted: they lie in `runs/goemaere2023`, and go on from there. A finished run is a JSON
in `results/`.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from hopfax.apps.reproduce.results import pack_histogram, read_results, result_path, summarise_evaluation
from hopfax.apps.reproduce.rows import TABLE1, Experiment, select_rows
from hopfax.apps.reproduce.table import markdown, tabulate
from hopfax.data import Dataset, load
from hopfax.gradients.base import AbstractGradient, read_cost, replace_gradient, stop_gradient
from hopfax.papers import PUBLISHED_ANDERSON
from hopfax.solvers.loop import fixed_point_function
from hopfax.training import AbstractJob, ClassifierJob, Trainer, TrainState, train
from hopfax.training.classifier import ClassificationMetrics
from hopfax.training.job import stored_or_made
from hopfax.training.metrics import to_json

from .emnist_like import emnist_like

HERE = Path(__file__).parent
STEPS = 8


class ThroughAnderson(AbstractGradient):
    """Backpropagation through `steps` evaluations of the published Anderson acceleration, from the equilibrium on.

    The result of the forward solve is kept; the gradient is that of the last image `f(z)`. Where the residual is far
    below the ridge, every point of the window has the same weight. Source: [goemaere2023], code.
    """

    steps: int = STEPS

    def connect(self, problem, solve, stats):
        equilibrium, statistics = solve(problem)
        fn = fixed_point_function(problem, PUBLISHED_ANDERSON)
        point = stop_gradient(equilibrium)
        info = jax.eval_shape(fn, point, None)[1]
        state = PUBLISHED_ANDERSON.init(fn, point, None, {}, None, info, frozenset())

        def step(carry, _):
            point, state, _ = PUBLISHED_ANDERSON.step(fn, carry[0], None, {}, carry[1], frozenset())
            return (point, state), None

        (point, _), _ = jax.lax.scan(step, (point, state), None, length=self.steps - 1)
        unknowns = replace_gradient(equilibrium, problem.image(point))
        return *problem.point(unknowns), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


@dataclasses.dataclass(frozen=True)
class BackwardJob(AbstractJob):
    """A row of the table, trained with `ThroughAnderson`."""

    classifier: ClassifierJob
    metrics_type = ClassificationMetrics

    @property
    def epochs(self) -> int:
        return self.classifier.epochs

    @property
    def data(self) -> Dataset:
        return self.classifier.data

    def config(self) -> dict[str, Any]:
        return {**self.classifier.config(), "backward": f"through {STEPS} Anderson steps"}

    def trainer(self) -> Trainer:
        trainer = self.classifier.trainer()
        method = dataclasses.replace(trainer.task.method, gradient=ThroughAnderson())
        return dataclasses.replace(trainer, task=dataclasses.replace(trainer.task, method=method))

    def begin(self, trainer: Trainer) -> TrainState:
        return self.classifier.begin(trainer)

    def check_start(self, trainer: Trainer, model) -> None:
        pass

    def epoch_metrics(self, chunk, model) -> ClassificationMetrics:
        return self.classifier.epoch_metrics(chunk, model)

    def save(self, model, folder: Path) -> None:
        self.classifier.save(model, folder)

    def measure(self, model, metrics) -> dict[str, Any]:
        numbers = summarise_evaluation(self.classifier.evaluate(model, self.classifier.dataset))
        histogram = pack_histogram(numbers["histogram"])
        rows = {"seconds": [row.seconds for row in metrics], "metrics": [to_json(row) for row in metrics]}
        return {**numbers, "histogram": histogram, **rows}


def carry_out(row: Experiment, seed: int, dataset: Dataset, options) -> None:
    """Train, evaluate and store one run, unless it is stored."""
    recipe = dataclasses.replace(row.recipe(dataset, seed), shuffle=options.shuffle)
    recipe = dataclasses.replace(recipe, epochs=options.epochs or recipe.epochs)
    job, name = BackwardJob(ClassifierJob(recipe, dataset)), row_name(row, options)

    def make() -> dict[str, Any]:
        print(f"{name}, seed {seed}", flush=True)
        folder = options.runs / f"{name}-{seed}"
        model, metrics = train(job, folder, resume=True, callback=report)
        job.save(model, folder)
        return {"row": name, "seed": seed, **job.measure(model, metrics)}

    stored_or_made(result_path(options.out, name, seed), job.config(), make)


def report(chunk) -> None:
    if chunk.ends_epoch:
        print(f"  epoch {chunk.epoch} of {chunk.seconds:.0f} s, loss {chunk.means()['loss']:.4f}", flush=True)


def row_name(row: Experiment, options) -> str:
    data = "-emnist-like" if options.emnist_like else ""
    return f"{row.name}-through-anderson{data}{'' if options.shuffle else '-unshuffled'}"


def table(rows: Sequence[Experiment], folder: Path) -> str:
    """What is stored, beside the paper's numbers, with the speed-up over the stored row of plain HAM."""
    variants = [
        dataclasses.replace(row, name=row_name(row, argparse.Namespace(emnist_like=like, shuffle=shuffle)))
        for row in rows
        for like in (False, True)
        for shuffle in (True, False)
    ]
    results = read_results(folder, [row.name for row in (*rows, *variants, TABLE1[0])])
    return markdown(tabulate([row for row in (*rows, *variants) if row.name in results], results))


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    rows = select_rows(TABLE1, [f"v1-{model}" for model in options.models.split(",")])
    if not options.table:
        dataset = load(options.data)
        dataset = emnist_like(dataset) if options.emnist_like else dataset
        for row in rows:
            for seed in map(int, options.seeds.split(",")):
                carry_out(row, seed, dataset, options)
    print(table(rows, options.out))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--models", default="HAM-DEQ", help="of HAM-DEQ and HAM-EO-DEQ")
    parser.add_argument("--data", default="mnist", help="digits, to see that it runs")
    parser.add_argument("--emnist-like", action="store_true", help="enlarge the digits as EMNIST does")
    parser.add_argument(
        "--no-shuffle", dest="shuffle", action="store_false", help="in the order of the files"
    )
    parser.add_argument("--epochs", type=int, help="fewer than the paper's ten")
    parser.add_argument("--table", action="store_true", help="what is stored, and no training")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of `results/`")
    parser.add_argument("--runs", type=Path, default=Path("runs") / HERE.name, help="folder of the networks")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
