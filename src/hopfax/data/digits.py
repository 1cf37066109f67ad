"""The 8x8 handwritten digits that come with scikit-learn."""

import numpy as np

from .dataset import Dataset

_TRAIN = 1500


def digits() -> Dataset:
    """1,797 handwritten digits of 8x8 pixels, each pixel `(number of dark dots in a 4x4 block) / 16`.

    The set has no official split; ours is the first 1,500 for training and the last 297 for testing. It is
    small and needs no download. It is the *test* part of the UCI set "Optical Recognition of Handwritten
    Digits" (13 writers), and it is not MNIST.

    Source: E. Alpaydin and C. Kaynak, Cascading classifiers, Kybernetika 34 (1998);
    `sklearn.datasets.load_digits`.
    """
    from sklearn.datasets import load_digits  # here, since it takes a second to import

    pixels, targets = load_digits(return_X_y=True)
    images = np.asarray(pixels, dtype=np.float32) / np.float32(16)
    labels = np.asarray(targets, dtype=np.int32)
    return Dataset(
        "digits",
        images[:_TRAIN],
        labels[:_TRAIN],
        images[_TRAIN:],
        labels[_TRAIN:],
        image_shape=(8, 8),
    )
