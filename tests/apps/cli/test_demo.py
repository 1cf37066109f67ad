"""`hopfax demo` with a tiny network, and the functions that it is made of."""

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from hopfax import lagrangians, training
from hopfax.apps import demo
from hopfax.apps.cli import run
from hopfax.apps.completion.completers import NearestNeighbour
from hopfax.data import corruption_masks, digits, first_of_each_class

ROW = {
    "iterations_mean",
    "iterations_std",
    "did_not_converge",
    "test_accuracy",
    "seconds",
    "training_seconds",
}
COMPLETERS = ("nearest", "metric_memory", "feed_forward", "trained")


@pytest.fixture(scope="module")
def dataset():
    return digits()


@pytest.fixture(scope="module")
def trained(dataset):
    """A tiny network after one epoch."""
    return training.train_in_memory(demo.small_recipe("HAM-EO", epochs=1, hidden=4), dataset)


@pytest.fixture
def miniature(monkeypatch, trained):
    """The demo with one network instead of five, since most of its time is compilation."""
    nearest = lambda data: dict.fromkeys(COMPLETERS, NearestNeighbour(data.train_images))
    monkeypatch.setattr(training, "train_in_memory", lambda *arguments: trained)
    monkeypatch.setattr(demo, "completers", nearest)


def test_the_row_of_the_table(trained, dataset):
    row, evaluation = trained.summary(), trained.evaluation
    assert row.keys() == ROW
    assert row["test_accuracy"] == np.mean(np.asarray(evaluation.predictions) == dataset.test_labels)
    assert row["iterations_mean"] == pytest.approx(np.mean(evaluation.iterations))
    assert len(trained.losses) == 1
    assert 0 < row["training_seconds"] < row["seconds"]


@pytest.mark.slow
@pytest.mark.usefixtures("miniature")
def test_the_command_writes_json_and_figures(tmp_path, capsys):
    assert run(["demo", "--out", str(tmp_path / "figures"), "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    default = result["models"].pop("default")
    assert default["network"] == "HAM-EO"
    assert default["iterations_mean"] <= result["models"]["HAM-EO"]["iterations_mean"]
    assert list(result["models"]) == ["HAM", "HAM-DEQ", "HAM-EO", "HAM-EO-DEQ"]
    assert all(row.keys() >= ROW for row in result["models"].values())
    assert default["relaxation_seconds"] > 0
    assert [*result["completion"]] == [*result["recall"]]
    assert all(row.keys() == {*COMPLETERS} for row in result["completion"].values())
    assert all(
        row["mse_after"] < row["mse_mean_image"] < row["mse_before"] for row in result["recall"].values()
    )
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"convergence.png", "completed.png"}
    assert sorted(result["figures"]) == sorted(map(str, (tmp_path / "figures").iterdir()))
    assert all(Path(path).read_bytes()[:4] == b"\x89PNG" for path in result["figures"])


@pytest.mark.slow
def test_networks_complete_unseen_digits_better_than_the_nearest_digit(dataset):
    methods = demo.completers(dataset)
    assert methods.keys() == {*COMPLETERS}
    for known in corruption_masks(len(dataset.test_labels), dataset.image_shape).values():
        squares = {
            name: np.square(one.complete(dataset.test_images, known) - dataset.test_images).sum()
            for name, one in methods.items()
        }
        assert squares["trained"] == min(squares.values())
        assert squares["nearest"] == max(squares.values())


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(["demo", "--out", str(tmp_path / "file")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "--out" in printed.err


def test_the_recipe_differs_from_that_of_the_paper_as_documented():
    recipe, paper = demo.small_recipe("HAM-EO"), demo.recipes.goemaere2023((64, 128, 10), "HAM-EO")
    changed = {name for name, value in recipe.config().items() if value != paper.config()[name]}
    assert changed == {"epochs", "batch_size", "learning_rate", "final_learning_rate_fraction"}


def test_each_digit_is_there_three_times_shifted_by_a_pixel(dataset):
    wide, count = demo.add_shifted_images(dataset), len(dataset.train_labels)
    left, still, right = wide.train_images.reshape(3, count, 8, 8)
    images = dataset.train_images.reshape(count, 8, 8)
    assert np.array_equal(still, images)
    assert np.array_equal(left[:, :, :-1], images[:, :, 1:])
    assert np.array_equal(right[:, :, 1:], images[:, :, :-1])
    assert not left[:, :, -1].any()
    assert not right[:, :, 0].any()
    assert np.array_equal(wide.train_labels.reshape(3, count), [dataset.train_labels] * 3)
    assert np.array_equal(wide.test_images, dataset.test_images)


def test_corruption_masks_erase_what_their_names_say():
    known = corruption_masks(50, (8, 8))
    top, scattered = known["top half"].reshape(50, 8, 8), known["30 % of pixels"]
    assert not top[:, :4].any()
    assert top[:, 4:].all()
    assert set((~scattered).sum(axis=1)) == {19}  # of 64, 30 %
    assert len({tuple(row) for row in scattered}) == 50


def test_the_first_index_of_each_class():
    labels = np.array([3, 1, 3, 0, 1], np.int32)
    assert first_of_each_class(labels, 4) == [3, 1, 0]


def test_the_memory_compares_by_distance():
    patterns = np.random.Generator(np.random.Philox(1)).random((5, 7), np.float32)
    memory, state = demo.digit_memory(patterns, beta=2.0), jnp.linspace(0, 1, 7, dtype=jnp.float32)
    drive = memory.drive({"memory": jnp.zeros(5, jnp.float32), "visible": state}, ["memory"])["memory"]
    answer = memory.layers["memory"].lagrangian.activation(drive)
    distances = ((patterns - np.asarray(state)) ** 2).sum(axis=1)
    assert np.allclose(answer, np.exp(-distances) / np.exp(-distances).sum(), rtol=1e-5)
    assert isinstance(memory.layers["visible"].lagrangian, lagrangians.Identity)


def test_a_memory_at_high_beta_completes_its_patterns_and_keeps_known_pixels(dataset):
    few = dataclasses.replace(
        dataset,
        train_images=dataset.train_images[:20],
        train_labels=dataset.train_labels[:20],
        test_images=dataset.train_images[:20],
        test_labels=dataset.train_labels[:20],
    )
    known = corruption_masks(20, (8, 8))["30 % of pixels"]
    digits = demo.recall(demo.digit_memory(few.train_images, beta=50.0), few, known)
    assert np.array_equal(digits.recalled[known], few.test_images[known])
    assert np.allclose(digits.recalled, few.test_images, atol=1e-3)
    assert digits.right.all()
    assert np.array_equal(np.isnan(digits.erased), ~known)
