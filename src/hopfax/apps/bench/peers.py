"""Other libraries: installed, or in a checkout that is named."""

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

PACKAGES = ("torch", "hamux", "torchdeq", "jaxopt", "banax", "hflayers", "torchhd")
CHECKOUTS = ("hopdeq", "energy-based-learning")


@dataclasses.dataclass(frozen=True)
class Peers:
    """Which other libraries take part.

    Attributes:
        wanted: False: none, whatever is installed.
        folders: checkouts of what cannot be installed, by name.
    Raises: `ValueError` for a folder that is not there, or a name that is none of `CHECKOUTS`.
    """

    wanted: bool = False
    folders: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name, folder in self.folders.items():
            if name not in CHECKOUTS:
                raise ValueError(f"`folders` has {name!r}; what is taken from a checkout is {CHECKOUTS}.")
            if not folder.is_dir():
                raise ValueError(f"the folder {folder} of {name} is not there; clone the repository first.")

    def has(self, *packages: str) -> bool:
        """Whether all of these are wanted and installed."""
        return self.wanted and all(importlib.util.find_spec(name) for name in packages)

    def folder(self, name: str) -> Path | None:
        """Its checkout, if there is one and PyTorch, which all of them need, is installed."""
        return self.folders.get(name) if self.has("torch") else None


def quiet_torch() -> ModuleType:
    """PyTorch, its idle threads told not to spin on the cores that the others are timed on."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    return importlib.import_module("torch")


@contextlib.contextmanager
def path_to(folder: Path) -> Iterator[None]:
    """Modules can be imported from `folder` for a while."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
