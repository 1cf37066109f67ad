"""The 8x8 handwritten digits that come with hopfax."""

from pathlib import Path

import numpy as np

from .dataset import Dataset
from .idx import read_idx

_TRAIN = 1500


def digits() -> Dataset:
    """1,797 handwritten digits of 8x8 pixels, each pixel `(number of dark dots in a 4x4 block) / 16`.

    The set is small and comes with hopfax, so it needs no download. It has no official split: here the first
    1,500 digits are the training set and the last 297 the test set. It is the *test* part of the UCI set
    "Optical Recognition of Handwritten Digits" (13 writers), the same as scikit-learn's `load_digits`. It is
    not MNIST.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository (1998), doi 10.24432/C50P49, CC BY 4.0.
    """
    pixels = read_idx(Path(__file__).with_name("digits-images.idx.gz"))
    images = pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(16)
    labels = read_idx(Path(__file__).with_name("digits-labels.idx.gz")).astype(np.int32)
    return Dataset(
        "digits",
        images[:_TRAIN],
        labels[:_TRAIN],
        images[_TRAIN:],
        labels[_TRAIN:],
        image_shape=(8, 8),
    )
