"""MNIST and data sets in the same format."""

import numpy as np

from .dataset import DataError, Dataset
from .files import Directory, obtain
from .source import Source
from .sources import FASHION_MNIST, KMNIST, MNIST


def mnist(directory: Directory = None, download: bool = True) -> Dataset:
    """60,000 training and 10,000 test images of handwritten digits, 28x28, each pixel `byte / 255`.

    The idx files (raw or gzipped) are searched in `directory`, in the directory that the environment variable
    `HOPFAX_DATA` names, and in the user's cache folder; in each first in its folder `mnist`, then in the directory
    itself. Missing files are downloaded by pooch into the folder `mnist` of the first of these directories. The
    SHA-256 of every file is checked at every load.

    Args:
        directory: the data directory to search first.
        download: whether missing files may be downloaded.
    Raises: `DataError` (a `ValueError`) for a damaged file, or a missing one that may not or cannot be downloaded.
    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document
    recognition, Proc. IEEE 86 (1998).
    """
    return load_source(MNIST, directory, download=download)


def fashion_mnist(directory: Directory = None, download: bool = True) -> Dataset:
    """60,000 training and 10,000 test pictures of clothes in ten classes, 28x28, each pixel `byte / 255`.

    Searched and checked as `mnist` is, but only in folders named `fashion-mnist`, since its files have the same
    names as those of MNIST.

    Args:
        directory: the data directory to search first.
        download: whether missing files may be downloaded.
    Raises: `DataError` (a `ValueError`) for a damaged file, or a missing one that may not or cannot be downloaded.
    Source: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms (2017), arXiv 1708.07747.
    """
    return load_source(FASHION_MNIST, directory, download=download)


def kmnist(directory: Directory = None, download: bool = True) -> Dataset:
    """60,000 training and 10,000 test images of Japanese characters in ten classes, 28x28, each pixel `byte / 255`.

    Searched and checked as `mnist` is, but only in folders named `kmnist`, and as the gzipped files that are published.

    Args:
        directory: the data directory to search first.
        download: whether missing files may be downloaded.
    Raises: `DataError` (a `ValueError`) for a damaged file, or a missing one that may not or cannot be downloaded.
    Source: T. Clanuwat et al., Deep learning for classical Japanese literature (2018), arXiv 1812.01718. CC BY-SA 4.0.
    """
    return load_source(KMNIST, directory, download=download)


def load_source(source: Source, directory: Directory = None, *, download: bool = True) -> Dataset:
    """The data set that `source` describes, searched, checked and scaled as `mnist` is.

    Raises: `DataError` (a `ValueError`) as `mnist` does, or if training and test images differ in shape.
    """
    train, test = source.format.read(obtain(source, directory, download=download))
    if train.images.ndim < 2 or train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"{source.name}: training images of shape {train.images.shape[1:]} and test images of shape "
            f"{test.images.shape[1:]} do not fit together; check the order of `Source(files=...)`."
        )
    return Dataset(
        source.name,
        _scaled(train.images),
        train.labels.astype(np.int32),
        _scaled(test.images),
        test.labels.astype(np.int32),
        source.classes,
        image_shape=train.images.shape[1:],
    )


def _scaled(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
