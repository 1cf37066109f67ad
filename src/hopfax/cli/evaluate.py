"""`hopfax evaluate`: accuracy and convergence of a trained network."""

import functools as ft
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from .compilation import keep_compiled_code
from .output import Json, check_json, emit


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished `hopfax train`.")],
    data: Annotated[
        str | None,
        typer.Option("--data", help="Another data set than it was trained on.", show_default=False),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory", metavar="DIR", help="Data directory to look in first.", show_default=False
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Evaluate a trained network on test data."""
    check_json(json)
    result = _evaluate(folder, data, directory)
    emit(result, json, ft.partial(_show, result=result))


def _evaluate(folder: Path, data: str | None, directory: Path | None) -> dict[str, Any]:
    from ..data import load
    from ..modelfile import load_model
    from ..training import evaluate as evaluate_model
    from ..training import check_recipe
    from .runfile import read_run

    keep_compiled_code()
    recipe, trained_on = read_run(folder)
    dataset = load(data or trained_on, directory)
    check_recipe(recipe, dataset)
    images, labels = dataset.test_images, dataset.test_labels
    found = evaluate_model(
        load_model(folder), images, labels, method=recipe.method, steps=recipe.forward_steps
    ).summary()
    name = {
        "model": recipe.model,
        "layers": list(recipe.layers),
        "data": dataset.name,
        "examples": len(labels),
    }
    return {"test_accuracy": found.pop("accuracy"), **found, **name}


def _show(console: Console, result: dict[str, Any]) -> None:
    console.print(
        f"{result['model']} on {result['data']}: accuracy {result['test_accuracy']:.2%} of {result['examples']}, "
        f"{result['iterations_mean']:.1f} iterations to converge (± {result['iterations_std']:.1f} over examples), "
        f"{result['did_not_converge']} did not",
        soft_wrap=True,
    )
