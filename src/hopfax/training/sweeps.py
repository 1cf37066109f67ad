"""Sweeps: runs that differ in seed, nudge, sizes or any other setting, each in a folder of its own."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._internal.files import as_path, write_json
from ..data import Dataset, load
from ..gradients import EquilibriumPropagation
from ..parallel.launchers import AbstractLauncher, Joblib
from .classifier import ClassifierJob
from .job import RESULT, Diverged, run_and_store, stored_or_made
from .recipes import Recipe


@dataclasses.dataclass(frozen=True)
class SweepJob:
    """One run: a recipe on a data set, in a folder."""

    name: str
    recipe: Recipe
    data: str
    folder: Path
    directory: Path | None = None


def variations(recipe: Recipe, choices: Mapping[str, Sequence[Any]]) -> dict[str, Recipe]:
    """The recipe with every combination of the choices, by names such as "beta=0.02,seed=1".

    Args: `choices` fields of `Recipe`, or `beta`, the nudge of equilibrium propagation, each with the values to take.
    Raises: `ValueError` for a name that is no field, no values, or a value that the recipe refuses.
    """
    fields = {field.name for field in dataclasses.fields(Recipe)}
    for name, values in choices.items():
        if name not in fields | {"beta"}:
            raise ValueError(
                f"`choices` names {name!r}, which is no setting of a recipe; they are {sorted(fields)}."
            )
        if not isinstance(values, list | tuple | range):
            raise ValueError(f"`choices[{name!r}]={values!r}` must be a list of the values to take.")
        if not values:
            raise ValueError(f"`choices[{name!r}]` has no values; leave it out or give one.")
    picks = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    return {_name(pick): _varied(recipe, pick) for pick in picks}


def run_sweep(
    recipes: Mapping[str, Recipe],
    data: str,
    folder: str | Path,
    *,
    launcher: AbstractLauncher = Joblib(),
    directory: str | Path | None = None,
) -> dict[str, dict[str, Any]]:
    """The result of each run by name: read if it is stored, else made and stored in `folder/NAME`.

    The folder of each run is laid out as by `hopfax train --out`, and an interrupted run continues from its checkpoint:
    call this again after any failure. All results are also in `folder/sweep.json`. The result of a run that diverged
    is `{"diverged": why}`, and it is not tried again.

    Args:
        recipes: as `variations` makes them, or by any names that can be folders.
        data: a name for `hopfax.data.load`; searched for in `directory` first, then where `load` looks.
        launcher: where the runs are computed.
    Raises: `ValueError` where a folder has a run of other settings, or a recipe does not fit the data.
    """
    for name in recipes:
        if name in ("", ".", "..") or Path(name).name != name:
            raise ValueError(f"`recipes` has {name!r}, which is no name of a folder; leave slashes out.")
    folder = as_path("folder", folder)
    directory = None if directory is None else as_path("directory", directory)
    jobs = [SweepJob(name, recipe, data, folder / name, directory) for name, recipe in recipes.items()]
    folder.mkdir(parents=True, exist_ok=True)
    launcher.launch(run_job, [job for job in jobs if not (job.folder / RESULT).exists()])
    dataset = load(data, directory)
    results = {job.name: _run(job, dataset) for job in jobs}  # all stored by now
    sweep = {job.name: {"settings": job.recipe.config(), "result": results[job.name]} for job in jobs}
    write_json(folder / "sweep.json", sweep)
    return results


def run_job(job: SweepJob) -> dict[str, Any]:
    """The result of one run, read or made."""
    return _run(job, load(job.data, job.directory))


def _run(job: SweepJob, dataset: Dataset) -> dict[str, Any]:
    classifier = ClassifierJob(job.recipe, dataset)
    try:
        return run_and_store(classifier, job.folder)
    except Diverged as error:
        result = {"diverged": str(error)}
        return stored_or_made(job.folder / RESULT, classifier.config(), lambda: result)


def _name(pick: Mapping[str, Any]) -> str:
    text = lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return ",".join(f"{name}={text(value)}" for name, value in pick.items()) or "run"


def _varied(recipe: Recipe, pick: Mapping[str, Any]) -> Recipe:
    changes = {name: value for name, value in pick.items() if name != "beta"}
    if "beta" in pick:
        changes["gradient"] = EquilibriumPropagation(pick["beta"])
    return dataclasses.replace(recipe, **changes)
