"""`hopfax demo`: the main results of the papers in less than a minute, on digits that need no download."""

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
    from jaxtyping import Array

    from ...data import Dataset
    from ...training.classifier import TrainedClassifier
    from ..demo import RecalledDigits

BINS = 80  # the papers have 400, for 170 times as many examples
Step = Callable[[str, int], None]

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
the test digits. did not converge: test digits that needed more than 40. training, \
and the rest (compiling the program and testing): in seconds, on this machine. What to \
see: the -EO networks need fewer updates for about the same accuracy.
"""
MEMORY_TEXT = """\
[bold]2. A memory that completes images[/bold]

A modern Hopfield network stores the 1,500 digits themselves, without training. Part of \
each test digit, which is not stored, is erased. The pixels that are left are clamped, \
the others relax, and the memory fills in what similar digits have there.
"""
MEMORY_LEGEND = """\
Each row is a way to erase pixels. Mean squared error of the erased pixels, which lie \
between 0 and 1 (0 is perfect): left blank, filled with the mean of all stored digits, \
and recalled. right class: the stored digit with the largest weight is of the class of \
the test digit. What to see: recalled pixels have the smallest error.
"""
CONVERGENCE_TEXT = """\
From left to right: updates (iterations). From top to bottom: how much the states still \
change, relative to their size, in powers of ten (-4 is 0.01 %). Darker: more of the \
test digits. The line is the mean number of updates down to each change, and its \
circle the number in the table above; it is further left for the -EO networks.
"""
RECALL_TEXT = """\
First row: a test digit of each class. Below, twice: the same with erased pixels, in \
blue, and what the memory recalls. Compare it with the first row.
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
    """Train four Hopfield networks on small digits, compare them, and complete digits with a memory.

    It takes less than a minute, downloads nothing, and explains its results.

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
    from ..demo import DEFAULT, DEFAULT_OF, digit_memory, recall, relax_by_default

    dataset = digits()
    trained = _train_all(dataset, step)
    evaluation = relax_by_default(trained[DEFAULT_OF].network, dataset)
    summary = evaluation.summary()
    default = {"test_accuracy": summary.pop("accuracy"), **summary, "network": DEFAULT_OF}
    traces = {name: classifier.evaluation.trace for name, classifier in trained.items()}
    step("completing digits", 1)
    memory = digit_memory(dataset.train_images)
    known = corruption_masks(len(dataset.test_labels), dataset.image_shape)
    recalls = {name: recall(memory, dataset, mask) for name, mask in known.items()}
    step("drawing", 1)
    figures = [
        _draw_convergence({**traces, DEFAULT: evaluation.trace}, folder),
        _draw_recall(recalls, dataset, folder),
    ]
    return {
        "models": {**{name: row.summary() for name, row in trained.items()}, DEFAULT: default},
        "recall": {name: recalled.summary() for name, recalled in recalls.items()},
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


def _draw_recall(recalls: "Mapping[str, RecalledDigits]", dataset: "Dataset", folder: Path) -> Path:
    from ...data import first_of_each_class
    from ...figures.images import images_figure

    indices = first_of_each_class(dataset.test_labels, dataset.classes)
    picture = lambda flat: flat[indices].reshape(-1, *dataset.image_shape)
    rows = [("test digits", picture(dataset.test_images))]
    for name, digits in recalls.items():
        rows += [(f"{name}\nerased", picture(digits.erased)), ("recalled", picture(digits.recalled))]
    path = folder / "recall.png"
    images_figure(rows).savefig(path)
    return path


@contextlib.contextmanager
def _progress() -> Iterator[Step]:
    """A progress bar on standard error if that is a terminal: a function of what is done now and of its progress."""
    from ..demo import EPOCHS, MODELS

    with terminal_progress(TextColumn("{task.description:20}"), BarColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task("starting", total=EPOCHS * len(MODELS) + 2)
        yield lambda description, advance: progress.update(task, description=description, advance=advance)


def _show(console: Console, result: dict[str, Any]) -> None:
    console.print(NETWORKS_TEXT, highlight=False)
    console.print(_models_table(result["models"]))
    console.print(NETWORKS_LEGEND, highlight=False)
    console.print(MEMORY_TEXT, highlight=False)
    console.print(_recall_table(result["recall"]))
    console.print(MEMORY_LEGEND, highlight=False)
    for path, text in zip(result["figures"], (CONVERGENCE_TEXT, RECALL_TEXT), strict=True):
        console.print(f"Figure {path}", markup=False, highlight=False, soft_wrap=True)
        console.print(text, highlight=False)
    console.print(NEXT_TEXT, end="", highlight=False)


def _models_table(models: Mapping[str, Mapping[str, Any]]) -> Table:
    table = result_table(
        "network", "updates", "did not converge", "test accuracy", "training, s", "the rest, s"
    )
    for name, row in models.items():
        training, total = row.get("training_seconds"), row.get("seconds")
        seconds = ("", "") if total is None else (f"{training:.1f}", f"{total - training:.1f}")
        table.add_row(
            name,
            f"{row['iterations_mean']:.1f} ± {row['iterations_std']:.1f}",
            f"{row['did_not_converge']} of 297",
            f"{row['test_accuracy']:.1%}",
            *seconds,
        )
    return table


def _recall_table(recalls: Mapping[str, Mapping[str, float]]) -> Table:
    table = result_table("erased", "blank", "mean digit", "recalled", "right class")
    for name, row in recalls.items():
        errors = (f"{row[error]:.3f}" for error in ("mse_before", "mse_mean_image", "mse_after"))
        table.add_row(name, *errors, f"{row['right_class']:.1%}")
    return table
