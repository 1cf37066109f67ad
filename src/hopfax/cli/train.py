"""`hopfax train`: train a network by a recipe of the papers, in a folder of its own."""

import dataclasses
import enum
import functools as ft
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .compilation import keep_compiled_code
from .output import Json, check_json, emit, show_result, writable_folder

if TYPE_CHECKING:
    from ..data import Dataset
    from ..recipes import Recipe


class RecipeName(enum.StrEnum):
    v1 = "v1"
    v2 = "v2"


def train(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")],
    data: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "mnist",
    layers: Annotated[
        str, typer.Option("--layers", metavar="SIZES", help="784 512 10 or 784,512,10.")
    ] = "784,512,10",
    model: Annotated[str, typer.Option("--model", help="HAM, HAM-DEQ, HAM-EO or HAM-EO-DEQ.")] = "HAM-EO-DEQ",
    recipe: Annotated[
        RecipeName | None,
        typer.Option("--recipe", help="v1 (2023) for three layers, v2 (2024) for more.", show_default=False),
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs")] = 10,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in DIR.")] = False,
    batch_size: Annotated[int, typer.Option("--batch-size")] = 64,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help="That of the recipe if not given.", show_default=False),
    ] = None,
    validation: Annotated[int, typer.Option("--validation", help="Training examples to hold out.")] = 0,
    shuffle: Annotated[
        bool | None, typer.Option("--shuffle/--no-shuffle", help="As the recipe has it if not given.")
    ] = None,
    checkpoint_blocks: Annotated[
        int, typer.Option("--checkpoint-blocks", help="Save after so many twentieths of an epoch.")
    ] = 5,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory", metavar="DIR", help="Data directory to look in first.", show_default=False
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Train a network; weights, metrics and the checkpoint go to DIR."""
    given = {"learning_rate": learning_rate, "shuffle": shuffle}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= {"epochs": epochs, "seed": seed, "batch_size": batch_size, "validation": validation}
    chosen = dataclasses.replace(_recipe(recipe, sizes(layers), model), **changes)
    if checkpoint_blocks < 1:
        raise ValueError(f"--checkpoint-blocks {checkpoint_blocks} must be at least 1.")
    check_json(json, to_be_made=out)
    result = _run(chosen, _load(data, directory), data, writable_folder(out), resume, checkpoint_blocks)
    emit(result, json, ft.partial(show_result, result=result))


def sizes(text: str) -> tuple[int, ...]:
    """`784,512,10` as numbers. Raises: `ValueError`."""
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError as error:
        raise ValueError(f"--layers {text!r} must be whole numbers, such as --layers 784 512 10.") from error


def _recipe(name: RecipeName | None, layers: tuple[int, ...], model: str) -> "Recipe":
    from .. import recipes

    name = name or (RecipeName.v1 if len(layers) <= 3 else RecipeName.v2)
    return (recipes.v1 if name == RecipeName.v1 else recipes.v2)(layers, model)


def _load(data: str, directory: Path | None) -> "Dataset":
    from ..data import load

    return load(data, directory)


def _run(
    recipe: "Recipe", dataset: "Dataset", data: str, out: Path, resume: bool, checkpoint_blocks: int
) -> dict[str, Any]:
    from ..modelfile import save_model
    from ..training import evaluate
    from ..training import train as train_in
    from .progress import training_bar
    from .runfile import write_run

    keep_compiled_code()
    with training_bar(recipe.epochs, recipe.batch_size) as watch:
        network, rows = train_in(
            recipe, dataset, out, resume=resume, checkpoint_blocks=checkpoint_blocks, watch=watch
        )
    save_model(network, out)
    images, labels, steps = dataset.test_images, dataset.test_labels, recipe.forward_steps
    found = evaluate(network, images, labels, method=recipe.method, steps=steps).summary()
    result = {
        "test_accuracy": found.pop("accuracy"),
        **found,
        "seconds_per_epoch": [row.seconds for row in rows],
        "epochs": recipe.epochs,
        "seed": recipe.seed,
        "model": recipe.model,
        "layers": list(recipe.layers),
        "data": data,
        "metrics": [dataclasses.asdict(row) for row in rows],
    }
    write_run(out, recipe, data, result)
    return result
