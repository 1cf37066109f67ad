"""The memory as a transformer: the checks of scikit-learn, and the same recall as `hopfax.Memory`."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from hopfax import Memory
from hopfax.interop.sklearn import HopfieldMemory

PATTERNS = 3 * np.eye(6)
UNKNOWN = "NaN in a query is an unknown element; `fit` and infinite values are refused, as tested below"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@parametrize_with_checks(
    [HopfieldMemory()], expected_failed_checks=lambda estimator: {"check_estimators_nan_inf": UNKNOWN}
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_transform_recalls_patterns_as_the_memory_does():
    fitted = HopfieldMemory(beta=2.0).fit(PATTERNS)
    noisy = PATTERNS + 0.2 * np.random.Generator(np.random.Philox(0)).normal(size=PATTERNS.shape)
    expected = Memory.store(PATTERNS, 2.0).recall(noisy)
    np.testing.assert_allclose(fitted.transform(noisy), expected.state, atol=1e-6)
    np.testing.assert_allclose(fitted.transform(noisy), PATTERNS, atol=1e-2)
    assert fitted.beta_ == 2.0


def test_transform_takes_nan_as_unknown_row_by_row():
    fitted = HopfieldMemory().fit(PATTERNS)
    halves = np.where(np.arange(6) < 3, PATTERNS, np.nan)[:3] + 0.1
    both = np.concatenate([halves, PATTERNS + 0.1])
    recalled = fitted.transform(both)
    np.testing.assert_allclose(recalled[:3], PATTERNS[:3], atol=0.05)
    np.testing.assert_allclose(recalled[3:], fitted.transform(PATTERNS + 0.1), atol=1e-6)
    for refused in (np.inf, -np.inf):
        with pytest.raises(ValueError, match="infinity"):
            fitted.transform(np.where(np.isnan(both), refused, both))
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit(both)


def test_missing_values_are_completed():
    fitted = HopfieldMemory().fit(PATTERNS)
    halves = np.where(np.arange(6) < 3, PATTERNS, np.nan)[:3]
    recalled = fitted.recall(halves, known=(~np.isnan(halves)).tolist())
    np.testing.assert_array_equal(recalled.index, [0, 1, 2])
    np.testing.assert_allclose(recalled.state, PATTERNS[:3], atol=0.05)
    with pytest.raises(ValueError, match="NaN"):
        fitted.recall(halves)


@pytest.mark.filterwarnings("default")
def test_a_search_over_beta_in_a_pipeline():
    """Recall maps noisy copies of a pattern to the same state, so that the nearest neighbour has the right label."""
    generator = np.random.Generator(np.random.Philox(1))
    labels = np.arange(24) % 2
    rows = np.where(labels[:, None], 1.0, -1.0) + 0.1 * generator.normal(size=(24, 3))
    pipeline = make_pipeline(HopfieldMemory(), KNeighborsClassifier(1))
    search = GridSearchCV(pipeline, {"hopfieldmemory__beta": [5.0, 10.0]}, cv=2).fit(rows, labels)
    assert search.best_score_ == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": -1.0}, "beta"),
        ({"beta": "cold"}, "auto"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_parameters_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        HopfieldMemory(**settings).fit(PATTERNS)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match="known"):
        HopfieldMemory(beta=1.0).fit(PATTERNS).recall(PATTERNS, known=[True, False])
