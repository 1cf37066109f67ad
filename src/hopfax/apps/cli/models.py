"""`hopfax models`: the trained networks that `hopfax.load_pretrained` loads by name."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from .output import Json, check_json, emit, result_table


def models(json: Json = None) -> None:
    """List the trained networks that come with the repository.

    `hopfax.load_pretrained(name)` loads one; `hopfax evaluate models/NAME` tests it again.

    Example: hopfax models --json -
    """
    from ...interop.pretrained import pretrained_models

    check_json(json)
    rows = [dataclasses.asdict(model) for model in pretrained_models().values()]
    emit({"models": rows}, json, lambda console: _show(console, rows))


def _show(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    table = result_table("name", "task", "data", "error", "weights", "epochs")
    for column in table.columns[:3]:
        column.justify = "left"
    for row in rows:
        numbers = f"{row['error']:.4g}", f"{row['parameters']:,}", f"{row['epochs']}"
        table.add_row(row["name"], row["task"], row["data"], *numbers)
    console.print(table)
    for task in dict.fromkeys(row["task"] for row in rows):
        measures = dict.fromkeys(row["error_is"] for row in rows if row["task"] == task)
        console.print(f"The error of {task}: {'; '.join(measures)}.", soft_wrap=True)
    console.print('hopfax.load_pretrained("NAME") loads one.', highlight=False)
