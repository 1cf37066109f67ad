"""`hopfax train --task completion`: the job that the options choose, and how its result is used and shown."""

import dataclasses
import functools as ft
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from .choices import Choice, GradientName, JobFactory
from .options import check_network_folder
from .output import emit, error_console
from .resuming import refuse_other_value

if TYPE_CHECKING:
    from ...gradients.base import AbstractGradient
    from ...training import CompletionRecipe

OF_CLASSIFIERS = ("augment", "standardise", "network", "model", "recipe", "validation", "shuffle")
CHANGES = ("epochs", "seed", "batch_size", "learning_rate")


def new_job(choice: Choice) -> JobFactory:
    """The job of a new run. Raises: `ValueError` for an option that is of classifiers only."""
    from ...training import CompletionJob

    return ft.partial(CompletionJob, _recipe(choice, choice.gradient))


def resumed_job(choice: Choice, data: str, stored: Mapping[str, Any], folder: Path) -> JobFactory:
    """The job of the run in `folder`. Raises: `ValueError` naming an option that was typed and differs from it."""
    from ...training import CompletionJob
    from ...training.completion_job import completion_from_config
    from ...training.job import without_data_settings

    recipe, typed = completion_from_config(without_data_settings(stored)), choice.typed
    nudged = stored["gradient"]["kind"] == "EquilibriumPropagation"
    of_run = GradientName.ep if nudged else GradientName.implicit
    other = _recipe(choice, choice.gradient or of_run).config()["gradient"]
    values = {**choice.changes, "data": data}
    for name in (*CHANGES, "data"):
        if name in typed:
            refuse_other_value(f"--{name.replace('_', '-')}", values[name], stored[name], folder)
    if "layers" in typed:
        refuse_other_value("--layers", choice.layers, recipe.layers, folder)
    if "components" in typed:
        refuse_other_value(
            "--components", choice.components, stored["initialisation"].get("components"), folder
        )
    if "gradient" in typed:
        refuse_other_value("--gradient", choice.gradient, of_run, folder)
    if "beta" in typed:
        refuse_other_value("--beta", other["beta"], stored["gradient"]["beta"], folder)
    return ft.partial(CompletionJob, recipe)


def complete_rows(folder: Path, queries: Path, out: Path, json: Path | None) -> None:
    """Write the queries with their unknown values filled in by the network in `folder`, and print how that went.

    Raises: `ValueError` for a folder without such a network, or queries that do not fit it.
    """
    import numpy as np

    from ...networks.files import load_model
    from ...training import complete
    from .arrays import Rows, read_table, write_table

    check_network_folder(folder, "model.json")
    model = load_model(folder)
    table = read_table(queries, missing=True)
    with error_console().status("completing"):
        filled, converged, sweeps = complete(model, table.numbers, ~np.isnan(table.numbers))
    write_table(out, Rows(np.asarray(filled), table.columns, table.index))
    result = {
        "queries": [{"converged": bool(c), "sweeps": int(n)} for c, n in zip(converged, sweeps, strict=True)]
    }
    unfinished = int(np.sum(~np.asarray(converged)))

    def show(console: Console) -> None:
        console.print(f"{unfinished} of {len(table.numbers)} queries did not converge", soft_wrap=True)
        console.print(f"Written to {out}", soft_wrap=True)

    emit(result, json, show)


def show_completion(console: Console, result: Mapping[str, Any]) -> None:
    """Print the errors by what is missing and where the missing pixels start."""
    table = Table(
        "missing", "start", "squared error", "per pixel", "converged", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for mask, starts in result["completion"].items():
        for start, row in starts.items():
            error = f"{row['error']:.3f} ± {row['standard_error']:.3f}"
            pixel, converged = f"{row['error_per_pixel']:.4f}", f"{row['converged']:.1%}"
            table.add_row(mask, start, error, pixel, converged)
    console.print(f"Test images of {result['data']}, completed at equilibrium:", soft_wrap=True)
    console.print(table)


def _recipe(choice: Choice, gradient: GradientName | None) -> "CompletionRecipe":
    """The recipe with this gradient. Raises: `ValueError` for an option that is of classifiers only."""
    from ...training import CompletionRecipe, mixture_recipe

    for name in OF_CLASSIFIERS:
        if name in choice.typed:
            raise ValueError(f"--{name} is for networks that classify; leave it out with --task completion.")
    changes = {name: value for name, value in choice.changes.items() if name in CHANGES and value is not None}
    if "layers" in choice.typed:
        changes["layers"] = choice.layers
    changes["gradient"] = _gradient(gradient, choice.beta)
    number = choice.components
    recipe = CompletionRecipe() if number is None else mixture_recipe(components=number)
    return dataclasses.replace(recipe, **changes)


def _gradient(name: GradientName | None, beta: float | None) -> "AbstractGradient":
    """The gradient of these options. Raises: `ValueError` for `beta` without equilibrium propagation."""
    from ...training.completion_job import IMPLICIT, equilibrium_propagation

    if name == GradientName.recurrent:
        raise ValueError("--gradient recurrent is for networks that classify; use ep or implicit.")
    if beta is not None and name != GradientName.ep:
        raise ValueError(f"--beta {beta} is the nudge of equilibrium propagation; add --gradient ep.")
    return equilibrium_propagation(beta) if name == GradientName.ep else IMPLICIT
