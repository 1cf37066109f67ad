"""`hopfax info`: what a bug report should say."""

import platform

from rich.console import Console

from ..._internal.provenance import PACKAGES, installed_version
from .output import Json, check_json, emit, one_line


def info(json: Json = None) -> None:
    """Versions, devices, and the data found on this machine.

    Example: hopfax info --json info.json
    """
    import jax

    from ...data import available

    check_json(json)
    result = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: installed_version(name) or "not installed" for name in PACKAGES},
        "devices": [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()],
        "data": [row._asdict() for row in available()],
    }
    emit(result, json, lambda console: _show(console, result))


def _show(console: Console, result: dict) -> None:
    console.print(f"python {result['python']} on {result['platform']}", soft_wrap=True)
    console.print(
        ", ".join(f"{name} {number}" for name, number in result["versions"].items()), soft_wrap=True
    )
    console.print("devices: " + ", ".join(result["devices"]), soft_wrap=True)
    for row in result["data"]:
        console.print(f"data {row['name']}: {one_line(row['where'])}", soft_wrap=True)
