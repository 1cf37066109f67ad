"""Coupled neurons along axes of a layer: row by row what the Lagrangian is on a vector."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings

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


@pytest.mark.parametrize("lagrangian", COUPLED, ids=str)
def test_along_one_axis_it_is_the_lagrangian_of_each_row(lagrangian):
    for axis in (0, 1, 2, -1):
        along, rows = (
            AlongAxis(lagrangian, axis),
            jnp.moveaxis(jnp.asarray(STATE), axis, -1).reshape(-1, STATE.shape[axis]),
        )
        activations = jnp.moveaxis(jnp.asarray(along.activation(STATE)), axis, -1).reshape(rows.shape)
        np.testing.assert_allclose(
            activations, jnp.stack([lagrangian.activation(row) for row in rows]), atol=1e-12
        )
        np.testing.assert_allclose(along(STATE), sum(lagrangian(row) for row in rows), rtol=1e-12)
        np.testing.assert_allclose(
            along.energy(STATE), sum(lagrangian.energy(row) for row in rows), rtol=1e-10
        )


@pytest.mark.parametrize("lagrangian", COUPLED, ids=str)
def test_along_all_axes_it_is_the_lagrangian_of_the_whole_layer(lagrangian):
    along = AlongAxis(lagrangian, (0, 1, 2))
    np.testing.assert_allclose(
        along.activation(STATE).ravel(), lagrangian.activation(STATE.ravel()), atol=1e-12
    )
    np.testing.assert_allclose(along(STATE), lagrangian(STATE.ravel()), rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    st.permutations(range(3)).flatmap(lambda p: st.integers(1, 3).map(lambda n: tuple(p[:n]))), st.booleans()
)
def test_activations_are_gradients_and_energies_their_legendre_transforms(axes, negative):
    along = AlongAxis(LayerNorm(1.5, 0.2, 0.1), tuple(a - 3 for a in axes) if negative else axes)
    np.testing.assert_allclose(along.activation(STATE), jax.grad(along)(STATE), atol=1e-12)
    np.testing.assert_allclose(
        along.energy(STATE), jnp.sum(STATE * along.activation(STATE)) - along(STATE), atol=1e-10
    )


@pytest.mark.parametrize("lagrangian", [*COUPLED, Tanh() + Softmax()], ids=str)
def test_without_an_axis_coupled_neurons_are_refused_on_several(lagrangian):
    Layer(4, lagrangian)
    with pytest.raises(
        ValueError, match=r"of shape \(4, 3\) does not say along which axis.*AlongAxis\(.*-1\)"
    ):
        Layer((4, 3), lagrangian)


@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, -2), ()])
def test_axes_that_a_layer_does_not_have_are_refused(axis):
    with pytest.raises(ValueError, match=r"`AlongAxis"):
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
