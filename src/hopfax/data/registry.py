"""Data sets by name, for command lines and configurations; code calls `digits`, `mnist`, ... directly."""

from pathlib import Path
from typing import Any, NamedTuple

from .dataset import DataError, Dataset
from .digits import digits
from .files import Directory, obtain
from .mnist import load_source
from .source import Source
from .sources import CIFAR10, CIFAR100, FASHION_MNIST, KMNIST, MNIST, SVHN

SOURCES = {source.name: source for source in (MNIST, FASHION_MNIST, KMNIST, CIFAR10, CIFAR100, SVHN)}
_DIGITS = "1,797 handwritten digits, 8x8 (1,500 + 297), from the UCI repository"


class DatasetInfo(NamedTuple):
    """One line of a listing: whether a data set is on this machine, where (or why not), and what it is."""

    name: str
    available: bool
    where: str
    description: str


def load(name: str, directory: Directory = None, *, download: bool = True) -> Dataset:
    """The data set named `name`: `digits`, `mnist`, `fashion-mnist`, `kmnist`, `cifar10`, `cifar100` or `svhn`.

    Args:
        name: the name of the data set.
        directory: the data directory to search first; the digits need none.
        download: whether missing files may be downloaded.
    Raises: `ValueError` for an unknown name, or as the function of the data set does.
    """
    source = _source(name)
    return digits() if source is None else load_source(source, directory, download=download)


def fetch(name: str, directory: Directory = None, *, progressbar: Any = False) -> list[Path]:
    """Download the missing files of the data set `name` and check all of them.

    Args:
        name: the name of the data set.
        directory: the data directory to search first and to download to.
        progressbar: True, or an object with `total`, `update`, `reset` and `close`, as pooch takes it.
    Returns: the paths of its files; none for the digits, which come with hopfax.
    Raises: `ValueError` for an unknown name; `DataError` for damaged files or a failed download.
    """
    source = _source(name)
    return (
        [] if source is None else [file.path for file in obtain(source, directory, progressbar=progressbar)]
    )


def available(directory: Directory = None) -> list[DatasetInfo]:
    """Every data set with whether it is on this machine; `where` is its folder, or what is missing or damaged.

    The content of all files is checked. Nothing is downloaded.
    """
    rows = [_info(source, directory) for source in SOURCES.values()]
    return [DatasetInfo("digits", True, "comes with hopfax", _DIGITS), *rows]


def _info(source: Source, directory: Directory) -> DatasetInfo:
    try:
        files = obtain(source, directory, download=False)
    except DataError as error:
        return DatasetInfo(source.name, False, str(error), source.description)
    folders = dict.fromkeys(str(file.path.parent) for file in files)
    return DatasetInfo(source.name, True, ", ".join(folders), source.description)


def _source(name: str) -> Source | None:
    """Where the data set can be downloaded from; None for the digits."""
    if name == "digits":
        return None
    if name not in SOURCES:
        raise ValueError(f"There is no data set {name!r}; choose from {', '.join(('digits', *SOURCES))}.")
    return SOURCES[name]
