"""MNIST and its drop-in relatives."""

import io
import os

import numpy as np

from .dataset import Dataset
from .download import obtain
from .errors import DataError
from .idx import parse_idx
from .source import FASHION_MNIST, MNIST, Source


def mnist(directory: str | os.PathLike[str] | None = None, download: bool = True) -> Dataset:
    """60,000 training and 10,000 test images of handwritten digits, 28x28, each pixel `byte / 255`.

    The idx files (raw or gzipped) are looked for in `directory`, in the directory that the environment
    variable `HOPFAX_DATA` names, and in the user's cache folder: in each in the folder `mnist`, then in the
    directory itself. Missing ones are downloaded into the folder `mnist` of the first of these. At every
    load, the SHA-256 of each file's content is checked.

    Args:
        directory: the data directory to look in first.
        download: whether missing files may be downloaded.

    Raises:
        DataError: (a `ValueError`) for a damaged file, or a missing one that may not or cannot be downloaded.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document
    recognition, Proc. IEEE 86 (1998).
    """
    return load_source(MNIST, directory, download=download)


def fashion_mnist(directory: str | os.PathLike[str] | None = None, download: bool = True) -> Dataset:
    """60,000 training and 10,000 test pictures of clothes in ten classes, 28x28, each pixel `byte / 255`.

    Found and checked as `mnist` is, but only in folders called `fashion-mnist`, since the file names are the
    same.

    Args:
        directory: the data directory to look in first.
        download: whether missing files may be downloaded.

    Raises:
        DataError: (a `ValueError`) for a damaged file, or a missing one that may not or cannot be downloaded.

    Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms (2017), arXiv 1708.07747.
    """
    return load_source(FASHION_MNIST, directory, download=download)


def load_source(
    source: Source, directory: str | os.PathLike[str] | None = None, *, download: bool = True
) -> Dataset:
    """The data set that `source` describes; `mnist` says how it is found, checked and scaled.

    Raises:
        DataError: (a `ValueError`) as `mnist` does, or where the files do not fit each other.
    """
    files = obtain(source, directory, download=download)
    arrays = [parse_idx(io.BytesIO(f.content), str(f.path), max_bytes=len(f.content)) for f in files]
    images, labels, test_images, test_labels = arrays
    if images.ndim < 2 or images.shape[1:] != test_images.shape[1:]:
        raise DataError(f"{source.name}: images of shapes {images.shape[1:]} and {test_images.shape[1:]}.")
    return Dataset(
        source.name,
        _scaled(images),
        labels.astype(np.int32),
        _scaled(test_images),
        test_labels.astype(np.int32),
        source.classes,
        image_shape=images.shape[1:],
    )


def _scaled(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
