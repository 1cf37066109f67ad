"""Optional packages, imported when they are first used."""

import importlib
from typing import Any


class PackageMissing(ValueError, ImportError):
    """An optional package cannot be imported; the message says what to install."""


def needed(what: str, package: str, install: str | None = None) -> Any:
    """The module `package`, imported.

    Args:
        what: the beginning of the error message, such as "the hub needs huggingface_hub".
        package: the name of the module.
        install: what pip should install, such as "'hopfax[hub]'"; the package itself if None.
    Raises: `PackageMissing`, which is a `ValueError` and an `ImportError`, if it cannot be imported.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        message = f"{what}, which cannot be imported ({error}): pip install {install or package}."
        raise PackageMissing(message) from error
