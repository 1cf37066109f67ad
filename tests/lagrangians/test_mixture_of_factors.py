"""Laws of `MixtureOfFactors`: value, activation and energy, its special cases, and float32."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close, double, single

from hopfax.lagrangians import MixtureOfFactors, Softmax

BETA, GAIN = 1.7, 0.6
NEURONS = MixtureOfFactors(jnp.asarray(BETA, jnp.float64), jnp.asarray(GAIN, jnp.float64))
STATE = jr.normal(jr.key(0), (3, 4), jnp.float64)


def scores(state):
    return GAIN * state[:, 0] + GAIN**2 / 2 * np.sum(state[:, 1:] ** 2, axis=1)


def test_value_and_activation_are_those_of_the_formula():
    state = np.asarray(STATE)
    exponentials = np.exp(BETA * scores(state))
    probabilities = (exponentials / exponentials.sum())[:, None]
    expected = np.hstack([GAIN * probabilities, GAIN**2 * probabilities * state[:, 1:]])
    assert close(NEURONS(STATE), np.log(exponentials.sum()) / BETA)
    assert close(NEURONS.activation(STATE), expected)


def test_the_activation_is_the_gradient_and_the_energy_the_legendre_transform():
    activation = NEURONS.activation(STATE)
    assert close(jax.grad(NEURONS)(STATE), activation)
    transform = lambda state: jnp.sum(state * NEURONS.activation(state)) - NEURONS(state)
    assert close(NEURONS.energy(STATE), transform(STATE))
    assert close(jax.grad(NEURONS.energy)(STATE), jax.grad(transform)(STATE))


def test_it_is_convex():
    matrix = jax.hessian(NEURONS)(STATE).reshape(12, 12)
    assert np.linalg.eigvalsh(matrix)[0] > -1e-12


def test_without_factors_it_is_a_softmax():
    plain = MixtureOfFactors(BETA)
    column = STATE[:, :1]
    assert close(plain.activation(column)[:, 0], Softmax(BETA).activation(column[:, 0]))
    assert close(plain(column), Softmax(BETA)(column[:, 0]))
    assert close(plain.energy(column), Softmax(BETA).energy(column[:, 0]))


def test_one_group_is_linear():
    row = STATE[:1]
    assert close(
        NEURONS.activation(row), jnp.concatenate([jnp.full((1, 1), GAIN), GAIN**2 * row[:, 1:]], axis=1)
    )


def test_the_gain_multiplies_the_states():
    one = MixtureOfFactors(BETA)
    assert close(NEURONS(STATE), one(GAIN * STATE))
    assert close(NEURONS.activation(STATE), GAIN * one.activation(GAIN * STATE))
    assert close(NEURONS.energy(STATE), one.energy(GAIN * STATE))


@pytest.mark.parametrize("size", [1e-3, 0.3, 3.0])
def test_the_change_of_the_activation_is_the_difference(size):
    change = size * jr.normal(jr.key(1), STATE.shape, jnp.float64)
    activation = NEURONS.activation(STATE)
    expected = NEURONS.activation(STATE + change) - activation
    assert close(NEURONS.activation_change(STATE, activation, change), expected, 1e-11)


def test_a_small_change_of_the_activation_has_all_digits_in_float32():
    neurons, state = single(NEURONS), single(STATE)
    change = 1e-7 * jr.normal(jr.key(1), STATE.shape, jnp.float32)
    result = neurons.activation_change(state, neurons.activation(state), change)
    slope = jax.jvp(double(neurons).activation, (double(state),), (double(change),))[1]
    assert result.dtype == jnp.float32
    assert np.allclose(result, slope, rtol=1e-5, atol=2e-6 * np.max(np.abs(slope)))


@pytest.mark.parametrize("size", [0.0, 1e4])
def test_large_states_have_finite_values_and_gradients_in_float32(size):
    neurons, state = single(NEURONS), size * jnp.ones((3, 4), jnp.float32).at[0].set(-1.0)
    values = jax.value_and_grad(neurons)(state), jax.value_and_grad(neurons.energy)(state)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(values))


def test_it_is_holomorphic():
    """The derivative along the imaginary axis is `i` times that along the real one."""
    direction = jr.normal(jr.key(2), STATE.shape, jnp.float64)
    real = jax.jvp(NEURONS.activation, (STATE,), (direction,))[1]
    step = 1e-20
    along = jnp.imag(NEURONS.activation(STATE + 1j * step * direction)) / step
    assert close(along, real)


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4)])
def test_a_layer_has_two_axes(shape):
    with pytest.raises(ValueError, match=r"two axes, \(groups, 1 \+ factors\)"):
        NEURONS.check_shape(shape)
