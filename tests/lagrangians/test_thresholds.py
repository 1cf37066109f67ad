"""Sparse separations against the problems that define them: conditions of the optimum, and brute force."""

import functools as ft
import itertools

import equinox as eqx
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import minimize

from hopfax import Layer
from hopfax.lagrangians import Entmax, KSubsets, Normmax, Sparsemax
from hopfax.lagrangians.thresholds import Power

STATES = np.asarray(1.5 * jr.normal(jr.key(0), (6, 5)))
BETA = 1.3
SPARSE = {
    "sparsemax": Sparsemax,
    "entmax": ft.partial(Entmax, 1.5),
    "normmax": ft.partial(Normmax, 2.0),
    "normmax4": ft.partial(Normmax, 4.0),
    "subsets": ft.partial(KSubsets, 2),
    "subsets3": ft.partial(KSubsets, 3),
}
sparse = pytest.mark.parametrize("separation", SPARSE.values(), ids=SPARSE)


@eqx.filter_jit
def activations(lagrangian, states):
    return jax.vmap(lagrangian.activation)(states)


def conjugate(lagrangian, p):
    """`beta L*` at weights `p`, as the docstrings write it."""
    if isinstance(lagrangian, Normmax):
        return np.sum(p**lagrangian.alpha) ** (1 / lagrangian.alpha) - 1
    return (getattr(lagrangian, "k", 1) * np.sum(p**2) - 1) / 2


@pytest.mark.parametrize(
    "separation",
    [Sparsemax, ft.partial(Normmax, 2.0), ft.partial(Normmax, 4.0), ft.partial(KSubsets, 2)],
    ids=str,
)
def test_weights_solve_the_problem_that_defines_them(separation):
    """Against SciPy's SLSQP, which knows nothing of thresholds."""
    lagrangian = separation(BETA)
    top = 1 / getattr(lagrangian, "k", 1)
    for state, g in zip(STATES[:3], np.asarray(activations(lagrangian, STATES))[:3], strict=True):
        value = lambda p, s=state: conjugate(lagrangian, np.abs(p)) - BETA * p @ s
        optimum = minimize(
            value,
            np.full(5, 0.2),
            bounds=[(0, top)] * 5,
            constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
            options={"ftol": 1e-14, "maxiter": 500},
        )
        assert value(g) <= optimum.fun + 1e-9
        np.testing.assert_allclose(g, optimum.x, atol=1e-4)


def projection_onto_subsets(z, k):
    """`y` nearest to `z` with `0 <= y <= 1` and `Σ y = k`, by trying every set of ones and of zeros."""
    best, least = None, np.inf
    for kinds in itertools.product((0, 1, 2), repeat=len(z)):
        kinds = np.array(kinds)
        y, free = (kinds == 1).astype(float), kinds == 2
        if free.any():
            y[free] = z[free] + (k - y.sum() - z[free].sum()) / free.sum()
        if abs(y.sum() - k) < 1e-9 and y.min() >= -1e-12 and y.max() <= 1 + 1e-12:
            distance = np.sum((y - z) ** 2)
            best, least = (y, distance) if distance < least else (best, least)
    return best


@settings(max_examples=10, deadline=None)
@given(state=hnp.arrays(np.float64, 5, elements=st.floats(-3, 3)))
def test_subsets_are_the_projection_found_by_brute_force(state):
    for k in (1, 2, 3):
        g = activations(KSubsets(k, BETA), state[None])[0]
        np.testing.assert_allclose(k * np.asarray(g), projection_onto_subsets(BETA * state, k), atol=1e-12)


def test_at_large_beta_the_value_is_that_of_the_best_of_all_subsets():
    for k in (2, 3):
        sums = [sum(STATES[:, i] for i in subset) / k for subset in itertools.combinations(range(5), k)]
        lagrangian = KSubsets(k, 1e6)
        np.testing.assert_allclose(jax.vmap(lagrangian)(STATES), np.max(sums, axis=0), rtol=1e-5)
        assert set(np.unique(np.round(k * np.asarray(activations(lagrangian, STATES)), 9))) == {0, 1}


def test_special_cases():
    near = ft.partial(np.testing.assert_allclose, atol=1e-12)
    near(activations(KSubsets(1, BETA), STATES), activations(Sparsemax(BETA), STATES))
    near(activations(KSubsets(5, BETA), STATES), np.full(STATES.shape, 0.2))
    # At large alpha all positive weights are equal: each 1 / n within 1 / alpha.
    flat = np.asarray(activations(Normmax(200.0, BETA), STATES))
    support = np.sum(flat > 0, axis=1, keepdims=True)
    assert np.max(np.abs(flat - (flat > 0) / support)) < 0.02


@pytest.mark.parametrize("separation", [v for k, v in SPARSE.items() if "subsets" not in k], ids=str)
def test_a_lead_of_the_margin_takes_all_the_weight_and_a_smaller_one_does_not(separation):
    lagrangian = separation(BETA)
    lead = lagrangian.margin / BETA
    states = np.array([[0, lead * 1.001, -0.3, 0], [0, lead * 0.98, -0.3, 0]])
    weights = np.asarray(activations(lagrangian, states))
    np.testing.assert_allclose(weights[0], [0, 1, 0, 0], atol=1e-14)
    assert np.count_nonzero(weights[1]) == 3


@sparse
def test_neurons_far_below_change_nothing_and_large_states_keep_their_digits(separation):
    """Padding has no weight; the states of a large common part lose only the digits of their inputs."""
    lagrangian = separation(BETA)
    padded = np.concatenate([STATES, np.full((6, 3), -1e30)], axis=1)
    both = activations(lagrangian, STATES), activations(lagrangian, padded)
    np.testing.assert_allclose(both[1], np.concatenate([both[0], np.zeros((6, 3))], axis=1), atol=1e-14)
    extremes = np.array([[1e4, 1e4, 9999.5, -1e4, 0.0], [0.0] * 5, [1e4, 0.0, 0.25, -1e4, -3.0]])
    single = activations(separation(jnp.float32(BETA)), extremes.astype(np.float32))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, activations(lagrangian, extremes), atol=2e-3)


@sparse
def test_derivatives_in_state_and_beta_are_finite_and_right(separation):
    value = lambda beta, s: separation(beta)(s)

    def derivatives(s):
        beta = jnp.asarray(BETA)
        up, down = value(beta + 1e-5, s), value(beta - 1e-5, s)
        extreme = jax.grad(lambda s: jnp.sum(jnp.arange(5) * separation(beta).activation(s)))(1e4 * s)
        return jax.grad(value)(beta, s), (up - down) / 2e-5, extreme

    slope, difference, extreme = eqx.filter_jit(jax.vmap(derivatives))(jnp.asarray(STATES))
    np.testing.assert_allclose(slope, difference, atol=1e-7)
    assert np.isfinite(extreme).all()


@pytest.mark.parametrize("power", [1 / 3, 0.5, 1.0, 10 / 7, 2.0, 5.0])
def test_two_derivatives_of_a_power_are_those_of_calculus_above_zero_and_zero_elsewhere(power):
    x = jnp.array([-1.0, 0.0, 0.3, 2.0])
    mass = Power(power)
    rates = jax.vmap(jax.grad(lambda x: mass.derivative(x)))(x)
    above = np.asarray(x)[2:]
    np.testing.assert_allclose(mass.derivative(x), [0, 0, *(power * above ** (power - 1))])
    np.testing.assert_allclose(rates, [0, 0, *(power * (power - 1) * above ** (power - 2))])


def test_a_layer_must_hold_a_subset():
    with pytest.raises(ValueError, match=r"KSubsets\(k=3\).*has 2"):
        Layer(2, KSubsets(3))
