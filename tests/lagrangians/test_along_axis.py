"""Coupled neurons along axes of a layer: row by row what the Lagrangian is on a vector."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import HAM, Layer, Method, connect, load_model, relax, save_model
from hopfax.lagrangians import AlongAxis, Entmax, Identity, LayerNorm, Softmax, Sparsemax, SphericalNorm, Tanh

COUPLED = [
    Softmax(2.0),
    LayerNorm(1.5, 0.2, 0.1),
    SphericalNorm(0.1),
    Sparsemax(),
    Entmax(1.5),
    0.5 * Softmax(),
]
STATE = jr.normal(jr.key(0), (3, 4, 2))


def functions(lagrangian, state):
    return lagrangian(state), lagrangian.activation(state), lagrangian.energy(state)


def rows(state, axis):
    return jnp.moveaxis(state, axis, -1).reshape(-1, state.shape[axis])


@pytest.mark.parametrize("lagrangian", COUPLED, ids=str)
def test_along_one_axis_it_is_the_lagrangian_of_each_row_and_along_all_axes_that_of_the_whole_layer(
    lagrangian,
):
    axes = (0, 1, 2, -1)

    @jax.jit
    def both(state):
        along = [functions(AlongAxis(lagrangian, axis), state) for axis in axes]
        by_row = [jax.vmap(lambda row: functions(lagrangian, row))(rows(state, axis)) for axis in axes]
        whole = functions(AlongAxis(lagrangian, (0, 1, 2)), state), functions(lagrangian, state.ravel())
        return along, by_row, whole

    along, by_row, (along_all, whole) = both(STATE)
    for axis, (value, activation, energy), (values, activations, energies) in zip(
        axes, along, by_row, strict=True
    ):
        moved = np.moveaxis(np.asarray(activation), axis, -1).reshape(activations.shape)
        np.testing.assert_allclose(moved, activations, atol=1e-12)
        np.testing.assert_allclose(value, np.sum(values), rtol=1e-12)
        np.testing.assert_allclose(energy, np.sum(energies), rtol=1e-10)
    np.testing.assert_allclose(np.ravel(along_all[1]), whole[1], atol=1e-12)
    np.testing.assert_allclose(along_all[0], whole[0], rtol=1e-12)


def test_activations_are_gradients_and_energies_their_legendre_transforms():
    """Along one, two or three axes in every order, which may be counted from the end."""
    orders = [order for n in (1, 2, 3) for order in itertools.permutations(range(3), n)]
    orders += [tuple(axis - 3 for axis in order) for order in orders]

    @jax.jit
    def laws(state):
        every = [AlongAxis(LayerNorm(1.5, 0.2, 0.1), axes) for axes in orders]
        return [(*functions(along, state), jax.grad(along)(state)) for along in every]

    for value, activation, energy, slope in laws(STATE):
        np.testing.assert_allclose(activation, slope, atol=1e-12)
        np.testing.assert_allclose(energy, np.sum(STATE * activation) - value, atol=1e-10)


@pytest.mark.parametrize("lagrangian", [*COUPLED, Tanh() + Softmax()], ids=str)
def test_without_an_axis_coupled_neurons_are_refused_on_several(lagrangian):
    Layer(4, lagrangian)
    with pytest.raises(
        ValueError, match=r"of shape \(4, 3\) does not say along which axis.*AlongAxis\(.*-1\)"
    ):
        Layer((4, 3), lagrangian)


OUTSIDE = r"shape \(4, 3\); its axes are 0 to 1\."


@pytest.mark.parametrize(
    ("axis", "message"), [(2, OUTSIDE), (-3, OUTSIDE), ((0, -2), OUTSIDE), ((0, 0), ""), ((), "")]
)
def test_axes_that_a_layer_does_not_have_are_refused(axis, message):
    with pytest.raises(ValueError, match=rf"`AlongAxis.*{message}"):
        Layer((4, 3), AlongAxis(Softmax(), axis))


def test_such_layers_relax_and_are_saved(tmp_path):
    layers = {
        "tokens": Layer((3, 4), AlongAxis(LayerNorm(), -1)),
        "heads": Layer((3, 5), AlongAxis(Softmax(2.0), -1)),
        "input": Layer(6, Identity()),
    }
    model = connect(layers, [("input", "tokens"), ("tokens", "heads")], key=jr.key(1))
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again, HAM)
    equilibria = [
        relax(m, {"input": jnp.ones(6)}, method=Method(rtol=1e-6), throw=True) for m in (model, again)
    ]
    np.testing.assert_allclose(equilibria[0].activation["heads"].sum(axis=-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(*(e.activation["tokens"] for e in equilibria))
