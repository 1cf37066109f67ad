"""What a result was made with: versions, the commit, the machine."""

import functools as ft
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "hopfax",
    "jax",
    "jaxlib",
    "equinox",
    "optimistix",
    "lineax",
    "diffrax",
    "optax",
    "numpy",
    "scipy",
)


def circumstances(also: Sequence[str] = ()) -> dict[str, Any]:
    """Versions of hopfax, what it stands on and the packages in `also` that are there; commit and machine."""
    return {
        "versions": {name: found for name in (*PACKAGES, *also) if (found := installed_version(name))},
        "python": platform.python_version(),
        "commit": _commit(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def installed_version(package: str) -> str | None:
    """Its version, if it is there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@ft.cache
def _commit() -> str | None:
    """Of the checkout that the package is in; none outside one."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False
        )
    except OSError:  # there is no git
        return None
    return found.stdout.strip() or None
