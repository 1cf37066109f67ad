"""`hopfax demo`: the main results of the papers, on digits that need no download."""

import contextlib
import functools as ft
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..._internal.compiled import cache_compiled_code
from .output import Json, check_json, emit, result_table, terminal_progress, writable_folder

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Array

    from ...data import Dataset
    from ...training.classifier import TrainedClassifier
    from ..demo import RecalledDigits

BINS = 80  # the papers have 400, for 170 times as many examples
Step = Callable[[str, int], None]
PICTURED = {"nearest": "nearest", "feed_forward": "MLP", "metric_memory": "metric", "trained": "trained"}

NETWORKS_TEXT = """\
[bold]1. Networks that relax[/bold]

A Hopfield network has an energy, a number for each state of its neurons. Here the \
pixels of a handwritten digit are clamped, and the other neurons are updated again \
and again until they no longer change: the energy is then at a minimum, and the \
largest of ten output neurons is the class of the digit. Networks of 64, 128 and 10 \
neurons were trained to do this on 1,500 digits of 8x8 pixels, and tested on 297 \
digits of other writers. Two papers (2023 and 2024) ask how few updates are enough.
"""
NETWORKS_LEGEND = """\
Each row is a way to update the neurons.
  HAM         all layers at once
  HAM-DEQ     the same, extrapolated from the last steps (Anderson acceleration)
  HAM-EO      the even layers, then the odd ones: the idea of the papers
  HAM-EO-DEQ  both
  default     the network of HAM-EO, relaxed by the default method of hopfax

updates: until the states change by less than 0.01 %, mean and standard deviation over \
the test digits. did not converge: test digits that needed more than 40. relaxing: all \
test digits together, to the same 0.01 %, in milliseconds on this machine, compiled. \
training: in seconds. What to see: the -EO networks need fewer updates for about the same \
accuracy. An extrapolated update costs more than a plain one, so on networks as small as \
these -DEQ saves updates and not time.
"""
COMPLETION_TEXT = """\
[bold]2. Digits completed from a part[/bold]

Part of each test digit is erased. The pixels that are left are clamped, the others \
relax, and the network fills in what belongs there. None of the methods has seen a \
test digit before.
"""
COMPLETION_LEGEND = """\
Each row is a way to erase pixels. The numbers are mean squared errors of the erased \
pixels, which lie between 0 and 1 (0 is perfect).
  mean     the mean of the 1,500 training digits
  nearest  the training digit that agrees best with what is left
  memory   a modern Hopfield network, which stores the digits and is not trained
  metric   a memory that compares digits by the covariance of their pixels
  trained  a Hopfield network, which begins as a mixture of Gaussians of the digits, \
trained by equilibrium propagation to complete them
  MLP      a feed-forward network, trained on digits with erased pixels

What to see: Hopfield networks complete digits that they have never seen better than the \
nearest digit does. The trained network is the best here; the metric memory, which needs \
no training, is close to it.
"""
CONVERGENCE_TEXT = """\
From left to right: updates (iterations). From top to bottom: how much the states still \
change, relative to their size, in powers of ten (-4 is 0.01 %). Darker: more of the \
test digits. The line is the mean number of updates down to each change, and its \
circle the number in the table above; it is further left for the -EO networks.
"""
PICTURE_TEXT = """\
First row: a test digit of each class. Below, twice: the same with erased pixels, in \
blue, and the digit completed by four of the methods. Compare it with the first row.
"""
NEXT_TEXT = """\
Next: `hopfax play` is a page where you can draw, erase and recall digits. \
`hopfax train --data digits --layers 64,128,10 --out runs/digits` trains a network \
of your own, and `hopfax --help` lists all commands.
"""


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the figures.")] = Path(
        "hopfax-demo"
    ),
    json: Json = None,
) -> None:
    """Train four Hopfield networks on small digits, compare them, and complete digits of which a part is erased.

    It takes a minute and a half the first time, half a minute after that, downloads nothing and explains
    its results.

    Example: hopfax demo --out demo
    """
    check_json(json, to_be_made=out)
    folder = writable_folder(out)
    cache_compiled_code()
    with _progress() as step:
        result = _run(folder, step)
    emit(result, json, ft.partial(_show, result=result))


def _run(folder: Path, step: Step) -> dict[str, Any]:
    from ...data import corruption_masks, digits
    from ..demo import (
        DEFAULT,
        DEFAULT_OF,
        completers,
        digit_memory,
        recall,
        relax_by_default,
        relaxation_seconds,
    )

    dataset = digits()
    trained = _train_all(dataset, step)
    evaluation = relax_by_default(trained[DEFAULT_OF].network, dataset)
    summary = evaluation.summary()
    default = {"test_accuracy": summary.pop("accuracy"), **summary, "network": DEFAULT_OF}
    traces = {name: classifier.evaluation.trace for name, classifier in trained.items()}
    step("relaxing", 1)
    models = {**{name: row.summary() for name, row in trained.items()}, DEFAULT: default}
    for name, row in models.items():
        network = trained[DEFAULT_OF if name == DEFAULT else name].network
        row["relaxation_seconds"] = relaxation_seconds(network, dataset, name)
    step("training to complete digits", 1)
    known = corruption_masks(len(dataset.test_labels), dataset.image_shape)
    memory, others = digit_memory(dataset.train_images), completers(dataset)
    recalls = {name: recall(memory, dataset, mask) for name, mask in known.items()}
    completed = {
        name: {method: one.complete(dataset.test_images, mask).clip(0, 1) for method, one in others.items()}
        for name, mask in known.items()
    }
    step("drawing", 1)
    figures = [
        _draw_convergence({**traces, DEFAULT: evaluation.trace}, folder),
        _draw_completed(recalls, completed, dataset, folder),
    ]
    return {
        "models": models,
        "recall": {name: recalled.summary() for name, recalled in recalls.items()},
        "completion": {
            name: {method: recalls[name].error(images) for method, images in completed[name].items()}
            for name in known
        },
        "figures": [str(path) for path in figures],
    }


def _train_all(dataset: "Dataset", step: Step) -> "dict[str, TrainedClassifier]":
    from ...training import train_in_memory
    from ..demo import MODELS, add_shifted_images, small_recipe

    training = add_shifted_images(dataset)
    trained = {}
    for name in MODELS:
        step(f"compiling {name}", 0)
        trained[name] = train_in_memory(small_recipe(name), training, ft.partial(step, f"training {name}", 1))
    return trained


def _draw_convergence(traces: "Mapping[str, Array]", folder: Path) -> Path:
    from ...figures.convergence import convergence_figure

    path = folder / "convergence.png"
    convergence_figure(traces, bins=BINS).savefig(path)
    return path


def _draw_completed(
    recalls: "Mapping[str, RecalledDigits]",
    completed: "Mapping[str, Mapping[str, np.ndarray]]",
    dataset: "Dataset",
    folder: Path,
) -> Path:
    from ...data import first_of_each_class
    from ...figures.images import images_figure

    indices = first_of_each_class(dataset.test_labels, dataset.classes)
    picture = lambda flat: flat[indices].reshape(-1, *dataset.image_shape)
    rows = [("test digits", picture(dataset.test_images))]
    for name, digits in recalls.items():
        rows.append((f"{name}\nerased", picture(digits.erased)))
        rows += [(PICTURED[method], picture(completed[name][method])) for method in PICTURED]
    path = folder / "completed.png"
    images_figure(rows).savefig(path)
    return path


@contextlib.contextmanager
def _progress() -> Iterator[Step]:
    """A progress bar on standard error if that is a terminal: a function of what is done now and of its progress."""
    from ..demo import EPOCHS, MODELS

    with terminal_progress(TextColumn("{task.description:20}"), BarColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task("starting", total=EPOCHS * len(MODELS) + 3)
        yield lambda description, advance: progress.update(task, description=description, advance=advance)


def _show(console: Console, result: dict[str, Any]) -> None:
    console.print(NETWORKS_TEXT, highlight=False)
    console.print(_models_table(result["models"]))
    console.print(NETWORKS_LEGEND, highlight=False)
    console.print(COMPLETION_TEXT, highlight=False)
    console.print(_completion_table(result["recall"], result["completion"]))
    console.print(COMPLETION_LEGEND, highlight=False)
    for path, text in zip(result["figures"], (CONVERGENCE_TEXT, PICTURE_TEXT), strict=True):
        console.print(f"Figure {path}", markup=False, highlight=False, soft_wrap=True)
        console.print(text, highlight=False)
    console.print(NEXT_TEXT, end="", highlight=False)


def _models_table(models: Mapping[str, Mapping[str, Any]]) -> Table:
    table = result_table(
        "network", "updates", "did not converge", "test accuracy", "relaxing, ms", "training, s"
    )
    for name, row in models.items():
        training = row.get("training_seconds")
        table.add_row(
            name,
            f"{row['iterations_mean']:.1f} ± {row['iterations_std']:.1f}",
            f"{row['did_not_converge']} of 297",
            f"{row['test_accuracy']:.1%}",
            f"{1000 * row['relaxation_seconds']:.1f}",
            "" if training is None else f"{training:.1f}",
        )
    return table


def _completion_table(
    recalls: Mapping[str, Mapping[str, float]], completion: Mapping[str, Mapping[str, float]]
) -> Table:
    table = result_table("erased", "mean", "nearest", "memory", "metric", "trained", "MLP")
    for name, row in completion.items():
        before = recalls[name]["mse_mean_image"], row["nearest"], recalls[name]["mse_after"]
        after = (row[method] for method in ("metric_memory", "trained", "feed_forward"))
        table.add_row(name, *(f"{error:.3f}" for error in (*before, *after)))
    return table
