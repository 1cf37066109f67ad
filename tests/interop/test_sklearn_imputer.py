"""The imputer: the checks of scikit-learn, and what it fills and leaves."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from hopfax import Memory
from hopfax.interop.sklearn import HopfieldImputer
from hopfax.memory import Mahalanobis

PATTERNS = 3 * np.eye(6)
HOLES = np.where(np.arange(6) < 3, PATTERNS, np.nan)[:3]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@parametrize_with_checks([HopfieldImputer()])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_rows_with_nan_are_not_stored_and_what_is_known_stays():
    rows = np.concatenate([HOLES + 0.1, PATTERNS])
    fitted = HopfieldImputer(beta=2.0, metric=None).fit(rows)
    np.testing.assert_array_equal(fitted.memory_.patterns, PATTERNS)
    filled, known = fitted.transform(rows), ~np.isnan(rows)
    np.testing.assert_array_equal(filled[known], rows[known])
    expected = Memory.store(PATTERNS, 2.0).recall(rows[:3], known[:3]).state
    np.testing.assert_allclose(filled[:3], expected, atol=1e-6)
    np.testing.assert_allclose(filled[:3, 3:], PATTERNS[:3, 3:], atol=0.1)


@pytest.mark.slow
def test_the_default_is_a_memory_with_a_metric():
    mixing = np.random.default_rng(0).normal(size=(3, 6))
    rows = np.random.default_rng(1).normal(size=(200, 3)) @ mixing
    known = np.random.default_rng(2).random((20, 6)) < 0.7
    holes = np.where(known, rows[:20], np.nan)
    fitted = HopfieldImputer().fit(rows[20:])
    expected = Memory.store(rows[20:], fitted.beta_, metric=Mahalanobis()).recall(holes, known).state
    filled = fitted.transform(holes)
    np.testing.assert_allclose(filled, expected, atol=1e-6)
    plain = HopfieldImputer(metric=None).fit(rows[20:]).transform(holes)
    error = lambda filled: np.sum(np.square(filled - rows[:20]))
    assert error(filled) < 0.7 * error(plain)


def test_rows_are_filled_each_by_itself_and_a_row_without_values_becomes_an_average():
    fitted = HopfieldImputer().fit(PATTERNS)
    unknown = np.full((1, 6), np.nan)
    together = fitted.transform(np.concatenate([HOLES, unknown]))
    np.testing.assert_allclose(together[:3], fitted.transform(HOLES), atol=1e-6)
    np.testing.assert_allclose(together[3], PATTERNS.mean(axis=0), atol=1e-2)


def test_after_a_scaler_that_passes_nan_on():
    rows = np.concatenate([HOLES, PATTERNS]) * np.arange(1, 7)
    filled = make_pipeline(StandardScaler(), HopfieldImputer()).fit_transform(rows)
    assert np.isfinite(filled).all()


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (np.concatenate([HOLES, PATTERNS[:1]]), {}, "1 rows without NaN among 4.*two or more"),
        (np.where(PATTERNS > 0, np.inf, 0.0), {}, "infinity"),
        (PATTERNS, {"beta": "cold"}, "HopfieldImputer.*auto"),
        (PATTERNS, {"max_steps": 0}, "max_steps"),
        (PATTERNS, {"metric": "cosine"}, r"metric='cosine'.*Mahalanobis"),
    ],
)
def test_what_cannot_be_stored_is_refused(rows, settings, message):
    with pytest.raises(ValueError, match=message):
        HopfieldImputer(**settings).fit(rows)
