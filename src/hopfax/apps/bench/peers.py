"""Other libraries: installed packages, or checkouts in folders that are named."""

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
    """Which other libraries are timed too.

    Attributes:
        wanted: if False, none, even if they are installed.
        folders: checkouts of those that cannot be installed, by name.
    Raises: `ValueError` for a folder that does not exist, or a name that is not in `CHECKOUTS`.
    """

    wanted: bool = False
    folders: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for name, folder in self.folders.items():
            if name not in CHECKOUTS:
                raise ValueError(f"`folders` has {name!r}; the libraries from checkouts are {CHECKOUTS}.")
            if not folder.is_dir():
                raise ValueError(f"the folder {folder} of {name} does not exist; clone the repository first.")

    def has(self, *packages: str) -> bool:
        """Whether all of these packages are wanted and installed."""
        return self.wanted and all(importlib.util.find_spec(name) for name in packages)

    def folder(self, name: str) -> Path | None:
        """The checkout of this library, if there is one and PyTorch, which all of them need, is installed."""
        return self.folders.get(name) if self.has("torch") else None


def quiet_torch() -> ModuleType:
    """PyTorch, with idle threads that do not spin on the cores on which the others are timed."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    return importlib.import_module("torch")


@contextlib.contextmanager
def path_to(folder: Path) -> Iterator[None]:
    """A context in which modules can be imported from `folder`."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
