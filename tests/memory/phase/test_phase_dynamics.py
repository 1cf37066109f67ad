"""Energy, update, Jacobian, effective beta and the stability test, against autodiff and algebra."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import softmax

from hopfax.memory import phase

PATTERNS = jr.normal(jr.key(1), (5, 4))
STATES = jr.normal(jr.key(2), (6, 4))
BETA = 1.7

over_states = lambda function: jax.jit(jax.vmap(function, in_axes=(None, 0, None)))(PATTERNS, STATES, BETA)


def test_update_is_one_unit_step_down_the_energy():
    slopes = over_states(jax.grad(phase.energy, argnums=1))
    np.testing.assert_allclose(over_states(phase.update), STATES - slopes, atol=1e-14)


def test_jacobian_and_hessian_are_the_derivatives():
    derivative = over_states(jax.jacfwd(phase.update, argnums=1))
    curvature = over_states(jax.hessian(phase.energy, argnums=1))
    np.testing.assert_allclose(over_states(phase.jacobian), derivative, atol=1e-13)
    np.testing.assert_allclose(over_states(phase.hessian), curvature, atol=1e-13)


def test_energy_never_rises():
    def step(states, _):
        return jax.vmap(lambda x: phase.update(PATTERNS, x, BETA))(states), jax.vmap(
            lambda x: phase.energy(PATTERNS, x, BETA)
        )(states)

    energies = jax.lax.scan(step, STATES, length=40)[1]
    assert jnp.all(jnp.diff(energies, axis=0) <= 1e-14)


def test_entropy_runs_from_one_pattern_to_all():
    entropy = jax.jit(phase.association_entropy)
    np.testing.assert_allclose(entropy(jnp.eye(4), jnp.zeros(4), 1.0), np.log(4), rtol=1e-15)
    assert entropy(jnp.eye(4), jnp.eye(4)[0], 1e6) == 0
    p = over_states(phase.association)
    np.testing.assert_allclose(over_states(phase.association_entropy), -jnp.sum(p * jnp.log(p), axis=1))


def test_eigenvalue_from_either_gram_side_and_without_a_matrix():
    def three_ways(patterns):
        state = phase.update(patterns, patterns[0], 0.5)
        whole = jnp.linalg.eigvalsh(phase.jacobian(patterns, state, 0.5))[-1]
        free = phase.largest_eigenvalue_matrix_free(patterns, state, 0.5, rtol=1e-12)
        return whole, phase.largest_eigenvalue(patterns, state, 0.5), free

    for patterns in (PATTERNS, PATTERNS[:3]):  # more patterns than dimensions, and fewer
        whole, gram, free = jax.jit(three_ways)(patterns)
        np.testing.assert_allclose(gram, whole, rtol=1e-12)
        np.testing.assert_allclose(free, whole, rtol=1e-9)


def test_equal_patterns_have_no_direction_to_leave_by():
    patterns = jnp.ones((3, 2))
    assert jax.jit(phase.largest_eigenvalue)(patterns, patterns[0], 5.0) == 0
    assert jax.jit(phase.largest_eigenvalue_matrix_free)(patterns, patterns[0], 5.0) == 0


def test_minimum_is_a_fixed_point_with_all_eigenvalues_below_one():
    patterns, centroid = jnp.eye(6), jnp.full(6, 1 / 6)
    is_minimum = jax.jit(phase.is_minimum)
    assert is_minimum(patterns, centroid, 5.99)
    assert not is_minimum(patterns, centroid, 6.01)
    assert not is_minimum(patterns, patterns[0], 4.0)  # low curvature, yet no fixed point


def test_settling_reaches_a_fixed_point_or_says_that_it_did_not():
    rest = phase.settle(PATTERNS, STATES[0], BETA)
    assert rest.converged
    following = np.asarray(PATTERNS).T @ softmax(BETA * np.asarray(PATTERNS @ rest.state))
    np.testing.assert_allclose(following, rest.state, atol=1e-11)
    hurried = phase.settle(PATTERNS, STATES[0], BETA, max_steps=2)
    assert not hurried.converged
    assert hurried.steps == 2


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
    for function in (phase.energy, phase.update, phase.association, phase.largest_eigenvalue, phase.settle):
        with pytest.raises(ValueError, match="`beta` must be positive and finite"):
            function(PATTERNS, STATES[0], beta)
    with pytest.raises(ValueError, match="`beta`"):
        phase.effective_beta(beta, 1.0, 0.0)


def test_bad_patterns_are_refused():
    with pytest.raises(ValueError, match="two rows or more"):
        phase.mean_field_beta(PATTERNS[:1], 1.0)
    with pytest.raises(ValueError, match=r"rows \[2\] hold NaN"):
        phase.mean_field_beta(PATTERNS.at[2, 0].set(jnp.nan), 1.0)
    with pytest.raises(ValueError, match="all equal"):
        phase.beta_for_mean_field(jnp.ones((3, 2)), 1.0)


def test_order_parameter_is_the_difference_of_the_two_shares():
    found = phase.branches(6, 5.0)
    state = jnp.where(jnp.arange(6) == 2, found.a[1], found.b[1])
    for i in (2, None):
        np.testing.assert_allclose(phase.order_parameter(jnp.eye(6), state, 5.0, i), found.m[1], atol=1e-12)
