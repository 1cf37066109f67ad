"""Data sets: what they promise, how they are split, and the digits."""

import dataclasses
import subprocess
import sys

import jaxtyping
import numpy as np
import pytest

from hopfax.data import Dataset, corruption_masks, digits, first_of_each_class, validation_split


@pytest.fixture
def dataset():
    """Twelve training images, each filled with its own number, which determines its label."""
    images = np.repeat(np.linspace(0, 1, 12, dtype=np.float32)[:, None], 4, axis=1)
    labels = np.arange(12, dtype=np.int32) % 3
    return Dataset("toy", images, labels, images[:2], labels[:2], 3, image_shape=(2, 2))


@pytest.fixture
def without_type_checks():
    """As users run it: the runtime type checks of the tests would refuse some bad arrays first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize("seed", [None, 0, 7])
@pytest.mark.parametrize("size", [1, 5, 11])
def test_validation_split_is_a_partition_in_order(dataset, size, seed):
    split = validation_split(dataset, size, seed)
    assert len(split.test_labels) == size
    images = np.concatenate([split.train_images, split.test_images])
    labels = np.concatenate([split.train_labels, split.test_labels])
    order = np.argsort(images[:, 0])
    np.testing.assert_array_equal(images[order], dataset.train_images)
    np.testing.assert_array_equal(labels[order], dataset.train_labels)
    assert (np.diff(split.train_images[:, 0]) > 0).all()
    assert (np.diff(split.test_images[:, 0]) > 0).all()


def test_validation_split_is_a_function_of_its_seed(dataset):
    held_out = [validation_split(dataset, 5, seed).test_images[:, 0] for seed in (3, 3, 4)]
    np.testing.assert_array_equal(held_out[0], held_out[1])
    assert (held_out[0] != held_out[2]).any()


def test_validation_split_without_seed_takes_the_last(dataset):
    np.testing.assert_array_equal(validation_split(dataset, 5).test_images, dataset.train_images[-5:])


def test_validation_split_holds_every_example_out_equally_often(dataset):
    """Over 600 seeds an example is held out 200 +- 12 times; 5 sigma allow 60."""
    images = np.concatenate([validation_split(dataset, 4, seed).test_images[:, 0] for seed in range(600)])
    counts = np.unique(images, return_counts=True)[1]
    assert len(counts) == 12
    assert (abs(counts - 200) < 60).all()


@pytest.mark.parametrize("size", [0, -1, 12])
def test_validation_split_refuses_a_size_that_leaves_a_part_empty(dataset, size):
    with pytest.raises(ValueError, match=rf"between 1 and 11.*got {size}"):
        validation_split(dataset, size)


def test_validation_split_refuses_a_negative_seed(dataset):
    with pytest.raises(ValueError, match="seed.*got -1"):
        validation_split(dataset, 3, -1)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: {"train_images": d.train_images * 255}, r"`train_images` must lie in \[0, 1\]"),
        (lambda d: {"test_images": d.test_images * np.float32("nan")}, r"`test_images` must lie in \[0, 1\]"),
        (lambda d: {"train_images": d.train_images.astype(np.float64)}, "must be float32"),
        (lambda d: {"image_shape": (3, 3)}, r"shape \(n, 9\)"),
        (lambda d: {"train_labels": d.train_labels[:-1]}, "one for each of the 12"),
        (lambda d: {"test_labels": d.test_labels.astype(np.int64)}, "must be int32"),
        (lambda d: {"classes": 2}, r"`train_labels` must lie in \[0, 2\)"),
        (lambda d: {"test_labels": d.test_labels - np.int32(1)}, r"`test_labels` must lie in \[0, 3\)"),
        (lambda d: {"classes": 0}, "at least 1"),
    ],
)
def test_bad_arrays_are_refused(dataset, change, match, without_type_checks):
    with pytest.raises(ValueError, match=match):
        dataclasses.replace(dataset, **change(dataset))


def test_digits_are_those_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    ours = digits()
    assert (ours.name, ours.classes, ours.image_shape) == ("digits", 10, (8, 8))
    assert len(ours.train_labels) == 1500
    images = np.concatenate([ours.train_images, ours.test_images])
    np.testing.assert_array_equal(images.reshape(-1, *ours.image_shape) * 16, theirs.images)
    np.testing.assert_array_equal(np.concatenate([ours.train_labels, ours.test_labels]), theirs.target)


def test_corruption_masks_erase_the_top_half_or_30_percent_of_the_pixels():
    masks = corruption_masks(50, (8, 8))
    assert masks["top half"].sum(axis=1).tolist() == [32] * 50
    assert not masks["top half"][:, :32].any()
    assert masks["top half"][:, 32:].all()
    assert masks["30 % of pixels"].sum(axis=1).tolist() == [64 - 19] * 50
    assert len({tuple(row) for row in masks["30 % of pixels"]}) == 50


def test_first_of_each_class_leaves_out_classes_that_do_not_occur():
    assert first_of_each_class(np.array([3, 1, 1, 0], np.int32), 4) == [3, 1, 0]


OPTIONAL = ("sklearn", "pooch", "filelock", "matplotlib", "joblib", "typer", "rich", "diffrax")


def test_digits_need_no_optional_package():
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL})); from hopfax.data import digits; digits()"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
