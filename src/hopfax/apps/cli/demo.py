"""`hopfax demo`: in less than a minute, what the papers found, on digits that need no download."""

import contextlib
import functools as ft
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .jax_setup import cache_compiled_code
from .output import Json, check_json, emit, error_console, writable_folder

if TYPE_CHECKING:
    from ...data import Dataset
    from ...training.classifier import TrainedClassifier
    from ..demo import RecalledDigits

BINS = 80  # the papers' 400 are for 170 times as many examples
Step = Callable[[str, int], None]


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the figures.")] = Path(
        "hopfax-demo"
    ),
    json: Json = None,
) -> None:
    """Train the papers' four models on 8x8 digits, compare them, and recall destroyed digits.

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
    from ..demo import digit_memory, recall

    dataset = digits()
    trained = _train_all(dataset, step)
    step("recalling digits", 1)
    memory = digit_memory(dataset.train_images)
    known = corruption_masks(len(dataset.test_labels), dataset.image_shape)
    recalls = {name: recall(memory, dataset, mask) for name, mask in known.items()}
    step("drawing", 1)
    figures = [_draw_convergence(trained, folder), _draw_recall(recalls, dataset, folder)]
    return {
        "models": {name: one.summary() for name, one in trained.items()},
        "recall": {name: one.summary() for name, one in recalls.items()},
        "figures": [str(path) for path in figures],
    }


def _train_all(dataset: "Dataset", step: Step) -> "dict[str, TrainedClassifier]":
    from ...training import train_in_memory
    from ..demo import MODELS, small_recipe, widened

    training = widened(dataset)
    trained = {}
    for name in MODELS:
        step(f"training {name}", 0)
        trained[name] = train_in_memory(small_recipe(name), training, ft.partial(step, f"training {name}", 1))
    return trained


def _draw_convergence(trained: "Mapping[str, TrainedClassifier]", folder: Path) -> Path:
    from ...figures.convergence import convergence_figure

    path = folder / "convergence.png"
    traces = {name: one.evaluation.trace for name, one in trained.items()}
    convergence_figure(traces, bins=BINS).savefig(path)
    return path


def _draw_recall(recalls: "Mapping[str, RecalledDigits]", dataset: "Dataset", folder: Path) -> Path:
    from ...data import first_of_each_class
    from ...figures.images import images_figure

    shown = first_of_each_class(dataset.test_labels, dataset.classes)
    picture = lambda flat: flat[shown].reshape(-1, *dataset.image_shape)
    rows = [("test digits", picture(dataset.test_images))]
    for name, one in recalls.items():
        rows += [(f"{name}\ndestroyed", picture(one.destroyed)), ("recalled", picture(one.recalled))]
    path = folder / "recall.png"
    images_figure(rows).savefig(path)
    return path


@contextlib.contextmanager
def _progress() -> Iterator[Step]:
    """A bar on standard error where that is a terminal; call it with what is on, and how much was done."""
    from ..demo import EPOCHS, MODELS

    console = error_console()
    columns = (TextColumn("{task.description:20}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("starting", total=EPOCHS * len(MODELS) + 2)
        yield lambda description, advance: progress.update(task, description=description, advance=advance)


def _show(console: Console, result: dict[str, Any]) -> None:
    console.print(_models_table(result["models"]))
    console.print(_recall_table(result["recall"]))
    console.print("Figures: " + ", ".join(result["figures"]), soft_wrap=True)


def _models_table(models: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title="Relaxing 297 test digits after training (64-128-10)", title_justify="left")
    for heading in ("model", "iterations", "did not converge", "test accuracy", "seconds"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for name, row in models.items():
        table.add_row(
            name,
            f"{row['iterations_mean']:.1f} ± {row['iterations_std']:.1f}",
            str(row["did_not_converge"]),
            f"{row['test_accuracy']:.1%}",
            f"{row['seconds']:.1f}",
        )
    return table


def _recall_table(recalls: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title="Recalling them from 1500 stored digits", title_justify="left")
    for heading in ("destroyed", "error before", "mean digit", "error after", "right class"):
        table.add_column(heading, justify="left" if heading == "destroyed" else "right")
    for name, row in recalls.items():
        errors = (f"{row[error]:.3f}" for error in ("mse_before", "mse_mean_image", "mse_after"))
        table.add_row(name, *errors, f"{row['right_class']:.1%}")
    return table
