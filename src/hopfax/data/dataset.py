"""A labelled image data set in memory."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float32, Int32

from .._internal.checks import is_integer
from .errors import DataError


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels, split into a training and a test part, as NumPy arrays on the host.

    Attributes:
        name: what the data set is called.
        train_images, test_images: float32 in [0, 1], one flattened image a row.
        train_labels, test_labels: int32 in [0, classes), one a row.
        image_shape: the shape of one image, so that `images.reshape(-1, *image_shape)` shows them.
        classes: how many labels there are.

    Raises:
        ValueError: (a `DataError`) where the arrays break one of the promises above.
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

    def _check(self, part: str, images: np.ndarray, labels: np.ndarray) -> None:
        for what, array in (("images", images), ("labels", labels)):
            if not isinstance(array, np.ndarray):
                raise DataError(
                    f"`{part}_{what}` must be a NumPy array, got {type(array).__name__}; use `np.asarray`."
                )
        pixels = math.prod(self.image_shape)
        if images.dtype != np.float32 or images.ndim != 2 or images.shape[1] != pixels:
            raise DataError(
                f"`{part}_images` must be float32 of shape (n, {pixels}) for `image_shape` "
                f"{self.image_shape}, got {images.dtype} of shape {images.shape}; "
                "divide raw pixels by their maximum."
            )
        if labels.dtype != np.int32 or labels.shape != images.shape[:1]:
            raise DataError(
                f"`{part}_labels` must be int32, one for each of the {len(images)} images, "
                f"got {labels.dtype} of shape {labels.shape}."
            )
        # Written so that NaN fails too.
        if images.size and not (images.min() >= 0 and images.max() <= 1):
            raise DataError(f"`{part}_images` must lie in [0, 1], got [{images.min()}, {images.max()}].")
        if labels.size and not (labels.min() >= 0 and labels.max() < self.classes):
            raise DataError(
                f"`{part}_labels` must lie in [0, {self.classes}), got [{labels.min()}, {labels.max()}]."
            )


def validation_split(dataset: Dataset, size: int, seed: int | None = None) -> Dataset:
    """Hold `size` training examples out, so that choices can be made without looking at the test part.

    The result's training part is what remains and its *test* part is the held-out examples: whatever trains
    and evaluates on a data set runs on it unchanged. The true test part stays in `dataset`. Both parts keep
    the order of `dataset`, and the same arguments give the same split on every machine and NumPy version.

    Args:
        dataset: the data set to take the training part of.
        size: how many examples to hold out, 1 to one less than there are.
        seed: which examples: the last `size` when None, else a random choice determined by this number (>=
        0).

    Returns:
        A data set called `<name>-validation`.

    Raises:
        ValueError: for a size or seed out of range.
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


def _order(count: int, seed: int | None) -> np.ndarray:
    if seed is None:
        return np.arange(count)
    if seed < 0:
        raise ValueError(f"`validation_split(seed=...)` must be None or at least 0, got {seed}.")
    # NumPy keeps the raw stream of a bit generator for ever, which it does not promise of `permutation`.
    return np.argsort(np.random.Philox(seed).random_raw(count), kind="stable")
