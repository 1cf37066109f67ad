"""Sets whose label depends on few of their members: bit patterns, latch sequences, bags of digits."""

from typing import NamedTuple

import numpy as np


class Bags(NamedTuple):
    """Sets of rows of a table, padded to one size.

    Attributes:
        rows: the table, (rows, width).
        members: (bags, size), the row of each member; 0 for padding.
        mask: (bags, size), true for members and false for padding.
        labels: (bags,), 0 or 1.
    """

    rows: np.ndarray
    members: np.ndarray
    mask: np.ndarray
    labels: np.ndarray


def bit_patterns(
    count: int, signals: np.ndarray, rng: np.random.Generator, *, smallest: int, largest: int
) -> Bags:
    """Bags of `smallest` to `largest` random bit patterns other than `signals`; of label 1 with one of the signals.

    Source: the example "bit pattern" of hopfield-layers, with bags of different size.
    """
    bits = signals.shape[1]
    rows = (np.arange(2**bits)[:, None] >> np.arange(bits) & 1).astype(np.float32)
    numbers = (signals.astype(int) << np.arange(bits)).sum(1)
    others = np.setdiff1d(np.arange(2**bits), numbers)
    mask = np.arange(largest) < rng.integers(smallest, largest, count, endpoint=True)[:, None]
    members = np.where(mask, rng.choice(others, (count, largest)), 0)
    return _with_key_member(Bags(rows, members, mask, _labels(count)), rng.choice(numbers, count), rng)


def signals(count: int, bits: int, rng: np.random.Generator) -> np.ndarray:
    """Different bit patterns, none of them zero."""
    numbers = 1 + rng.choice(2**bits - 1, count, replace=False)
    return (numbers[:, None] >> np.arange(bits) & 1).astype(np.float32)


def latch(count: int, rng: np.random.Generator, *, length: int, characters: int) -> Bags:
    """Sequences of random characters, one-hot, of which the first, one of two, is the label.

    Source: Hochreiter and Mozer (2001), in the form of the example "latch sequence" of hopfield-layers.
    """
    members, labels = rng.integers(2, characters, (count, length)), _labels(count)
    members[:, 0] = labels
    return Bags(np.eye(characters, dtype=np.float32), members, np.ones((count, length), bool), labels)


def digit_bags(
    images: np.ndarray, classes: np.ndarray, count: int, rng: np.random.Generator, *, target: int, mean: float
) -> Bags:
    """Bags of about `mean` images, with a standard deviation of 2; of label 1 with the digit `target` in them.

    Source: Ilse, Tomczak and Welling (2018), arXiv:1802.04712, section 4.2, with as many bags of each label.
    """
    size = np.clip(np.round(rng.normal(mean, 2, count)), 1, 2 * mean).astype(int)
    mask = np.arange(size.max()) < size[:, None]
    labels, every = _labels(count), np.arange(len(classes))
    negative = rng.choice(np.flatnonzero(classes != target), mask.shape)
    members = np.where(labels[:, None] == 1, rng.choice(every, mask.shape), negative)
    bags = Bags(images.reshape(len(images), -1), np.where(mask, members, 0), mask, labels)
    return _with_key_member(bags, rng.choice(np.flatnonzero(classes == target), count), rng)


def _labels(count: int) -> np.ndarray:
    return np.arange(count) % 2


def _with_key_member(bags: Bags, rows: np.ndarray, rng: np.random.Generator) -> Bags:
    """Bags of label 1 with the row that decides the label at a random place."""
    place = rng.integers(0, bags.mask.sum(1))
    members, positive = bags.members.copy(), bags.labels == 1
    members[positive, place[positive]] = rows[positive]
    return bags._replace(members=members)
