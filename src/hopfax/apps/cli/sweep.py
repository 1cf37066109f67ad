"""`hopfax sweep`: runs that differ in seed, nudge, rate or sizes, on this machine or under Slurm."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from .jax_setup import cache_compiled_code
from .options import real_numbers, whole_numbers
from .output import Json, check_json, emit, writable_folder
from .train import RecipeName

if TYPE_CHECKING:
    from ...parallel.launchers import AbstractLauncher
    from ...training.recipes import Recipe

NUMBERS = "Numbers with commas between them; that of the recipe if not given."


def sweep(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the sweep, one in it for each run.")
    ],
    layers: Annotated[
        list[str],
        typer.Option("--layers", metavar="SIZES", help="784 512 10 or 784,512,10; may be repeated."),
    ],
    data: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "mnist",
    recipe: Annotated[
        RecipeName, typer.Option("--recipe", help="goemaere2023, goemaere2024, goemaere_ep or low_feedback.")
    ] = RecipeName.goemaere2023,
    seeds: Annotated[str, typer.Option(metavar="NUMBERS", help="Such as 0,1,2.")] = "0",
    betas: Annotated[str, typer.Option(metavar="NUMBERS", help=f"Nudges, for ep. {NUMBERS}")] = "",
    learning_rates: Annotated[str, typer.Option("--learning-rates", metavar="NUMBERS", help=NUMBERS)] = "",
    epochs: Annotated[
        int | None, typer.Option(help="That of the recipe if not given.", show_default=False)
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", help="Runs at one time.")] = 1,
    slurm: Annotated[bool, typer.Option("--slurm", help="As Slurm jobs, by submitit.")] = False,
    partition: Annotated[str | None, typer.Option(help="Of Slurm.", show_default=False)] = None,
    minutes: Annotated[int, typer.Option(help="The most that a Slurm job may take.")] = 60,
    gpus: Annotated[int, typer.Option(help="Of each Slurm job.")] = 0,
    directory: Annotated[
        Path | None, typer.Option("--directory", metavar="DIR", help="Data directory.", show_default=False)
    ] = None,
    json: Json = None,
) -> None:
    """Train and evaluate every combination; what is stored is not made again, what was stopped goes on.

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
    _share_compiled_code()
    found = run_sweep(runs, data, writable_folder(out), launcher=launcher, directory=directory)
    emit(found, json, lambda console: _show(console, found))


def _share_compiled_code() -> None:
    """With the processes that are started from here: runs that differ in seed alone are the same code."""
    import jax

    if folder := jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)


def _show(console: Console, results: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table("run", "test accuracy", "iterations", box=box.SIMPLE_HEAD)
    for name, result in results.items():
        if "diverged" in result:
            table.add_row(name, "diverged", "")
        else:
            table.add_row(name, f"{result['test_accuracy']:.2%}", f"{result['iterations_mean']:.1f}")
    console.print(table)
