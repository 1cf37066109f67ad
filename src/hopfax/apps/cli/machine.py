"""`hopfax data` and `hopfax info`: the data sets, packages and devices of this machine."""

import platform
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding

from .options import DATA_SETS, Directory, data_sets
from .output import Json, check_json, emit, error_console, one_line

data_app = typer.Typer(help="List the data sets, or download one.", no_args_is_help=True)


@data_app.command("list")
def list_data(directory: Directory = None, json: Json = None) -> None:
    """List the data sets and where they are on this machine; every file is checked.

    Example: hopfax data list
    """
    from ...data import available

    check_json(json)
    rows = [row._asdict() for row in available(directory)]
    emit({"data": rows}, json, lambda console: _show_data(console, rows))


@data_app.command("fetch")
def fetch_data(
    name: Annotated[str, typer.Argument(help=f"Data set: {', '.join(DATA_SETS)}.", autocompletion=data_sets)],
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Download the missing files of a data set and check all of its files.

    Example: hopfax data fetch mnist
    """
    from ...data import fetch

    check_json(json)
    with error_console().status(f"fetching {name}"):
        paths = [str(path) for path in fetch(name, directory)]

    def show(console: Console) -> None:
        console.print(
            "\n".join(paths) or f"{name} comes with hopfax; there is nothing to download.", soft_wrap=True
        )

    emit({"name": name, "paths": paths}, json, show)


def info(json: Json = None) -> None:
    """Print what a bug report needs: versions, devices and data sets.

    Example: hopfax info --json info.json
    """
    import jax

    from ..._internal.provenance import PACKAGES, installed_version
    from ...data import available

    check_json(json)
    result = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: installed_version(name) or "not installed" for name in PACKAGES},
        "devices": [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()],
        "data": [row._asdict() for row in available()],
    }
    emit(result, json, lambda console: _show_info(console, result))


def _show_info(console: Console, result: dict[str, Any]) -> None:
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    console.print(f"Python {result['python']} on {result['platform']}", soft_wrap=True)
    console.print(f"Packages: {versions}", highlight=False)
    console.print("Devices: " + ", ".join(result["devices"]), soft_wrap=True)
    console.print("Data sets:")
    _show_data(console, result["data"])


def _show_data(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        place = "on this machine" if row["available"] else "not on this machine"
        console.print(f"{row['name']} ({place}): {row['description']}", highlight=False)
        console.print(Padding(one_line(row["where"]), (0, 0, 0, 2)))
