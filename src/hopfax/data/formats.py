"""The formats of data sets: images and labels from the contents of checked files."""

import abc
import dataclasses
import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from jaxtyping import Integer, UInt8

from .._internal.checks import require_integer
from .._internal.optional import needed
from .dataset import DataError
from .idx import parse_idx, unpacked

SIDE, CHANNELS = 32, 3
_PIXELS = SIDE * SIDE * CHANNELS

Images = UInt8[np.ndarray, "images ..."]
Labels = Integer[np.ndarray, " images"]


class CheckedFile(NamedTuple):
    """The path of a data file and its content, which has the expected SHA-256."""

    path: Path
    content: bytes


class Split(NamedTuple):
    """Images of a shape, with channels last, and a label for each."""

    images: Images
    labels: Labels


class AbstractFormat(abc.ABC):
    """How images and labels are read from the files of a data set."""

    @abc.abstractmethod
    def read(self, files: Sequence[CheckedFile]) -> tuple[Split, Split]:
        """The training and the test examples. Raises: `DataError` for content of another form."""


@dataclasses.dataclass(frozen=True)
class Idx(AbstractFormat):
    """Four idx files, raw or gzipped: training images, training labels, test images, test labels."""

    def read(self, files):
        images, labels, test_images, test_labels = map(_idx, files)
        return Split(images, labels), Split(test_images, test_labels)


@dataclasses.dataclass(frozen=True)
class CifarRecords(AbstractFormat):
    """The binary files of CIFAR; the last one has the test examples.

    A record is `label_bytes` labels, of which the last one counts (the first of two is that of a group of classes),
    then 1,024 bytes each of red, green and blue.
    """

    label_bytes: int = 1

    def __post_init__(self):
        require_integer("CifarRecords.label_bytes", self.label_bytes, 1)

    def read(self, files):
        *train, test = (parse_cifar(file.content, str(file.path), self.label_bytes) for file in files)
        return Split(*map(np.concatenate, zip(*train, strict=True))), test


@dataclasses.dataclass(frozen=True)
class StreetView(AbstractFormat):
    """The two .mat files of SVHN, training and test: images `X` and labels `y`, in which 10 is the digit 0."""

    def read(self, files):
        train, test = (parse_street_view(file.content, str(file.path)) for file in files)
        return train, test


def parse_cifar(content: bytes, name: str, label_bytes: int = 1) -> Split:
    """The examples in a binary file of CIFAR; `name` is its name in error messages.

    Raises: `DataError` for a file without whole records.
    """
    record = label_bytes + _PIXELS
    if not content or len(content) % record:
        raise DataError(
            f"`{name}` is no binary file of CIFAR: it has {len(content)} bytes, which are not records of {record}."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record)
    planes = records[:, label_bytes:].reshape(-1, CHANNELS, SIDE, SIDE)
    return Split(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, label_bytes - 1])


def parse_street_view(content: bytes, name: str) -> Split:
    """The examples in a .mat file of SVHN; `name` is its name in error messages.

    Raises: `DataError` unless it has `X`, bytes of shape (32, 32, 3, images), and `y`, bytes from 1 to 10 of shape
    (images, 1); `ImportError` if SciPy is not installed.
    """
    variables = _mat_variables(content, name)
    images, labels = (variables.get(key) for key in ("X", "y"))
    if not _is_bytes(images, 4) or images.shape[:3] != (SIDE, SIDE, CHANNELS) or not images.shape[3]:
        raise DataError(
            f"`{name}`: `X` must be bytes of shape (32, 32, 3, images), got {_described(images)}."
        )
    if not _is_bytes(labels, 2) or labels.shape != (images.shape[3], 1):
        raise DataError(
            f"`{name}`: `y` must be bytes of shape ({images.shape[3]}, 1), got {_described(labels)}."
        )
    if labels.min() < 1 or labels.max() > 10:
        raise DataError(f"`{name}`: `y` must lie in [1, 10], got [{labels.min()}, {labels.max()}].")
    return Split(np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels[:, 0] % 10)


def _mat_variables(content: bytes, name: str) -> dict[str, Any]:
    scipy_io = needed("reading a .mat file needs SciPy", "scipy.io", "'hopfax[apps]'")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about variables that are not read
            return scipy_io.loadmat(io.BytesIO(content), variable_names=("X", "y"))
    except Exception as error:  # SciPy does not say which ones a damaged file can raise
        raise DataError(f"`{name}` is no .mat file of arrays ({type(error).__name__}: {error}).") from error


def _is_bytes(array: Any, axes: int) -> TypeGuard[np.ndarray]:
    return isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == axes


def _described(value: Any) -> str:
    return f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__


def _idx(file: CheckedFile) -> np.ndarray:
    with unpacked(io.BytesIO(file.content)) as stream:
        return parse_idx(stream, str(file.path), max_bytes=2**30)
