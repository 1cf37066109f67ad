"""Sweeps: runs that differ in seed, nudge, sizes or any other setting, each in a folder of its own."""

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._internal.files import check_config, write_json
from ..data import load
from ..gradients import EquilibriumPropagation
from ..networks.files import save_model
from ..parallel.launchers import AbstractLauncher, Joblib
from . import Diverged, train
from .recipes import Recipe
from .runfile import result_of, write_run

RESULT = "result.json"


@dataclasses.dataclass(frozen=True)
class Job:
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
    folder: Path,
    *,
    launcher: AbstractLauncher = Joblib(),
    directory: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """The result of each run by name: read if it is stored, else made and stored in `folder/NAME`.

    Each run's folder is laid out as by `hopfax train --out`, and a run that was stopped goes on from its checkpoint:
    call it again after anything. All results are in `folder/sweep.json` too. The result of a run that diverged is
    `{"diverged": why}`, and it is not tried again.

    Args:
        recipes: as `variations` makes them, or by any names that can be folders.
        data: digits, mnist or fashion-mnist, to be found in `directory` or where `hopfax.data.load` looks.
        launcher: where the runs are computed.
    Raises: `ValueError` where a folder has a run of other settings, or a recipe does not fit the data.
    """
    for name in recipes:
        if name in ("", ".", "..") or Path(name).name != name:
            raise ValueError(f"`recipes` has {name!r}, which is no name of a folder; leave slashes out.")
    jobs = [Job(name, recipe, data, folder / name, directory) for name, recipe in recipes.items()]
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = [job for job in jobs if stored(job) is None]
    launcher.launch(run_job, unfinished)
    results = {job.name: stored(job) or {} for job in jobs}
    told = {job.name: {"settings": _settings(job), "result": results[job.name]} for job in jobs}
    write_json(folder / "sweep.json", told)
    return results


def run_job(job: Job) -> dict[str, Any]:
    """Make one run, or go on with it, and store its result."""
    dataset = load(job.data, job.directory)
    try:
        network, rows = train(job.recipe, dataset, job.folder, resume=True)
    except Diverged as error:
        return _store(job, {"diverged": str(error)})
    result = result_of(job.recipe, network, rows, dataset, job.data)
    save_model(network, job.folder)
    write_run(job.folder, job.recipe, job.data, result)
    return _store(job, result)


def stored(job: Job) -> dict[str, Any] | None:
    """The result in the job's folder, if it has one. Raises: `ValueError` where it is of other settings."""
    path = job.folder / RESULT
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    check_config(found["settings"], _settings(job), str(path))
    return found["result"]


def _store(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    write_json(job.folder / RESULT, {"settings": _settings(job), "result": result})
    return result


def _settings(job: Job) -> dict[str, Any]:
    return {**job.recipe.config(), "data": job.data}


def _name(pick: Mapping[str, Any]) -> str:
    told = lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return ",".join(f"{name}={told(value)}" for name, value in pick.items()) or "run"


def _varied(recipe: Recipe, pick: Mapping[str, Any]) -> Recipe:
    changes = {name: value for name, value in pick.items() if name != "beta"}
    if "beta" in pick:
        changes["gradient"] = EquilibriumPropagation(pick["beta"])
    return dataclasses.replace(recipe, **changes)
