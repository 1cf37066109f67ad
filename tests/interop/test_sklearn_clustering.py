"""Clustering by attractors: scikit-learn's checks, blobs that everybody separates, and what the patterns are."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from hopfax.interop.sklearn import HopfieldClustering

X, Y = make_blobs(300, centers=4, cluster_std=1.0, random_state=3)
SMALL = {"epochs": 20, "random_state": 0}


@pytest.mark.slow
@parametrize_with_checks([HopfieldClustering(epochs=10)])
def test_scikit_learn_finds_nothing(estimator, check):
    check(estimator)


def test_blobs_are_separated_and_each_pattern_lies_in_the_middle_of_its_own():
    fitted = HopfieldClustering(4, **SMALL).fit(X)
    assert adjusted_rand_score(Y, fitted.labels_) > 0.95
    means = [X[fitted.labels_ == label].mean(axis=0) for label in range(4)]
    np.testing.assert_allclose(fitted.cluster_centers_, means, atol=0.5)


def test_rows_are_assigned_as_in_fit_and_patterns_belong_to_themselves():
    fitted = HopfieldClustering(4, **SMALL).fit(X)
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    np.testing.assert_array_equal(fitted.predict(fitted.cluster_centers_), np.arange(4))


def test_units_do_not_matter():
    labels = [HopfieldClustering(4, **SMALL).fit(scale * X).labels_ for scale in (1.0, 64.0)]
    assert adjusted_rand_score(*labels) > 0.98


def test_equal_random_states_have_equal_results():
    first, second = (HopfieldClustering(3, **SMALL).fit(X).cluster_centers_ for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_clusters": 301}, "n_clusters=301.*n_samples=300"),
        ({"n_clusters": 0}, "n_clusters=0"),
        ({"beta": "low"}, "beta='low'"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"steps": 0}, "steps=0"),
        ({"epochs": 0.5}, "epochs=0.5"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        HopfieldClustering(**settings).fit(X)
