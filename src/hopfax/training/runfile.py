"""`run.json` in the folder of a run: the recipe and the data, all that `hopfax evaluate` needs to know."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._internal.files import parse_json, write_json
from .evaluation import evaluate

if TYPE_CHECKING:
    from ..data import Dataset
    from ..networks.network import AbstractNetwork
    from .metrics import EpochMetrics
    from .recipes import Recipe

NAME = "run.json"


def result_of(
    recipe: "Recipe",
    network: "AbstractNetwork",
    rows: "Sequence[EpochMetrics]",
    dataset: "Dataset",
    data: str,
) -> dict[str, Any]:
    """The result of a finished run: the network evaluated on the test part of `dataset`, the metrics, the settings."""
    images, labels, steps = dataset.test_images, dataset.test_labels, recipe.forward_steps
    found = evaluate(network, images, labels, method=recipe.method, steps=steps).summary()
    return {
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


def write_run(folder: Path, recipe: "Recipe", data: str, result: dict[str, Any]) -> None:
    """Write the recipe, the name of the data set and the result of a run."""
    content = {"recipe": recipe.config(), "data": data, "result": result}
    write_json(folder / NAME, content)


def read_run(folder: Path) -> "tuple[Recipe, str]":
    """The recipe and the name of the data set. Raises: `ValueError` for a folder that has no finished run."""
    from .recipes import from_config

    try:
        content = parse_json((folder / NAME).read_bytes())
        return from_config(content["recipe"]), str(content["data"])
    except OSError as error:
        raise ValueError(
            f"{folder} has no {NAME}, so no finished run; name the folder that `hopfax train --out` was "
            "given, and finish an interrupted run with --resume."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder / NAME} is malformed ({type(error).__name__}: {error}); train again."
        ) from error
