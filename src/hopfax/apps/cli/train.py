"""`hopfax train`: train a network by a recipe, in a folder of its own."""

import contextlib
import dataclasses
import enum
import functools as ft
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...parallel.processes import is_primary
from .evaluate import show_result
from .jax_setup import (
    Coordinator,
    Devices,
    Heartbeat,
    Processes,
    ProcessId,
    cache_compiled_code,
    join_processes,
)
from .options import layer_sizes
from .output import Json, check_json, emit, writable_folder
from .progress import progress_bar

if TYPE_CHECKING:
    from ...data import Dataset
    from ...training.recipes import Recipe


RECIPES_OWN = "That of the recipe if not given."


class RecipeName(enum.StrEnum):
    goemaere2023 = "goemaere2023"
    goemaere2024 = "goemaere2024"
    goemaere_ep = "goemaere_ep"
    low_feedback = "low_feedback"


class GradientName(enum.StrEnum):
    ep = "ep"
    implicit = "implicit"
    recurrent = "recurrent"


def train(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run.")],
    data: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "mnist",
    layers: Annotated[
        str, typer.Option("--layers", metavar="SIZES", help="784 512 10 or 784,512,10.")
    ] = "784,512,10",
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="HAM or CHN, with -DEQ, -EO, -EO-DEQ or neither; HAM-EO-DEQ if not given, best: HAM-EO.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        RecipeName | None,
        typer.Option(
            "--recipe",
            help="goemaere2023 (three layers, no biases); goemaere2024 (any depth); goemaere_ep (the same with a "
            "linear output, trained by equilibrium propagation); low_feedback (ours: ReLU, cross-entropy, Adam, "
            "feedback 0.03). By default goemaere_ep with --gradient ep, else goemaere2023 for three layers and "
            "goemaere2024 for more.",
            show_default=False,
        ),
    ] = None,
    gradient: Annotated[
        GradientName | None,
        typer.Option("--gradient", help=RECIPES_OWN, show_default=False),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option("--beta", help="The nudge of equilibrium propagation, in (0, 1).", show_default=False),
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help=RECIPES_OWN, show_default=False)] = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in DIR.")] = False,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help=RECIPES_OWN, show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help=RECIPES_OWN, show_default=False)
    ] = None,
    validation: Annotated[int, typer.Option("--validation", help="Training examples to hold out.")] = 0,
    shuffle: Annotated[
        bool | None, typer.Option("--shuffle/--no-shuffle", help="As the recipe has it if not given.")
    ] = None,
    checkpoint_chunks: Annotated[
        int, typer.Option("--checkpoint-chunks", help="Save after so many twentieths of an epoch.")
    ] = 5,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory", metavar="DIR", help="Data directory to look in first.", show_default=False
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="WHERE",
            help="Also tensorboard:FOLDER, wandb:PROJECT or mlflow:EXPERIMENT; may be given more than once.",
            show_default=False,
        ),
    ] = None,
    devices: Devices = None,
    coordinator: Coordinator = None,
    processes: Processes = None,
    process_id: ProcessId = None,
    heartbeat: Heartbeat = 60,
    json: Json = None,
) -> None:
    """Train a network; weights, metrics and the checkpoint go to DIR.

    Example: hopfax train --data digits --layers 64,128,10 --out runs/digits
    """
    from ...training.loggers import check_names

    given = {"learning_rate": learning_rate, "shuffle": shuffle, "epochs": epochs, "batch_size": batch_size}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= {"seed": seed, "validation": validation}
    chosen = _with_gradient(_recipe(recipe, layer_sizes(layers), model, gradient), gradient, beta)
    chosen = dataclasses.replace(chosen, **changes)
    if checkpoint_chunks < 1:
        raise ValueError(f"--checkpoint-chunks {checkpoint_chunks} must be at least 1.")
    join_processes(coordinator, processes, process_id, heartbeat)
    if is_primary():
        check_json(json, to_be_made=out)
    loggers = log or []
    check_names(loggers)
    result = _run(chosen, _load(data, directory), out, resume, checkpoint_chunks, devices, loggers)
    if is_primary():
        emit(result, json, ft.partial(show_result, result=result))


def _recipe(
    name: RecipeName | None, layers: tuple[int, ...], model: str | None, gradient: GradientName | None
) -> "Recipe":
    from ...training import recipes

    papers = RecipeName.goemaere2023 if len(layers) <= 3 else RecipeName.goemaere2024
    name = name or (RecipeName.goemaere_ep if gradient == GradientName.ep else papers)
    make = getattr(recipes, name.value)
    return make(layers) if model is None else make(layers, model)


def _with_gradient(recipe: "Recipe", name: GradientName | None, beta: float | None) -> "Recipe":
    """The recipe with another gradient. Raises: `ValueError` for a nudge where nothing is nudged."""
    from ...gradients import EquilibriumPropagation, Implicit
    from ...training.recipes import BETA

    if name is None and isinstance(recipe.gradient, EquilibriumPropagation):
        name = GradientName.ep
    if beta is not None and name != GradientName.ep:
        raise ValueError(f"--beta {beta} is the nudge of equilibrium propagation; add --gradient ep.")
    nudged = EquilibriumPropagation(BETA if beta is None else beta)
    makes = {GradientName.ep: nudged, GradientName.implicit: Implicit(), GradientName.recurrent: None}
    return recipe if name is None else dataclasses.replace(recipe, gradient=makes[name])


def _load(data: str, directory: Path | None) -> "Dataset":
    from ...data import load

    return load(data, directory)


def _run(
    recipe: "Recipe",
    dataset: "Dataset",
    out: Path,
    resume: bool,
    checkpoint_chunks: int,
    devices: int | None,
    loggers: list[str],
) -> dict[str, Any]:
    from ...training import ClassifierJob, open_loggers, run_and_store

    cache_compiled_code()
    primary = is_primary()
    if primary:
        writable_folder(out)
    bar = progress_bar(recipe.epochs) if primary else contextlib.nullcontext(lambda chunk: None)
    with open_loggers(loggers if primary else [], recipe.config()) as log, bar as show:
        return run_and_store(
            ClassifierJob(recipe, dataset),
            out,
            resume=resume,
            checkpoint_chunks=checkpoint_chunks,
            callback=lambda chunk: (show(chunk), log(chunk))[0],
            devices=devices,
        )
