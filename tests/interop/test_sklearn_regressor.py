"""The regressor: the checks of scikit-learn, units, several targets, weights, early stopping."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import hopfax
from hopfax.interop.sklearn import HAMRegressor

SMALL = HAMRegressor((8,), epochs=30, learning_rate=0.02, random_state=0)
REPEATED = (
    "examples are taken in random order, so a weight of 2 is not the same as an example that occurs twice"
)
X = np.random.Generator(np.random.Philox(0)).normal(size=(200, 3))
Y = np.sin(X[:, 0]) + X[:, 1] * (X[:, 2] > 0)


def changed(**settings):
    """A small regressor with other settings."""
    return HAMRegressor(**{**SMALL.get_params(), **settings})


def expected_to_fail(estimator):
    kinds = ("dense", "sparse")
    return {f"check_sample_weight_equivalence_on_{kind}_data": REPEATED for kind in kinds}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@parametrize_with_checks([SMALL], expected_failed_checks=expected_to_fail)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_predictions_follow_a_change_of_units():
    fitted = SMALL.fit(X, Y)
    assert fitted.score(X, Y) > 0.7
    predicted = fitted.predict(X)
    np.testing.assert_allclose(SMALL.fit(X, 1e6 + 1e3 * Y).predict(X), 1e6 + 1e3 * predicted, rtol=1e-4)


def test_predictions_are_the_scaled_activation_at_the_equilibrium():
    fitted = changed(epochs=2).fit(X, Y)
    equilibrium = hopfax.relax(
        fitted.network_, {"input": X[:5].astype(np.float32)}, method=hopfax.Method(rtol=1e-6)
    )
    expected = Y.mean() + Y.std() * np.asarray(equilibrium.activation["output"])[:, 0]
    np.testing.assert_allclose(fitted.predict(X[:5]), expected, atol=5e-3)


def test_a_constant_target_is_predicted():
    np.testing.assert_allclose(changed(epochs=20).fit(X, np.full(200, 5.0)).predict(X), 5.0, atol=0.5)


def test_several_targets_keep_their_shape_and_their_number():
    both = np.column_stack([Y, -2 * Y])
    fitted = changed(epochs=2).partial_fit(X, both)
    assert fitted.predict(X[:7]).shape == (7, 2)
    with pytest.raises(ValueError, match="keep their number"):
        fitted.partial_fit(X, Y)


def test_weights_decide_between_contradicting_targets():
    twice, opposite = np.concatenate([X, X]), np.concatenate([Y, -Y])
    weights = np.repeat([1.0, 0.01], 200)
    assert SMALL.fit(twice, opposite, weights).score(X, Y) > 0.6


def test_early_stopping_returns_the_network_with_the_best_score():
    stopped = changed(epochs=300, early_stopping=True, n_iter_no_change=3).fit(X, Y)
    scores = stopped.validation_scores_
    assert stopped.n_iter_ == len(scores) == np.argmax(scores) + 1 + 3
    with pytest.raises(ValueError, match="early_stopping=False"):
        changed(early_stopping=True).partial_fit(X, Y)
