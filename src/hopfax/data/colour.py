"""Data sets of colour images, of shape (height, width, channels)."""

from .dataset import Dataset
from .files import Directory
from .mnist import load_source
from .sources import CIFAR10, CIFAR100, SVHN


def cifar10(directory: Directory = None, download: bool = True) -> Dataset:
    """50,000 training and 10,000 test photographs in ten classes, 32x32x3, each value `byte / 255`.

    Searched and checked as `mnist` is, in folders named `cifar10`: the six binary files `data_batch_1.bin`, ...,
    `data_batch_5.bin` and `test_batch.bin`, or `cifar-10-binary.tar.gz`, which is unpacked there.

    Args:
        directory: the data directory to search first.
        download: whether missing files may be downloaded.
    Raises: `DataError` (a `ValueError`) for a damaged file, or a missing one that may not or cannot be downloaded.
    Source: A. Krizhevsky, Learning multiple layers of features from tiny images (2009).
    """
    return load_source(CIFAR10, directory, download=download)


def cifar100(directory: Directory = None, download: bool = True) -> Dataset:
    """50,000 training and 10,000 test photographs in a hundred classes, 32x32x3, each value `byte / 255`.

    Searched and checked as `cifar10` is, in folders named `cifar100`: `train.bin` and `test.bin`, or
    `cifar-100-binary.tar.gz`. Labels are those of the hundred classes, not of the twenty groups.

    Args:
        directory: the data directory to search first.
        download: whether missing files may be downloaded.
    Raises: `DataError` (a `ValueError`) for a damaged file, or a missing one that may not or cannot be downloaded.
    Source: A. Krizhevsky, Learning multiple layers of features from tiny images (2009).
    """
    return load_source(CIFAR100, directory, download=download)


def svhn(directory: Directory = None, download: bool = True) -> Dataset:
    """73,257 training and 26,032 test photographs of digits of house numbers, 32x32x3, each value `byte / 255`.

    Searched and checked as `cifar10` is, in folders named `svhn`: `train_32x32.mat` and `test_32x32.mat`. Reading them
    needs SciPy. The 531,131 extra training images are not read.

    Args:
        directory: the data directory to search first.
        download: whether missing files may be downloaded.
    Raises: `DataError` (a `ValueError`) for a damaged file, or a missing one that may not or cannot be downloaded.
    Source: Y. Netzer et al., Reading digits in natural images with unsupervised feature learning (2011).
    """
    return load_source(SVHN, directory, download=download)
