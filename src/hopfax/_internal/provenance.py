"""What a result was computed with: versions, the commit, the machine."""

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
    """Versions of hopfax, its dependencies and the packages in `also` that are installed; commit and machine."""
    return {
        "versions": {name: number for name in (*PACKAGES, *also) if (number := installed_version(name))},
        "python": platform.python_version(),
        "commit": _commit(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def installed_version(package: str) -> str | None:
    """The version of a package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@ft.cache
def _commit() -> str | None:
    """The commit of the git checkout that the package is in; None outside of one."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False
        )
    except OSError:  # git is not installed
        return None
    return result.stdout.strip() or None
