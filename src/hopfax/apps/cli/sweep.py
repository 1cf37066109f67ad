"""`hopfax sweep`: runs that differ in seed, nudge, learning rate or layers, on this machine or under Slurm."""

import functools as ft
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..._internal.compiled import cache_compiled_code, share_compiled_code
from .choices import AS_RECIPE, RECIPES, RecipeName
from .interrupts import interruptible, keep_from_children
from .options import DataName, Directory, layer_sizes, real_numbers, whole_numbers
from .output import Json, check_json, emit, result_table, writable_folder

if TYPE_CHECKING:
    from ...parallel.launchers import AbstractLauncher
    from ...training.recipes import Recipe

SLURM = "Slurm"


def sweep(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the sweep, with a folder for each run.")
    ],
    layers: Annotated[
        list[str],
        typer.Option(
            "--layers", metavar="SIZES", help="Layers, such as 784,512,10. Can be given several times."
        ),
    ],
    data: DataName = "mnist",
    recipe: Annotated[
        RecipeName, typer.Option("--recipe", metavar="NAME", help=RECIPES)
    ] = RecipeName.goemaere2023,
    seeds: Annotated[str, typer.Option(metavar="NUMBERS", help="Random seeds, such as 0,1,2.")] = "0",
    betas: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS",
            help=f"Nudges of equilibrium propagation, such as 0.01,0.1. {AS_RECIPE}",
            show_default=False,
        ),
    ] = "",
    learning_rates: Annotated[
        str,
        typer.Option(
            "--learning-rates",
            metavar="NUMBERS",
            help=f"Learning rates, such as 0.001,0.01. {AS_RECIPE}",
            show_default=False,
        ),
    ] = "",
    epochs: Annotated[
        int | None, typer.Option(help=f"Number of epochs. {AS_RECIPE}", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Number of runs at the same time.")] = 1,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="Run as Slurm jobs, with submitit.", rich_help_panel=SLURM)
    ] = False,
    partition: Annotated[
        str | None, typer.Option(help="Partition of the jobs.", show_default=False, rich_help_panel=SLURM)
    ] = None,
    minutes: Annotated[int, typer.Option(help="Time limit of a job.", rich_help_panel=SLURM)] = 60,
    gpus: Annotated[int, typer.Option(help="GPUs of a job.", rich_help_panel=SLURM)] = 0,
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Train and evaluate a network for every combination of the settings.

    Results that are stored are not computed again, and interrupted runs continue.

    Example: hopfax sweep --data digits --layers 64,32,10 --seeds 0,1,2 --out sweeps/digits
    """
    from ...parallel.launchers import Joblib, Submitit
    from ...training import recipes
    from ...training.sweeps import run_sweep, variations

    check_json(json, to_be_made=out)
    choices: dict[str, Any] = {"seed": whole_numbers("--seeds", seeds, "0,1,2")}
    if betas:
        choices["beta"] = real_numbers("--betas", betas, "0.01,0.1")
    if learning_rates:
        choices["learning_rate"] = real_numbers("--learning-rates", learning_rates, "0.001,0.01")
    choices |= {} if epochs is None else {"epochs": [epochs]}
    runs: dict[str, Recipe] = {}
    for chain in map(layer_sizes, layers):  # a recipe may change with depth
        runs |= variations(getattr(recipes, recipe.value)(chain), {"layers": [chain], **choices})
    launcher: AbstractLauncher = Joblib(jobs)
    if slurm:
        launcher = Submitit(logs=out / "logs", minutes=minutes, gpus=gpus, at_once=jobs, partition=partition)
    cache_compiled_code()
    share_compiled_code()
    if jobs > 1:
        keep_from_children()
    with interruptible(ft.partial(_how_to_go_on, out, len(runs))):
        results = run_sweep(runs, data, writable_folder(out), launcher=launcher, directory=directory)
    emit(results, json, lambda console: _show(console, results))


def _how_to_go_on(folder: Path, runs: int) -> str:
    """What to say when a sweep is interrupted: what it has, and the command to give again."""
    from ...training.job import CHECKPOINT, RESULT

    finished = len(list(folder.glob(f"*/{RESULT}")))
    begun = len(list(folder.glob(f"*/{CHECKPOINT}"))) - finished
    command = shlex.join(["hopfax", *sys.argv[1:]])
    return (
        f"interrupted; {folder} has {finished} of {runs} runs finished, and checkpoints of {begun} more; to go on, "
        f"give the same command again: {command}"
    )


def _show(console: Console, results: Mapping[str, Mapping[str, Any]]) -> None:
    table = result_table("run", "test accuracy", "iterations to converge")
    for name, result in results.items():
        if "diverged" in result:
            table.add_row(name, "diverged", "")
        else:
            table.add_row(name, f"{result['test_accuracy']:.2%}", f"{result['iterations_mean']:.1f}")
    console.print(table)
