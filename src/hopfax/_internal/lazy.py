"""Modules of a package that are imported when they are first asked for."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


def submodules(package: str, *names: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package: the modules `names` in it are imported at their first use, others do not exist.

    So `hopfax.interop.sklearn` works after `import hopfax`, which imports no scikit-learn.
    """

    def get(name: str) -> Any:
        if name in names:
            return import_module(f".{name}", package)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get
