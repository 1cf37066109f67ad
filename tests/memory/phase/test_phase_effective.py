"""The effective inverse temperature, in both its forms, for equidistant patterns and for any others."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax.memory import phase

PATTERNS = jr.normal(jr.key(1), (5, 4))
BETA = 1.7


def test_effective_beta_in_both_forms_and_back():
    beta, norm, cosine = 1.3, 2.0, 0.3
    distance = norm * np.sqrt(2 * (1 - cosine))
    effective = phase.effective_beta(beta, norm, cosine)
    assert effective == pytest.approx(phase.effective_beta_from_distance(beta, float(distance)), rel=1e-14)
    assert phase.beta_for_effective(effective, norm, cosine) == pytest.approx(beta, rel=1e-14)


def test_mean_field_beta_is_exact_for_equidistant_patterns():
    patterns = phase.equidistant_patterns(5, 7, 2.0, 0.3, jr.key(0))
    expected = phase.effective_beta(1.3, 2.0, 0.3)
    np.testing.assert_allclose(phase.mean_field_beta(patterns, 1.3), expected, rtol=1e-12)


def test_mean_field_beta_is_the_mean_over_pairs():
    rows, columns = np.triu_indices(len(PATTERNS), 1)
    squares = jnp.sum((PATTERNS[rows] - PATTERNS[columns]) ** 2, axis=1)
    np.testing.assert_allclose(
        phase.mean_field_beta(PATTERNS, BETA), BETA * jnp.mean(squares) / 2, rtol=1e-13
    )
    beta = phase.beta_for_mean_field(PATTERNS, 3.0)
    np.testing.assert_allclose(phase.mean_field_beta(PATTERNS, beta), 3.0, rtol=1e-13)


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_beta_is_refused(beta):
    with pytest.raises(ValueError, match="`beta` must be positive and finite"):
        phase.effective_beta(beta, 1.0, 0.0)


def test_bad_patterns_are_refused():
    with pytest.raises(ValueError, match="two rows or more"):
        phase.mean_field_beta(PATTERNS[:1], 1.0)
    with pytest.raises(ValueError, match=r"rows \[2\] hold NaN"):
        phase.mean_field_beta(PATTERNS.at[2, 0].set(jnp.nan), 1.0)
    with pytest.raises(ValueError, match="all equal"):
        phase.beta_for_mean_field(jnp.ones((3, 2)), 1.0)
