"""The memory as a transformer: scikit-learn's own checks, and that it recalls as `hopfax.Memory` does."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from hopfax import Memory
from hopfax.interop.sklearn import HopfieldMemory

PATTERNS = 3 * np.eye(6)


@pytest.mark.filterwarnings("default")
@parametrize_with_checks([HopfieldMemory()])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_transform_recalls_patterns_as_the_memory_does():
    fitted = HopfieldMemory(beta=2.0).fit(PATTERNS)
    noisy = PATTERNS + 0.2 * np.random.Generator(np.random.Philox(0)).normal(size=PATTERNS.shape)
    expected = Memory.store(PATTERNS, 2.0).recall(noisy)
    np.testing.assert_allclose(fitted.transform(noisy), expected.state, atol=1e-6)
    np.testing.assert_allclose(fitted.transform(noisy), PATTERNS, atol=1e-2)
    assert fitted.beta_ == 2.0


def test_missing_values_are_filled_in():
    fitted = HopfieldMemory().fit(PATTERNS)
    parts = np.where(np.arange(6) < 3, PATTERNS, np.nan)[:3]
    found = fitted.recall(parts, known=(~np.isnan(parts)).tolist())
    np.testing.assert_array_equal(found.index, [0, 1, 2])
    np.testing.assert_allclose(found.state, PATTERNS[:3], atol=0.05)
    with pytest.raises(ValueError, match="NaN"):
        fitted.recall(parts)


@pytest.mark.filterwarnings("default")
def test_a_search_over_beta_in_a_pipeline():
    """Recall makes noisy copies of a pattern alike, so that the nearest neighbour is right."""
    generator = np.random.Generator(np.random.Philox(1))
    labels = np.arange(24) % 2
    rows = np.where(labels[:, None], 1.0, -1.0) + 0.1 * generator.normal(size=(24, 3))
    pipeline = make_pipeline(HopfieldMemory(), KNeighborsClassifier(1))
    search = GridSearchCV(pipeline, {"hopfieldmemory__beta": [5.0, 10.0]}, cv=2).fit(rows, labels)
    assert search.best_score_ == 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"beta": -1.0}, "beta"),
        ({"beta": "cold"}, "auto"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"max_steps": 0}, "max_steps"),
    ],
)
def test_parameters_are_checked(settings, told):
    with pytest.raises(ValueError, match=told):
        HopfieldMemory(**settings).fit(PATTERNS)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match="known"):
        HopfieldMemory(beta=1.0).fit(PATTERNS).recall(PATTERNS, known=[True, False])
