"""`hopfax evaluate`: accuracy and convergence of a trained network."""

import functools as ft
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..._internal.compiled import cache_compiled_code
from .choices import TaskName, task_of
from .completing import show_completion
from .options import Directory, OtherData, check_network_folder
from .output import COMPILING, Json, check_json, emit, error_console


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished `hopfax train`.")],
    data: OtherData = None,
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Evaluate a trained network on the test images: how it classifies or completes them.

    Example: hopfax evaluate runs/digits --json -
    """
    check_json(json)
    check_network_folder(folder, "run.json")
    with error_console().status(f"evaluating; {COMPILING}"):
        result = _evaluate(folder, data, directory)
    emit(result, json, ft.partial(show_result, result=result))


def show_result(console: Console, result: Mapping[str, Any]) -> None:
    """Print how a network classifies or completes the test images."""
    show = show_completion if "completion" in result else _show_accuracy
    show(console, result)


def _show_accuracy(console: Console, result: Mapping[str, Any]) -> None:
    """Print the accuracy and the convergence of a network."""
    console.print(
        f"{result['model']} on {result['data']}: test accuracy {result['test_accuracy']:.2%}", soft_wrap=True
    )
    console.print(
        f"Iterations to converge: {result['iterations_mean']:.1f} ± {result['iterations_std']:.1f}, mean and standard "
        "deviation over the test images",
        soft_wrap=True,
    )
    console.print(
        f"{result['did_not_converge']:,} of {result['examples']:,} test images did not converge",
        soft_wrap=True,
    )


def _evaluate(folder: Path, data: str | None, directory: Path | None) -> dict[str, Any]:
    from ...data import load
    from ...networks.files import load_model
    from ...training import completion_table
    from ...training.classifier import ClassifierJob, read_recipe
    from ...training.job import RESULT, read_result

    cache_compiled_code()
    config = read_result(folder / RESULT)["config"]
    if task_of(config) == TaskName.completion:
        dataset = load(data or config["data"], directory)
        table = completion_table(load_model(folder), dataset, examples=config["tested"])
        return {"completion": table, "data": dataset.name}
    recipe, trained_on = read_recipe(folder)
    dataset = load(data or trained_on, directory)
    result = ClassifierJob(recipe, dataset).measure(load_model(folder), [])
    numbers = ("test_accuracy", "iterations_mean", "iterations_std", "did_not_converge")
    names = {"model": recipe.model, "layers": recipe.config()["layers"], "data": dataset.name}
    return {**{name: result[name] for name in numbers}, **names, "examples": len(dataset.test_labels)}
