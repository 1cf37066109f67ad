"""Laws of Lagrangians: convexity, Legendre duality, closed forms, and accuracy in float32."""

import equinox as eqx
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from jax.test_util import check_grads
from problems import close, double, single

from hopfax.costs import SquaredError
from hopfax.lagrangians import (
    AlongAxis,
    Entmax,
    Exponential,
    HardSigmoid,
    Identity,
    KSubsets,
    LayerNorm,
    Linear,
    Normmax,
    Polynomial,
    ReLU,
    Sigmoid,
    Softmax,
    Softmax1,
    Sparsemax,
    SphericalNorm,
    StandardisedInput,
    Tanh,
)
from hopfax.lagrangians.base import ClampedLagrangian
from hopfax.lagrangians.nudged import NudgedLagrangian

SLOPE, CENTRE, GAIN, SHIFT, EPS = 1.7, 0.3, 1.3, -0.4, 0.01


def parameter(value):
    """A trained parameter: a float64 array that promotes, unlike the weakly typed `jnp.asarray(value)`."""
    return jnp.asarray(value, jnp.float64)


def standardised(s):
    return (s - s.mean()) / np.sqrt(s.var() + EPS)


# Each Lagrangian with its textbook value and activation, in plain NumPy.
CASES = {
    "identity": (Identity(), lambda s: np.sum(s**2) / 2, lambda s: s),
    "linear": (Linear(GAIN), lambda s: GAIN * np.sum(s**2) / 2, lambda s: GAIN * s),
    "standardised": (
        StandardisedInput(CENTRE, SLOPE),
        lambda s: np.sum((s - CENTRE) ** 2) / (2 * SLOPE),
        lambda s: (s - CENTRE) / SLOPE,
    ),
    "sigmoid": (
        Sigmoid(parameter(SLOPE), parameter(CENTRE)),
        lambda s: np.sum(np.log(1 + np.exp(SLOPE * (s - CENTRE)))) / SLOPE,
        lambda s: 1 / (1 + np.exp(-SLOPE * (s - CENTRE))),
    ),
    "tanh": (
        Tanh(parameter(SLOPE)),
        lambda s: np.sum(np.log(np.cosh(SLOPE * s))) / SLOPE,
        lambda s: np.tanh(SLOPE * s),
    ),
    "relu": (ReLU(), lambda s: np.sum(np.maximum(s, 0) ** 2) / 2, lambda s: np.maximum(s, 0)),
    "hard_sigmoid": (
        HardSigmoid(),
        lambda s: np.sum(np.select([s < 0, s < 1], [0, s**2 / 2], s - 1 / 2)),
        lambda s: np.clip(s, 0, 1),
    ),
    "softmax": (
        Softmax(parameter(SLOPE)),
        lambda s: np.log(np.sum(np.exp(SLOPE * s))) / SLOPE,
        lambda s: np.exp(SLOPE * s) / np.sum(np.exp(SLOPE * s)),
    ),
    "softmax1": (
        Softmax1(parameter(SLOPE)),
        lambda s: np.log(1 + np.sum(np.exp(SLOPE * s))) / SLOPE,
        lambda s: np.exp(SLOPE * s) / (1 + np.sum(np.exp(SLOPE * s))),
    ),
    "layer_norm": (
        LayerNorm(parameter(GAIN), parameter(SHIFT), parameter(EPS)),
        lambda s: s.size * GAIN * np.sqrt(s.var() + EPS) + SHIFT * s.sum(),
        lambda s: GAIN * standardised(s) + SHIFT,
    ),
    "sum": (
        Tanh() + 0.5 * Identity(),
        lambda s: np.sum(np.log(np.cosh(s)) + s**2 / 4),
        lambda s: np.tanh(s) + s / 2,
    ),
    "spherical_norm": (
        SphericalNorm(parameter(EPS)),
        lambda s: np.sqrt(np.sum(s**2) + EPS),
        lambda s: s / np.sqrt(np.sum(s**2) + EPS),
    ),
}
LAGRANGIANS = {name: case[0] for name, case in CASES.items()}
SMOOTH = {name: lagrangian for name, lagrangian in LAGRANGIANS.items() if lagrangian.holomorphic}
STATE = np.array([-2.1, -0.2, 0.45, 0.8, 1.9])
DIRECTION = np.array([1.0, -2.0, 0.5, 3.0, -1.0])
EXTREMES = [
    [1e4, 1e4, 1e4, 1e4, 1e4],
    [-1e4, -1e4, -1e4, -1e4, -1e4],
    [1e4, -1e4, 0.0, 0.7, 3.0],
    [9e3, 1e4, 9999.0, -30.0, 1e4],
    [0.0, 0.0, 0.0, 0.0, 0.0],
]


def over(lagrangians):
    return pytest.mark.parametrize("lagrangian", lagrangians.values(), ids=lagrangians.keys())


@eqx.filter_jit
def everything(lagrangian, state):
    return lagrangian(state), lagrangian.activation(state), lagrangian.energy(state)


@eqx.filter_jit
def gradients(lagrangian, state):
    """Gradients in parameters and state of the value, the energy, and a projection of the activation."""
    weights = jnp.arange(1, state.size + 1, dtype=state.dtype)
    functions = (
        lambda pair: pair[0](pair[1]),
        lambda pair: pair[0].energy(pair[1]),
        lambda pair: weights @ pair[0].activation(pair[1]),
    )
    return [eqx.filter_grad(function)((lagrangian, state)) for function in functions]


def in_dtype(lagrangian, dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), lagrangian)


@pytest.mark.parametrize(("lagrangian", "value", "activation"), CASES.values(), ids=CASES.keys())
def test_closed_forms(lagrangian, value, activation):
    got = everything(lagrangian, jnp.asarray(STATE))
    expected = (value(STATE), activation(STATE), STATE @ activation(STATE) - value(STATE))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@over(LAGRANGIANS)
def test_activation_is_the_gradient(lagrangian):
    both = jax.jit(lambda s: (lagrangian.activation(s), jax.grad(lambda s: lagrangian(s))(s)))
    np.testing.assert_allclose(*both(jr.normal(jr.key(0), (3, 4))), rtol=1e-12, atol=1e-14)


MASK, KNOWN = np.array([1, 0, 0, 1, 0], bool), np.array([0.5, 9.0, 9.0, -1.2, 9.0])
MADE_OF_OTHERS = {
    "scaled": 2.5 * Tanh(),
    "clamped": ClampedLagrangian(Tanh(), jnp.asarray(KNOWN), jnp.asarray(MASK)),
    "nudged": NudgedLagrangian(Tanh(), SquaredError(), jnp.asarray(KNOWN / 10), 0.2),
    "nudged in closed form": NudgedLagrangian(Linear(0.3), SquaredError(), jnp.asarray(KNOWN), 0.2),
}


@over(MADE_OF_OTHERS)
def test_those_made_of_others_are_legendre_pairs_too(lagrangian):
    value, activation, energy = everything(lagrangian, jnp.asarray(STATE))
    np.testing.assert_allclose(jax.grad(lagrangian)(jnp.asarray(STATE)), activation, rtol=1e-9)
    np.testing.assert_allclose(energy, STATE @ np.asarray(activation) - value, rtol=1e-12)


def test_activations_of_those_made_of_others():
    g = {name: np.asarray(one.activation(jnp.asarray(STATE))) for name, one in MADE_OF_OTHERS.items()}
    nudged = lambda name, target: STATE - 0.2 * (g[name] - target)
    expected = {
        "scaled": 2.5 * np.tanh(STATE),
        "clamped": np.tanh(np.where(MASK, KNOWN, STATE)),
        "nudged": np.tanh(nudged("nudged", KNOWN / 10)),
        "nudged in closed form": 0.3 * nudged("nudged in closed form", KNOWN),
    }
    for name, activation in expected.items():
        np.testing.assert_allclose(g[name], activation, err_msg=name)


@over(LAGRANGIANS)
def test_hessian_is_positive_semidefinite(lagrangian):
    hessians = eqx.filter_jit(jax.vmap(jax.hessian(lambda s: lagrangian(s))))(
        2 * jr.normal(jr.key(1), (20, 4))
    )
    assert np.linalg.eigvalsh(hessians).min() >= -1e-12


states = hnp.arrays(np.float64, 5, elements=st.floats(-30, 30))


@settings(max_examples=20, deadline=None)
@given(state=states, other=states)
def test_fenchel_young(state, other):
    for name, lagrangian in LAGRANGIANS.items():
        _, activation, energy = everything(lagrangian, state)
        value, _, _ = everything(lagrangian, other)
        assert value + energy >= other @ np.asarray(activation) - 1e-9, name


@over(SMOOTH)
def test_derivatives_against_finite_differences(lagrangian):
    leaves, treedef = jax.tree.flatten(lagrangian)

    @jax.jit
    def outputs(state, *leaves):
        return everything(jax.tree.unflatten(treedef, leaves), state)

    check_grads(outputs, (jnp.asarray(STATE), *leaves), order=1, modes=("rev",), rtol=1e-5, atol=1e-5)


@over(SMOOTH)
def test_second_derivative_at_zero(lagrangian):
    """`abs` and `max` inside the stable formulas leave no kink: the Hessian of `L` is the Jacobian of `g`."""
    zero = np.zeros(3) + (np.asarray(lagrangian.centre) if isinstance(lagrangian, Sigmoid) else 0.0)

    @jax.jit
    def derivatives(s):
        hessian, gradient = (
            jax.hessian(lambda s: lagrangian(s))(s),
            jax.grad(lambda s: lagrangian.energy(s))(s),
        )
        return hessian, jax.jacfwd(lambda s: lagrangian.activation(s))(s), gradient

    hessian, jacobian, gradient = derivatives(zero)
    np.testing.assert_allclose(hessian, jacobian, atol=1e-12)
    np.testing.assert_allclose(gradient, zero @ np.asarray(jacobian), atol=1e-12)  # dL*/ds = s . dg/ds


@over(LAGRANGIANS)
def test_extreme_states_in_float32(lagrangian):
    """Values and gradients, in the state and in every parameter, are those of float64."""
    both = eqx.filter_jit(jax.vmap(lambda *pair: (everything(*pair), gradients(*pair)), in_axes=(None, 0)))
    single = (in_dtype(lagrangian, jnp.float32), np.asarray(EXTREMES, np.float32))
    double = (in_dtype(single[0], jnp.float64), single[1].astype(np.float64))
    for one, other in zip(*map(jax.tree.leaves, (both(*single), both(*double))), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("sign", [-1, 1])
def test_limits_of_saturated_neurons(sign):
    """Closed forms at large states, where `exp` overflows: the entropies vanish."""
    state = jnp.asarray([sign * 1e4], jnp.float32)
    for lagrangian, value, energy in (
        (Sigmoid(), max(sign, 0) * 1e4, 0.0),
        (Sigmoid.paper(), max(sign, 0) * (1e4 - 0.5), max(sign, 0) * 0.5),
        (Tanh(), 1e4 - np.log(2), np.log(2)),
        (Softmax(), sign * 1e4, 0.0),
    ):
        got = everything(lagrangian, state)
        np.testing.assert_allclose(got[0], value, rtol=1e-7)
        np.testing.assert_allclose(got[2], energy, rtol=1e-6, atol=1e-30)


@pytest.mark.parametrize("sign", [-1, 1])
def test_energy_of_saturating_neurons_keeps_its_digits(sign):
    """`s g - L` has no digits left in float32. The entropy is `(1 + |s|) exp(-|s|)` up to `exp(-2 |s|)`."""
    for size in (12.0, 20.0, 40.0, 80.0):
        _, _, energy = everything(Sigmoid(), jnp.asarray([sign * size], jnp.float32))
        np.testing.assert_allclose(energy, -(1 + size) * np.exp(-size), rtol=2e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@over(LAGRANGIANS)
def test_dtype_of_the_state_is_kept(lagrangian, dtype):
    """Even with float64 parameters."""
    state = jax.ShapeDtypeStruct((4,), dtype)
    outputs = eqx.filter_eval_shape(everything.__wrapped__, lagrangian, state)
    assert {output.dtype.name for output in outputs} == {dtype}


@over(LAGRANGIANS)
def test_bfloat16_is_close_to_float64(lagrangian):
    state = jnp.asarray(STATE, jnp.bfloat16)
    got, expected = everything(lagrangian, state), everything(lagrangian, state.astype(jnp.float64))
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one.astype(jnp.float64), other, rtol=0.05, atol=0.05)


@over(SMOOTH)
def test_holomorphic_activations_are_holomorphic(lagrangian):
    """The derivative along the imaginary axis is `i` times the one along the real axis."""

    @jax.jit
    def derivative(direction):
        point = jnp.asarray(STATE) * (0.5 + 0.1j)
        return jax.jvp(
            lambda s: lagrangian.activation(s), (point,), (direction * DIRECTION.astype(complex),)
        )[1]

    assert derivative(1.0).dtype == jnp.complex128
    np.testing.assert_allclose(derivative(1j), 1j * np.asarray(derivative(1.0)), rtol=1e-12, atol=1e-14)
    step = 1e-6
    activation = jax.jit(lambda s: lagrangian.activation(s))
    ends = [np.asarray(activation(STATE * (0.5 + 0.1j) + 1j * h * DIRECTION)) for h in (step, -step)]
    np.testing.assert_allclose((ends[0] - ends[1]) / (2j * step), derivative(1.0), rtol=1e-7, atol=1e-7)


def test_only_piecewise_neurons_are_not_holomorphic():
    assert set(LAGRANGIANS) - set(SMOOTH) == {"relu", "hard_sigmoid"}


def test_pointwise_values_are_those_of_single_neurons():
    state = jnp.asarray(STATE)
    for lagrangian in (Identity(), Sigmoid.paper(), Tanh(2.0), ReLU(), HardSigmoid()):
        both = jax.jit(lambda s, f=lagrangian: (f.pointwise(s), jnp.stack([f(one) for one in s])))
        np.testing.assert_allclose(*both(state), rtol=1e-14, atol=1e-15)


def test_softmax_and_norms_are_over_the_whole_layer():
    """A layer of any shape is the same layer flattened."""
    state = jr.normal(jr.key(2), (2, 3))
    for lagrangian in (Softmax(2.0), LayerNorm(), SphericalNorm()):
        flattened = np.reshape(everything(lagrangian, state.ravel())[1], (2, 3))
        np.testing.assert_allclose(everything(lagrangian, state)[1], flattened, rtol=1e-13)


@over(LAGRANGIANS)
def test_shift_invariant_ones_have_weights_that_ignore_a_common_shift(lagrangian):
    state = jnp.asarray(STATE)
    same = np.allclose(*(everything(lagrangian, s)[1] for s in (state, state + 3.0)), atol=1e-12)
    assert same == lagrangian.shift_invariant
    for derived in (0.5 * lagrangian, lagrangian + Softmax(), AlongAxis(lagrangian, -1)):
        assert derived.shift_invariant == lagrangian.shift_invariant


def test_softmax1_is_softmax_beside_a_neuron_at_zero_and_attends_to_nothing_where_states_are_low():
    state, softmax1 = jnp.asarray(STATE), Softmax1(SLOPE)
    beside = everything(Softmax(SLOPE), jnp.append(state, 0.0))
    actual = everything(softmax1, state)
    np.testing.assert_allclose(actual[1], beside[1][:-1], rtol=1e-13)
    np.testing.assert_allclose([actual[0], actual[2]], [beside[0], beside[2]], rtol=1e-13)
    assert everything(softmax1, state - 50.0)[1].max() < 1e-30


def test_paper_sigmoid():
    np.testing.assert_allclose(
        Sigmoid.paper().activation(jnp.asarray(STATE)), 1 / (1 + np.exp(2 - 4 * STATE))
    )


def test_array_parameters_are_trained_and_floats_are_not():
    state = jnp.asarray(STATE)
    trained = eqx.filter_grad(lambda lagrangian: lagrangian.energy(state))
    assert trained(Softmax(2.0)).beta is None
    # dL*/dbeta = s . dg/dbeta - dL/dbeta, where s . dg/dbeta = var_g(s) and dL/dbeta = L* / beta.
    softmax = Softmax(jnp.asarray(2.0))
    _, g, energy = everything(softmax, state)
    expected = g @ state**2 - (g @ state) ** 2 - energy / softmax.beta
    np.testing.assert_allclose(trained(softmax).beta, expected, rtol=1e-12)


def test_a_batch_of_lagrangians_is_a_vmap():
    betas = jnp.asarray([0.5, 1.0, 2.0])
    batch = eqx.filter_vmap(Softmax)(betas)
    got = eqx.filter_vmap(lambda lagrangian: lagrangian.activation(jnp.asarray(STATE)))(batch)
    np.testing.assert_allclose(got, [Softmax(b).activation(jnp.asarray(STATE)) for b in betas.tolist()])


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), jnp.asarray(-2.0), jnp.ones(3)])
@pytest.mark.parametrize(
    ("lagrangian", "name"),
    [(Sigmoid, "slope"), (Tanh, "slope"), (Softmax, "beta"), (LayerNorm, "gain"), (SphericalNorm, "eps")],
)
def test_bad_parameters_are_refused(lagrangian, name, value):
    with pytest.raises(ValueError, match=rf"{lagrangian.__name__}\({name}="):
        lagrangian(**{name: value})


def test_bad_offsets_are_refused():
    with pytest.raises(ValueError, match=r"Sigmoid\(centre=.*nan"):
        Sigmoid(centre=float("nan"))
    with pytest.raises(ValueError, match=r"LayerNorm\(shift=.*filter_vmap"):
        LayerNorm(shift=jnp.zeros(2))


def test_the_gradient_of_a_sigmoid_lagrangian_is_its_activation_where_the_state_is_zero():
    zeros = jnp.zeros(3)
    assert close(jax.grad(Sigmoid())(zeros), Sigmoid().activation(zeros))


def test_a_mask_divides_no_independent_neurons():
    assert not Tanh().divided_by(jnp.array([True, False]), 1)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [1e-3, 0.3, 3.0, 30.0])
def test_the_change_of_the_activation_is_the_difference(name, size):
    lagrangian, _, _ = CASES[name]
    state, change = (
        scale * jr.normal(jr.key(key), (7,), jnp.float64) for key, scale in ((0, 4.0), (1, size))
    )
    activation = lagrangian.activation(state)
    expected = lagrangian.activation(state + change) - activation
    assert close(lagrangian.activation_change(state, activation, change), expected, 1e-11)


MORE = {"multiple": 0.03 * ReLU(), "sum": Tanh() + 0.7 * HardSigmoid()}


@pytest.mark.parametrize("name", [*CASES, *MORE])
def test_a_small_change_of_the_activation_has_all_digits_in_float32(name):
    lagrangian = single(MORE[name] if name in MORE else CASES[name][0])
    state = jr.normal(jr.key(0), (7,), jnp.float32)
    change = 1e-7 * jr.normal(jr.key(1), (7,), jnp.float32)
    result = lagrangian.activation_change(state, lagrangian.activation(state), change)
    slope = jax.jvp(double(lagrangian).activation, (double(state),), (double(change),))[1]
    assert result.dtype == jnp.float32
    assert np.allclose(result, slope, rtol=1e-5, atol=2e-6 * np.max(np.abs(slope)))


def test_what_is_called_nonnegative_has_no_negative_activation_and_everything_else_has():
    """The update relies on it: under nonnegative neurons a maximum pool is minimised safely."""
    states = jnp.linspace(-3.0, 2.0, 12)
    plain = (Identity, Linear, Sigmoid, Tanh, ReLU, HardSigmoid, LayerNorm, SphericalNorm, Softmax, Softmax1)
    made = [kind() for kind in (*plain, Sparsemax, Entmax, Normmax, KSubsets, Exponential)]
    made += [Polynomial(2), Polynomial(3)]
    wrong = [str(one) for one in made if one.nonnegative != bool(jnp.min(one.activation(states)) >= 0)]
    assert not wrong
