"""`hopfax evaluate`: accuracy and convergence of a trained network."""

import functools as ft
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from .jax_setup import cache_compiled_code
from .output import Json, check_json, emit, error_console


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


def show_result(console: Console, result: Mapping[str, Any]) -> None:
    """Print one line with the accuracy and the convergence of a network."""
    console.print(
        f"{result['model']} on {result['data']}: test accuracy {result['test_accuracy']:.2%}, "
        f"{result['iterations_mean']:.1f} iterations to converge "
        f"(± {result['iterations_std']:.1f} over examples), {result['did_not_converge']} did not",
        soft_wrap=True,
    )


def _evaluate(folder: Path, data: str | None, directory: Path | None) -> dict[str, Any]:
    from ...data import load
    from ...networks.files import load_model
    from ...training.classifier import ClassifierJob, read_recipe

    cache_compiled_code()
    recipe, trained_on = read_recipe(folder)
    dataset = load(data or trained_on, directory)
    result = ClassifierJob(recipe, dataset).measure(load_model(folder), [])
    numbers = ("test_accuracy", "iterations_mean", "iterations_std", "did_not_converge")
    names = {"model": recipe.model, "layers": list(recipe.layers), "data": dataset.name}
    return {**{name: result[name] for name in numbers}, **names, "examples": len(dataset.test_labels)}
