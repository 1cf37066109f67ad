"""Labelled image data sets in memory, and the errors of this package."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float32, Int32

from .._internal.checks import is_integer


class DataError(ValueError):
    """A data file or data set is damaged, is not the expected one, or cannot be obtained.

    The message names the file, what is wrong with it and what to do.
    """


class MissingDataError(DataError):
    """A data file is not on this machine, and it may not or could not be downloaded."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels, split into a training set and a test set, as NumPy arrays on the host.

    Attributes:
        name: the name of the data set.
        train_images, test_images: float32 in [0, 1], one flattened image per row.
        train_labels, test_labels: int32 in [0, classes), one per row.
        classes: the number of classes.
        image_shape: the shape of one image; `images.reshape(-1, *image_shape)` restores it.
    Raises: `DataError` (a `ValueError`) if the arrays do not have these types, shapes and ranges.
    """

    name: str
    train_images: Float32[np.ndarray, "train pixels"] = dataclasses.field(repr=False)
    train_labels: Int32[np.ndarray, " train"] = dataclasses.field(repr=False)
    test_images: Float32[np.ndarray, "test pixels"] = dataclasses.field(repr=False)
    test_labels: Int32[np.ndarray, " test"] = dataclasses.field(repr=False)
    classes: int = 10
    _: dataclasses.KW_ONLY
    image_shape: tuple[int, ...]

    def __post_init__(self):
        if self.classes < 1:
            raise DataError(f"`Dataset(classes=...)` must be at least 1, got {self.classes}.")
        self._check("train", self.train_images, self.train_labels)
        self._check("test", self.test_images, self.test_labels)

    def _check(self, split: str, images: np.ndarray, labels: np.ndarray) -> None:
        for what, array in (("images", images), ("labels", labels)):
            if not isinstance(array, np.ndarray):
                raise DataError(
                    f"`{split}_{what}` must be a NumPy array, got {type(array).__name__}; use `np.asarray`."
                )
        pixels = math.prod(self.image_shape)
        if images.dtype != np.float32 or images.ndim != 2 or images.shape[1] != pixels:
            raise DataError(
                f"`{split}_images` must be float32 of shape (n, {pixels}) for `image_shape` "
                f"{self.image_shape}, got {images.dtype} of shape {images.shape}; "
                "divide raw pixels by their maximum."
            )
        if labels.dtype != np.int32 or labels.shape != images.shape[:1]:
            raise DataError(
                f"`{split}_labels` must be int32, one for each of the {len(images)} images, "
                f"got {labels.dtype} of shape {labels.shape}."
            )
        # Written so that NaN fails too.
        if images.size and not (images.min() >= 0 and images.max() <= 1):
            raise DataError(f"`{split}_images` must lie in [0, 1], got [{images.min()}, {images.max()}].")
        if labels.size and not (labels.min() >= 0 and labels.max() < self.classes):
            raise DataError(
                f"`{split}_labels` must lie in [0, {self.classes}), got [{labels.min()}, {labels.max()}]."
            )


def validation_split(dataset: Dataset, size: int, seed: int | None = None) -> Dataset:
    """Hold out `size` training examples, so that choices can be made without looking at the test set.

    In the result, the remaining examples are the training set and the held-out ones are the test set, so any
    code that trains and evaluates on a data set runs on it unchanged. The real test set stays in `dataset`.
    Both sets keep the order of `dataset`. The split depends on the arguments alone, not on the machine or the
    version of NumPy.

    Args:
        dataset: the data set whose training set is split.
        size: the number of examples to hold out, from 1 to one less than there are.
        seed: which examples are held out: the last `size` if None, otherwise a random choice determined by
            this number (at least 0).
    Returns: a data set named `<name>-validation`.
    Raises: `ValueError` if size or seed is out of range.
    """
    count = len(dataset.train_labels)
    if not is_integer(size) or not (seed is None or is_integer(seed)):
        raise ValueError(f"`validation_split(size={size!r}, seed={seed!r})` must be whole numbers.")
    if not 1 <= size < count:
        raise ValueError(
            f"`validation_split(size=...)` must be between 1 and {count - 1}, since {dataset.name} has "
            f"{count} training examples and at least one must remain; got {size}."
        )
    held_out = np.zeros(count, dtype=bool)
    held_out[_order(count, seed)[count - size :]] = True
    return dataclasses.replace(
        dataset,
        name=f"{dataset.name}-validation",
        train_images=dataset.train_images[~held_out],
        train_labels=dataset.train_labels[~held_out],
        test_images=dataset.train_images[held_out],
        test_labels=dataset.train_labels[held_out],
    )


def first_of_each_class(labels: Int32[np.ndarray, " images"], classes: int) -> list[int]:
    """The index of the first image of each class; classes that do not occur are left out."""
    return [int(np.argmax(labels == label)) for label in range(classes) if np.any(labels == label)]


def _order(count: int, seed: int | None) -> np.ndarray:
    if seed is None:
        return np.arange(count)
    if seed < 0:
        raise ValueError(f"`validation_split(seed=...)` must be None or at least 0, got {seed}.")
    # NumPy guarantees the raw stream of a bit generator across versions, but not the result of `permutation`.
    return np.argsort(np.random.Philox(seed).random_raw(count), kind="stable")
