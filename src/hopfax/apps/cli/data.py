"""`hopfax data`: which data sets are here, and fetching those that are not."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .output import Json, check_json, emit, error_console, one_line

app = typer.Typer(help="List and fetch data sets.", no_args_is_help=True)

Directory = Annotated[
    Path | None,
    typer.Option("--directory", metavar="DIR", help="Data directory to look in first.", show_default=False),
]


@app.command("list")
def list_data(directory: Directory = None, json: Json = None) -> None:
    """Which data sets there are, and whether they are on this machine; every file is checked.

    Example: hopfax data list
    """
    from ...data import available

    check_json(json)
    rows = [row._asdict() for row in available(directory)]

    def show(console: Console) -> None:
        table = Table("name", "here", "where", "what")
        for row in rows:
            table.add_row(
                row["name"], "yes" if row["found"] else "no", one_line(row["where"]), row["description"]
            )
        console.print(table)

    emit({"data": rows}, json, show)


@app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help="digits, mnist or fashion-mnist.")],
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Download what is missing of data set NAME, and check all of it.

    Example: hopfax data fetch mnist
    """
    from ...data import fetch

    check_json(json)
    with error_console().status(f"fetching {name}"):
        paths = [str(path) for path in fetch(name, directory)]

    def show(console: Console) -> None:
        console.print("\n".join(paths) or f"{name} comes with an installed package", soft_wrap=True)

    emit({"name": name, "paths": paths}, json, show)
