"""Data sets by name, for command lines and configurations; code calls `digits`, `mnist`, ... directly."""

import dataclasses
import importlib.util
import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .dataset import Dataset
from .digits import digits
from .download import obtain
from .errors import DataError
from .mnist import load_source
from .source import FASHION_MNIST, MNIST, Source


class Row(NamedTuple):
    """One line of a listing: whether a data set is here and usable, where (or why not), and what it is."""

    name: str
    found: bool
    where: str
    description: str


@dataclasses.dataclass(frozen=True)
class Installed:
    """The data set that comes with an installed package: nothing to download, no directory."""

    description: str = "1,797 handwritten digits, 8x8, from scikit-learn (1,500 + 297)"

    def load(self, directory: str | os.PathLike[str] | None, download: bool) -> Dataset:
        return digits()

    def fetch(self, directory: str | os.PathLike[str] | None, progressbar: Any) -> list[Path]:
        return []

    def where(self, directory: str | os.PathLike[str] | None) -> str:
        if importlib.util.find_spec("sklearn") is None:
            raise DataError("The digits need scikit-learn; install it.")
        return "scikit-learn"


@dataclasses.dataclass(frozen=True)
class Downloadable:
    """A data set in idx files."""

    source: Source

    @property
    def description(self) -> str:
        return self.source.description

    def load(self, directory: str | os.PathLike[str] | None, download: bool) -> Dataset:
        return load_source(self.source, directory, download=download)

    def fetch(self, directory: str | os.PathLike[str] | None, progressbar: Any) -> list[Path]:
        return [file.path for file in obtain(self.source, directory, progressbar=progressbar)]

    def where(self, directory: str | os.PathLike[str] | None) -> str:
        files = obtain(self.source, directory, download=False)
        return ", ".join(dict.fromkeys(str(file.path.parent) for file in files))


REGISTRY: Mapping[str, Installed | Downloadable] = types.MappingProxyType(
    {
        "digits": Installed(),
        "mnist": Downloadable(MNIST),
        "fashion-mnist": Downloadable(FASHION_MNIST),
    }
)


def load(name: str, directory: str | os.PathLike[str] | None = None, *, download: bool = True) -> Dataset:
    """The data set called `name`: `digits`, `mnist` or `fashion-mnist`.

    Args:
        name: which one.
        directory: the data directory to look in first; the digits need none.
        download: whether missing files may be downloaded.

    Raises:
        ValueError: for an unknown name, or as the data set's own function does.
    """
    return _entry(name).load(directory, download)


def fetch(
    name: str, directory: str | os.PathLike[str] | None = None, *, progressbar: Any = False
) -> list[Path]:
    """Make sure that the files of data set `name` are here and right; download what is missing.

    Args:
        name: which one.
        directory: the data directory to look in first and to download to.
        progressbar: False, or an object with `total`, `update`, `reset` and `close` as pooch wants it.

    Returns:
        The paths of its files, none for a data set that comes with an installed package.

    Raises:
        ValueError: for an unknown name; a `DataError` for damaged files or a failed download.
    """
    return _entry(name).fetch(directory, progressbar)


def available(directory: str | os.PathLike[str] | None = None) -> list[Row]:
    """Every data set, with whether it is here; `where` holds its folder, or else what is missing or damaged.

    All contents are checked. Nothing is downloaded.
    """
    return [_row(name, entry, directory) for name, entry in REGISTRY.items()]


def _row(name: str, entry: Installed | Downloadable, directory: str | os.PathLike[str] | None) -> Row:
    try:
        return Row(name, True, entry.where(directory), entry.description)
    except DataError as error:
        return Row(name, False, str(error), entry.description)


def _entry(name: str) -> Installed | Downloadable:
    if name not in REGISTRY:
        raise ValueError(f"There is no data set called {name!r}; there are {', '.join(REGISTRY)}.")
    return REGISTRY[name]
