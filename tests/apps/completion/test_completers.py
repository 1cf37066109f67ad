"""The completers against brute force and closed forms, the damages, and the benchmark's numbers."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from hopfax.apps.completion import UNTRAINED, MLPRecipe, Training, benchmark, by_number, damage
from hopfax.apps.completion.benchmark import Damaged
from hopfax.apps.completion.completers import GaussianMixture, LinearGaussian, NearestNeighbour
from hopfax.apps.completion.trained import (
    completion_recipe,
    trained_mlp,
    trained_network,
    trained_vae,
    vae_config,
)
from hopfax.data import digits
from hopfax.training.completion_job import IMPLICIT

STORED = np.random.default_rng(0).random((40, 6)).astype(np.float32)
QUERIES = np.random.default_rng(1).random((9, 6)).astype(np.float32)
KNOWN = np.random.default_rng(2).random((9, 6)) < 0.6
SMALL = dataclasses.replace(
    digits(), train_images=digits().train_images[:200], train_labels=digits().train_labels[:200]
)


def test_the_linear_gaussian_is_the_conditional_mean():
    """In terms of the precision matrix P the mean of the missing pixels is `m - P_uu^-1 P_uk (x_k - m_k)`."""
    completer = LinearGaussian(STORED)
    precision = np.linalg.inv(completer.covariance)
    for query, known, completed in zip(QUERIES, KNOWN, completer.complete(QUERIES, KNOWN), strict=True):
        residual = (query - completer.mean)[known]
        step = np.linalg.solve(precision[np.ix_(~known, ~known)], precision[np.ix_(~known, known)] @ residual)
        np.testing.assert_allclose(completed[~known], completer.mean[~known] - step, rtol=1e-4, atol=1e-5)


def test_the_mixture_is_the_conditional_mean():
    """The mean of a missing pixel is the ratio of two sums of the joint density over a fine grid."""
    completer = GaussianMixture(STORED, components=3, shrinkage=5.0, temperature=1.0)
    weights = np.exp(completer.logs)
    grid = np.linspace(-4, 5, 20_001)
    for query in QUERIES:
        known = np.arange(6) != 2
        points = np.tile(query, (len(grid), 1))
        points[:, 2] = grid
        density = sum(
            weight * multivariate_normal(mean, covariance).pdf(points)
            for weight, mean, covariance in zip(weights, completer.means, completer.covariances, strict=True)
        )
        completed = completer.complete(query[None], known[None])[0, 2]
        np.testing.assert_allclose(completed, grid @ density / density.sum(), atol=1e-4)


def test_a_mixture_of_one_is_the_linear_gaussian():
    one = GaussianMixture(STORED, components=1, shrinkage=1e9, ridge=1e-3)
    np.testing.assert_allclose(
        one.complete(QUERIES, KNOWN), LinearGaussian(STORED).complete(QUERIES, KNOWN), atol=1e-5
    )


@pytest.mark.parametrize(("images", "components"), [(7, 7), (40, 10), (30_000, 20)])
def test_there_is_a_component_for_every_1500_images_and_at_least_ten(images, components):
    stored = np.random.default_rng(3).random((images, 3)).astype(np.float32)
    assert len(GaussianMixture(stored).means) == components


def test_denoising_by_the_gaussian_is_the_mean_given_a_noisy_observation():
    completer, deviation = LinearGaussian(STORED), 0.3
    precision = np.linalg.inv(completer.covariance)
    both = precision + np.eye(6) / deviation**2
    right = precision @ completer.mean + QUERIES / deviation**2
    expected = np.linalg.solve(both, right.T).T
    np.testing.assert_allclose(completer.denoise(QUERIES, deviation), expected, rtol=1e-4, atol=1e-5)


def test_the_nearest_neighbour_is_nearest_in_the_known_pixels():
    completed = NearestNeighbour(STORED).complete(QUERIES, KNOWN)
    for query, known, row in zip(QUERIES, KNOWN, completed, strict=True):
        distances = np.sum(np.square((STORED - query)[:, known]), axis=1)
        np.testing.assert_array_equal(row[~known], STORED[np.argmin(distances)][~known])


@pytest.mark.parametrize("name", UNTRAINED)
def test_known_pixels_stay_and_missing_ones_have_no_influence(name):
    completer = UNTRAINED[name](STORED)
    completed = completer.complete(QUERIES, KNOWN)
    np.testing.assert_array_equal(completed[KNOWN], QUERIES[KNOWN])
    other = completer.complete(np.where(KNOWN, QUERIES, 0.5).astype(np.float32), KNOWN)
    np.testing.assert_allclose(other, completed, rtol=1e-5, atol=1e-6)


def test_damages_hit_the_pixels_that_their_names_say():
    images = np.random.default_rng(3).random((5, 64)).astype(np.float32)
    damaged = damage(images, (8, 8))
    missing = {name: one.known for name, one in damaged.items() if one.known is not None}
    counts = {name: set((~known).sum(axis=1).tolist()) for name, known in missing.items()}
    assert counts == {"30 %": {19}, "70 %": {45}, "top half": {32}, "centre block": {16}}
    assert not missing["top half"][:, :32].any()
    assert not missing["centre block"].reshape(-1, 8, 8)[:, 2:6, 2:6].any()
    assert np.std(damaged["Gaussian noise"].images - images) == pytest.approx(0.3, rel=0.2)


def test_the_error_is_that_of_a_damaged_pixel():
    one = Damaged(np.ones((1, 4)), np.zeros((1, 4)), np.array([[True, False, False, True]]))
    np.testing.assert_allclose(one.errors(np.array([[9.0, 0.5, 1.0, 9.0]])), [0.125])
    noisy = Damaged(np.ones((1, 4)), np.zeros((1, 4)), None)
    np.testing.assert_allclose(noisy.errors(np.array([[0.0, 1.0, 1.0, 1.0]])), [0.25])


def test_stored_images_come_back_and_more_of_them_help_with_unseen_ones():
    rows = list(by_number(SMALL, ["mean", "nearest"], [2, 100], tested=30))
    error = {
        (row["method"], row["stored"], row["images"]): row["masks"]["30 %"]["error_per_pixel"] for row in rows
    }
    assert error["nearest", 100, "stored"] == 0
    assert error["nearest", 100, "unseen"] < error["nearest", 2, "unseen"]
    assert error["nearest", 100, "unseen"] < error["mean", 100, "unseen"]


@pytest.mark.slow
def test_trained_methods_beat_the_mean_image(tmp_path):
    training = Training(tmp_path, 1, 2, MLPRecipe(width=64, epochs=20))
    names = ["mean", "ham-ep", "ham-implicit", "vae", "mlp"]
    result = {name: masks for name, _, masks in benchmark(digits(), names, training, tested=50)}
    for name in names[1:]:
        for kind in ("30 %", "top half"):
            assert result[name][kind]["error_per_pixel"] < result["mean"][kind]["error_per_pixel"]
    assert result["ham-ep"]["Gaussian noise"] is None
    assert {path.name for path in tmp_path.iterdir()} == {"ham-ep", "ham-implicit", "vae"}


@pytest.mark.slow
def test_trained_methods_keep_known_pixels(tmp_path):
    images = digits().test_images[:9]
    known = np.random.default_rng(4).random(images.shape) < 0.5
    methods = [
        trained_network(completion_recipe(SMALL, IMPLICIT, 1, 0), SMALL, tmp_path / "network"),
        trained_vae(vae_config(SMALL, 1, 0), SMALL, tmp_path / "vae"),
        trained_mlp(MLPRecipe(width=8, epochs=1), SMALL),
    ]
    for method in methods:
        np.testing.assert_array_equal(method.complete(images, known)[known], images[known])
