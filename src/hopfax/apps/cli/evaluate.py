"""`hopfax evaluate`: accuracy and convergence of a trained network."""

import functools as ft
from pathlib import Path
from typing import Annotated, Any

import typer

from .compilation import keep_compiled_code
from .output import Json, check_json, emit, error_console, show_result


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
    """Evaluate a trained network on test data.

    Example: hopfax evaluate runs/digits --json -
    """
    check_json(json)
    with error_console().status("evaluating"):
        result = _evaluate(folder, data, directory)
    emit(result, json, ft.partial(show_result, result=result))


def _evaluate(folder: Path, data: str | None, directory: Path | None) -> dict[str, Any]:
    from ...data import load
    from ...networks.files import load_model
    from ...training import check_recipe
    from ...training import evaluate as evaluate_model
    from ...training.runfile import read_run

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
