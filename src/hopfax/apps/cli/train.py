"""`hopfax train`: train a network by a recipe, in a folder of its own."""

import contextlib
import functools as ft
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..._internal.compiled import cache_compiled_code
from . import classifying, completing
from .choices import (
    AS_RECIPE,
    GRADIENTS,
    NETWORKS,
    RECIPES,
    TASKS,
    Choice,
    GradientName,
    NetworkName,
    RecipeName,
    TaskName,
    task_of,
)
from .evaluate import show_result
from .interrupts import interruptible
from .jax_setup import (
    Coordinator,
    Devices,
    Heartbeat,
    Processes,
    ProcessId,
    join_processes,
)
from .options import DataName, Directory, augmentation, layer_sizes
from .output import Json, check_json, emit, progress_bar, writable_folder
from .resuming import (
    Context,
    end_if_asked,
    how_to_go_on,
    options_on_command_line,
    refuse_other_value,
    stored_settings,
)

if TYPE_CHECKING:
    from ...data import Dataset
    from ...training import AbstractJob, Chunk
    from ...training.architecture import LayerSize

NEW_JOBS = {TaskName.classification: classifying.new_job, TaskName.completion: completing.new_job}
RESUMED_JOBS = {TaskName.classification: classifying.resumed_job, TaskName.completion: completing.resumed_job}
PANEL = "Examples and checkpoints"


def train(
    context: Context,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for the weights, metrics and checkpoints.")
    ],
    data: DataName = "mnist",
    task: Annotated[TaskName, typer.Option("--task", metavar="NAME", help=TASKS)] = TaskName.classification,
    layers: Annotated[
        str,
        typer.Option(
            "--layers", metavar="SIZES", help="Number of neurons in each layer, from input to output."
        ),
    ] = "784,512,10",
    network: Annotated[
        NetworkName, typer.Option("--network", metavar="NAME", help=NETWORKS)
    ] = NetworkName.dense,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            help="HAM or CHN, then -EO for even-odd splitting and -DEQ for Anderson acceleration: HAM, HAM-DEQ, "
            "HAM-EO, HAM-EO-DEQ, CHN, CHN-DEQ, ... Default: HAM-EO-DEQ; HAM-EO with low_feedback.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        RecipeName | None,
        typer.Option(
            "--recipe",
            metavar="NAME",
            help=f"{RECIPES}\nDefault: goemaere_ep with --gradient ep; else goemaere2023 for three layers, "
            "goemaere2024 for more.",
            show_default=False,
        ),
    ] = None,
    gradient: Annotated[
        GradientName | None,
        typer.Option("--gradient", metavar="NAME", help=f"{GRADIENTS}\n{AS_RECIPE}", show_default=False),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(
            "--beta",
            help="Nudge of equilibrium propagation, in (0, 1). Default: chosen for each example.",
            show_default=False,
        ),
    ] = None,
    components: Annotated[
        int | None,
        typer.Option(
            "--components",
            metavar="N",
            help="Start from a mixture of N Gaussians, not from one. With --task completion; the hidden neurons are N "
            "times 1 and the factors of a Gaussian, such as 2010 for 10.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help=f"Number of epochs. {AS_RECIPE}", show_default=False)
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", help="Random seed of the weights and the order of the examples.")
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the folder of --out, with its settings.")
    ] = False,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help=f"Examples in a batch. {AS_RECIPE}", show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help=f"Learning rate at the start. {AS_RECIPE}", show_default=False),
    ] = None,
    validation: Annotated[
        int,
        typer.Option(
            "--validation",
            metavar="N",
            help="Hold out N training examples and report the accuracy on them after each epoch.",
            rich_help_panel=PANEL,
        ),
    ] = 0,
    shuffle: Annotated[
        bool | None,
        typer.Option(
            "--shuffle/--no-shuffle",
            help=f"Take the examples in random order in each epoch. {AS_RECIPE}",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            "--augment",
            metavar="NAMES",
            help="Change the training images at random at each step: crop:N, a crop of the image with N zeros added on "
            "each side; flip, left and right; crop:4,flip.",
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None,
    standardise: Annotated[
        bool,
        typer.Option(
            "--standardise",
            help="Let the network subtract the mean of the training images and divide by their standard deviation, in "
            "each channel.",
            rich_help_panel=PANEL,
        ),
    ] = False,
    checkpoint_chunks: Annotated[
        int,
        typer.Option(
            "--checkpoint-chunks",
            metavar="N",
            help="Save a checkpoint every N twentieths of an epoch.",
            rich_help_panel=PANEL,
        ),
    ] = 5,
    directory: Directory = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="WHERE",
            help="Log to tensorboard:FOLDER, wandb:PROJECT or mlflow:EXPERIMENT, too. Can be given several times.",
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
    """Train a network to classify or to complete images, and evaluate it on the test images.

    With --resume, --out alone is enough: the other settings are those of the run in that folder.

    Example: hopfax train --data digits --layers 64,128,10 --out runs/digits
    """
    from ...data import load
    from ...parallel.processes import is_primary
    from ...training.loggers import check_names

    if checkpoint_chunks < 1:
        raise ValueError(f"--checkpoint-chunks {checkpoint_chunks} must be at least 1.")
    loggers = log or []
    check_names(loggers)
    changes: dict[str, Any] = {"learning_rate": learning_rate, "shuffle": shuffle, "epochs": epochs}
    changes |= {"batch_size": batch_size, "seed": seed, "validation": validation}
    if augment is not None:
        changes["augmentation"] = augmentation(augment)
    read, typed = ft.cache(lambda name: load(name, directory)), options_on_command_line(context)
    sizes = _sizes(network, layers, typed, lambda: read(data))
    choice = Choice(recipe, sizes, model, gradient, beta, standardise, components, changes, typed)
    make_job = None if resume else NEW_JOBS[task](choice)  # refuses wrong options before processes join
    join_processes(coordinator, processes, process_id, heartbeat)
    if is_primary():
        check_json(json, to_be_made=out)
    stored = stored_settings(out) if resume else None
    if stored is not None:
        if "task" in typed:
            refuse_other_value("--task", task.value, task_of(stored).value, out)
        make_job = RESUMED_JOBS[task_of(stored)](choice, data, stored, out)
        data = stored["data"]
    with interruptible(how_to_go_on("hopfax train", out, directory)):
        make_job, dataset = make_job or NEW_JOBS[task](choice), read(data)
        result = _run(make_job(dataset), out, resume, checkpoint_chunks, devices, loggers)
    if is_primary():
        result = {**result, "examples": len(dataset.test_labels)}
        emit(result, json, ft.partial(show_result, result=result))


def _sizes(
    network: NetworkName, layers: str, typed: set[str], read: Callable[[], "Dataset"]
) -> tuple["LayerSize", ...]:
    """The layers of the network. Raises: `ValueError` where both options name some."""
    if network == NetworkName.dense:
        return layer_sizes(layers)
    if "layers" in typed:
        raise ValueError(f"--network {network} has layers of its own; leave out --layers.")
    from ...training import conv_layers

    dataset = read()
    return conv_layers(dataset.image_shape, dataset.classes, network.value)


def _run(
    job: "AbstractJob",
    out: Path,
    resume: bool,
    checkpoint_chunks: int,
    devices: int | None,
    loggers: list[str],
) -> dict[str, Any]:
    from ...parallel.processes import is_primary
    from ...training import open_loggers, run_and_store
    from ...training.job import without_data_settings

    cache_compiled_code()
    primary = is_primary()
    if primary:
        writable_folder(out)
    bar = progress_bar(job.epochs) if primary else contextlib.nullcontext(lambda chunk: None)

    def report(chunk: "Chunk") -> None:
        show(chunk)
        log(chunk)
        end_if_asked(chunk, job.epochs)

    settings = without_data_settings(job.config())
    with open_loggers(loggers if primary else [], settings) as log, bar as show:
        return run_and_store(
            job,
            out,
            resume=resume,
            checkpoint_chunks=checkpoint_chunks,
            callback=report,
            devices=devices,
        )
