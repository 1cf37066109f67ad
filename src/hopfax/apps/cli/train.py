"""`hopfax train`: train a network by a recipe, in a folder of its own."""

import contextlib
import dataclasses
import enum
import functools as ft
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import typer

from ..._internal.compiled import cache_compiled_code
from .completing import is_completion, new_recipe, resumed_recipe, show_completion
from .evaluate import show_accuracy
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
    from ...training import AbstractJob, Chunk, CompletionRecipe
    from ...training.architecture import LayerSize
    from ...training.recipes import Recipe

CHANGED = (  # by options
    *("learning_rate", "shuffle", "epochs", "batch_size", "seed", "validation", "gradient", "augmentation"),
)
AS_RECIPE = "Default: that of the recipe."
PANEL = "Examples and checkpoints"


class TaskName(enum.StrEnum):
    """What is learned of the images."""

    classification = "classification"
    completion = "completion"


TASKS = """\
classification: the label.

completion: the pixels that are missing. --layers are the pixels and the hidden neurons, such as 784,512; --network,
--model, --recipe, --validation and --shuffle are for classification.
"""


class RecipeName(enum.StrEnum):
    """The recipes of `hopfax.training.recipes`."""

    goemaere2023 = "goemaere2023"
    goemaere2024 = "goemaere2024"
    goemaere_ep = "goemaere_ep"
    low_feedback = "low_feedback"
    conv = "conv"


RECIPES = """\
goemaere2023: the workshop paper of 2023, for three layers, without biases.

goemaere2024: the paper of 2024, for any number of layers.

goemaere_ep: those of the papers with a linear output, by equilibrium propagation.

low_feedback: ours; ReLU, cross-entropy, Adam, a feedback of 0.03. The most accurate.

conv: ours for convolutional networks; the same with a feedback of 0.1.
"""


class NetworkName(enum.StrEnum):
    """Dense layers, or the convolutional networks of `hopfax.training.conv_layers`."""

    dense = "dense"
    conv = "conv"
    conv_pool = "conv_pool"
    conv3 = "conv3"
    vgg5 = "vgg5"


NETWORKS = """\
dense: the layers of --layers.

conv: convolutions 5 x 5 to 32 and 3 x 3 to 64 channels, of stride 2.

conv_pool: the same of stride 1, with average pooling.

conv3: three convolutions 3 x 3 of stride 2, to 32, 64 and 128 channels.

vgg5: four convolutions 3 x 3 with max-pooling, to 128, 256, 512 and 512 channels, for images of 32 x 32.

All end with one dense layer of the classes. Use them with --recipe conv.
"""


class GradientName(enum.StrEnum):
    """How the gradient of the cost at the equilibrium is computed."""

    ep = "ep"
    implicit = "implicit"
    recurrent = "recurrent"


GRADIENTS = """\
ep: equilibrium propagation.

implicit: implicit differentiation, with a linear solve for the adjoint.

recurrent: recurrent backpropagation, with a fixed number of steps, as in the papers.
"""


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
            "--beta", help=f"Nudge of equilibrium propagation, in (0, 1). {AS_RECIPE}", show_default=False
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
            help="Change the training images at random at each step: crop:N, a crop from N zeros more on each side; "
            "flip, left and right; crop:4,flip.",
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
    from ...training.recipes import standardised

    if checkpoint_chunks < 1:
        raise ValueError(f"--checkpoint-chunks {checkpoint_chunks} must be at least 1.")
    loggers = log or []
    check_names(loggers)
    how = {"learning_rate": learning_rate, "shuffle": shuffle, "epochs": epochs, "batch_size": batch_size}
    how |= {"seed": seed, "validation": validation}
    if augment is not None:
        how["augmentation"] = augmentation(augment)
    read = ft.cache(lambda name: load(name, directory))
    sizes = _sizes(network, layers, options_on_command_line(context), lambda: read(data))
    what = _Choice(task, recipe, sizes, model, gradient, beta, options_on_command_line(context))
    run = None if resume else _new(what, how)
    join_processes(coordinator, processes, process_id, heartbeat)
    if is_primary():
        check_json(json, to_be_made=out)
    stored = stored_settings(out) if resume else None
    if stored is not None:
        run = _resumed(what, {**how, "data": data}, stored, out)
        data = stored["data"]
    with interruptible(how_to_go_on("hopfax train", out, directory)):
        dataset = read(data)
        run = run or _new(what, how)
        if standardise and stored is None:  # refused where the task is completion
            run = standardised(cast("Recipe", run), dataset)
        result = _run(run, dataset, out, resume, checkpoint_chunks, devices, loggers)
    if is_primary():
        show = show_completion if "completion" in result else show_accuracy
        emit(result, json, ft.partial(show, result=result))


class _Choice(NamedTuple):
    """The options that choose a recipe, and the names of those that were typed."""

    task: TaskName
    recipe: RecipeName | None
    layers: tuple["LayerSize", ...]
    model: str | None
    gradient: GradientName | None
    beta: float | None
    typed: set[str]


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


def _new(what: _Choice, how: Mapping[str, Any]) -> "Recipe | CompletionRecipe":
    """The recipe of a new run; None in `how` leaves what the recipe has."""
    if what.task == TaskName.completion:
        return new_recipe(what.typed, _plain(what.layers), what.gradient, what.beta, how)
    run = _recipe(what.recipe, what.layers, what.model, what.gradient)
    changes = {name: value for name, value in how.items() if value is not None}
    return dataclasses.replace(_with_gradient(run, what.gradient, what.beta), **changes)


def _resumed(
    what: _Choice, how: Mapping[str, Any], stored: Mapping[str, Any], folder: Path
) -> "Recipe | CompletionRecipe":
    """The recipe of the run in `folder`. Raises: `ValueError` naming an option that was typed and differs from it."""
    from ...training.job import without_data_settings
    from ...training.recipes import from_config

    typed = what.typed
    if "task" in typed:
        refuse_other_value(
            "--task", what.task.value, stored.get("task", TaskName.classification.value), folder
        )
    if is_completion(stored):
        return resumed_recipe(typed, _plain(what.layers), what.gradient, what.beta, how, stored, folder)
    run = from_config(without_data_settings(stored))
    if "network" in typed:
        other = _recipe(RecipeName.low_feedback, what.layers, None, None).config()
        _refuse_other_parts("--network", {"layers": other["layers"]}, stored, folder)
    if "augment" in typed:
        changed = dataclasses.replace(run, augmentation=how["augmentation"]).config()
        _refuse_other_parts("--augment", {"augmentation": changed["augmentation"]}, stored, folder)
    if "standardise" in typed and stored["architecture"]["input"]["kind"] != "StandardisedInput":
        refuse_other_value("--standardise", True, False, folder)
    choice = {"model": what.model, "layers": list(what.layers)}
    for name, value in {**how, **choice}.items():
        if name in typed:
            option = "--no-shuffle" if value is False else f"--{name.replace('_', '-')}"
            refuse_other_value(option, value, stored[name], folder)
    if "gradient" in typed or "beta" in typed:
        option = f"--gradient {what.gradient}" if what.beta is None else f"--beta {what.beta}"
        other = _with_gradient(run, what.gradient, what.beta).config()
        _refuse_other_parts(option, {"gradient": other["gradient"]}, stored, folder)
    if what.recipe is not None:
        other = _recipe(what.recipe, run.layers, run.model, what.gradient)
        same_input = dataclasses.replace(
            other.architecture, input=run.architecture.input
        )  # standardised, perhaps
        other = dataclasses.replace(other, architecture=same_input).config()
        parts = {name: part for name, part in other.items() if name not in CHANGED}
        _refuse_other_parts(f"--recipe {what.recipe}", parts, stored, folder)
    return run


def _refuse_other_parts(
    option: str, parts: Mapping[str, Any], stored: Mapping[str, Any], folder: Path
) -> None:
    """Raises: `ValueError` naming the `parts`, which `option` stands for, that are not those `stored` in `folder`."""
    different = [name for name, part in parts.items() if part != stored.get(name)]
    if different:
        raise ValueError(
            f"{option} is not the setting of the run in {folder}, which has another {', '.join(different)}; leave it "
            "out to go on with that run, or name another folder with --out."
        )


def _recipe(
    name: RecipeName | None, layers: tuple["LayerSize", ...], model: str | None, gradient: GradientName | None
) -> "Recipe":
    from ...training import recipes

    paper = RecipeName.goemaere2023 if len(layers) <= 3 else RecipeName.goemaere2024
    name = name or (RecipeName.goemaere_ep if gradient == GradientName.ep else paper)
    make = getattr(recipes, name.value)
    return make(layers) if model is None else make(layers, model)


def _with_gradient(recipe: "Recipe", name: GradientName | None, beta: float | None) -> "Recipe":
    """The recipe with another gradient. Raises: `ValueError` for `beta` without equilibrium propagation."""
    from ...gradients import EquilibriumPropagation, Implicit

    if name is None and isinstance(recipe.gradient, EquilibriumPropagation):
        name = GradientName.ep
    if beta is not None and name != GradientName.ep:
        raise ValueError(f"--beta {beta} is the nudge of equilibrium propagation; add --gradient ep.")
    nudged = EquilibriumPropagation(recipe.nudge if beta is None else beta)
    gradients = {GradientName.ep: nudged, GradientName.implicit: Implicit(), GradientName.recurrent: None}
    return recipe if name is None else dataclasses.replace(recipe, gradient=gradients[name])


def _plain(layers: tuple["LayerSize", ...]) -> tuple[int, ...]:
    """Sizes of dense layers; none for the blocks of a convolutional network, which completion refuses."""
    return tuple(size for size in layers if isinstance(size, int))


def _job(recipe: "Recipe | CompletionRecipe", dataset: "Dataset") -> "AbstractJob":
    from ...training import ClassifierJob, CompletionJob

    make: Any = CompletionJob if is_completion(recipe.config()) else ClassifierJob
    return make(recipe, dataset)


def _run(
    recipe: "Recipe | CompletionRecipe",
    dataset: "Dataset",
    out: Path,
    resume: bool,
    checkpoint_chunks: int,
    devices: int | None,
    loggers: list[str],
) -> dict[str, Any]:
    from ...parallel.processes import is_primary
    from ...training import open_loggers, run_and_store

    cache_compiled_code()
    primary = is_primary()
    if primary:
        writable_folder(out)
    bar = progress_bar(recipe.epochs) if primary else contextlib.nullcontext(lambda chunk: None)

    def report(chunk: "Chunk") -> None:
        show(chunk)
        log(chunk)
        end_if_asked(chunk, recipe.epochs)

    with open_loggers(loggers if primary else [], recipe.config()) as log, bar as show:
        result = run_and_store(
            _job(recipe, dataset),
            out,
            resume=resume,
            checkpoint_chunks=checkpoint_chunks,
            callback=report,
            devices=devices,
        )
    return {**result, "examples": len(dataset.test_labels)}
