"""`run.json` in the folder of a run: the recipe and the data, all that `hopfax evaluate` needs to know."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoint import write_whole

if TYPE_CHECKING:
    from ..recipes import Recipe

NAME = "run.json"


def write_run(folder: Path, recipe: "Recipe", data: str, result: dict[str, Any]) -> None:
    """Write the recipe, the name of the data set and the result of a run."""
    content = {"recipe": recipe.config(), "data": data, "result": result}
    write_whole(folder / NAME, (json.dumps(content, indent=2) + "\n").encode())


def read_run(folder: Path) -> "tuple[Recipe, str]":
    """The recipe and the name of the data set. Raises: `ValueError` for a folder that has no finished run."""
    from ..recipes import from_config

    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return from_config(content["recipe"]), str(content["data"])
    except OSError as error:
        raise ValueError(
            f"{folder} has no {NAME}, so no finished run; name the folder that `hopfax train --out` was "
            "given, and finish an interrupted run with --resume."
        ) from error
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{folder / NAME} is malformed ({type(error).__name__}: {error}); train again."
        ) from error
