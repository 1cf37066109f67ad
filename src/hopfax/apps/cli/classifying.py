"""`hopfax train --task classification`: the job that the options choose."""

import dataclasses
import functools as ft
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .choices import Choice, GradientName, JobFactory, RecipeName
from .resuming import refuse_other_value

if TYPE_CHECKING:
    from ...data import Dataset
    from ...training import ClassifierJob
    from ...training.architecture import LayerSize
    from ...training.recipes import Recipe

CHANGED = (  # by options
    *("learning_rate", "shuffle", "epochs", "batch_size", "seed", "validation", "gradient", "augmentation"),
)


def new_job(choice: Choice) -> JobFactory:
    """The job of a new run. Raises: `ValueError` for an option of networks that complete images."""
    if choice.components is not None:
        raise ValueError(
            f"--components {choice.components} is for networks that complete images; add --task completion."
        )
    recipe = _recipe(choice.recipe, choice.layers, choice.model, choice.gradient)
    changes = {name: value for name, value in choice.changes.items() if value is not None}
    recipe = dataclasses.replace(_with_gradient(recipe, choice.gradient, choice.beta), **changes)
    return ft.partial(_job, recipe, choice.standardise)


def resumed_job(choice: Choice, data: str, stored: Mapping[str, Any], folder: Path) -> JobFactory:
    """The job of the run in `folder`. Raises: `ValueError` naming an option that was typed and differs from it."""
    from ...training.job import without_data_settings
    from ...training.recipes import from_config

    recipe, typed = from_config(without_data_settings(stored)), choice.typed
    if "network" in typed:
        other = _recipe(RecipeName.low_feedback, choice.layers, None, None).config()
        _refuse_other_parts("--network", {"layers": other["layers"]}, stored, folder)
    if "augment" in typed:
        changed = dataclasses.replace(recipe, augmentation=choice.changes["augmentation"]).config()
        _refuse_other_parts("--augment", {"augmentation": changed["augmentation"]}, stored, folder)
    if "standardise" in typed and stored["architecture"]["input"]["kind"] != "StandardisedInput":
        refuse_other_value("--standardise", True, False, folder)
    values = {**choice.changes, "data": data, "model": choice.model, "layers": list(choice.layers)}
    for name, value in values.items():
        if name in typed:
            option = "--no-shuffle" if value is False else f"--{name.replace('_', '-')}"
            refuse_other_value(option, value, stored[name], folder)
    if "gradient" in typed or "beta" in typed:
        option = f"--gradient {choice.gradient}" if choice.beta is None else f"--beta {choice.beta}"
        other = _with_gradient(recipe, choice.gradient, choice.beta).config()
        _refuse_other_parts(option, {"gradient": other["gradient"]}, stored, folder)
    if choice.recipe is not None:
        other = _recipe(choice.recipe, recipe.layers, recipe.model, choice.gradient)
        # The input may be standardised, which is not a setting of the named recipe.
        same_input = dataclasses.replace(other.architecture, input=recipe.architecture.input)
        other = dataclasses.replace(other, architecture=same_input).config()
        parts = {name: part for name, part in other.items() if name not in CHANGED}
        _refuse_other_parts(f"--recipe {choice.recipe}", parts, stored, folder)
    return ft.partial(_job, recipe, False)


def _job(recipe: "Recipe", standardise: bool, dataset: "Dataset") -> "ClassifierJob":
    from ...training import ClassifierJob
    from ...training.recipes import standardised

    return ClassifierJob(standardised(recipe, dataset) if standardise else recipe, dataset)


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
    nudged = EquilibriumPropagation(beta)
    gradients = {GradientName.ep: nudged, GradientName.implicit: Implicit(), GradientName.recurrent: None}
    return recipe if name is None else dataclasses.replace(recipe, gradient=gradients[name])
