"""Packages that hopfax does without until they are asked for."""

import importlib
from typing import Any


class PackageMissing(ValueError, ImportError):
    """A package that is needed cannot be imported; says what to install."""


def needed(what: str, package: str, install: str | None = None) -> Any:
    """The package. Raises: `PackageMissing` saying `what`, such as "the hub needs x", and what to `install` for it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        told = f"{what}, which cannot be imported ({error}): pip install {install or package}."
        raise PackageMissing(told) from error
