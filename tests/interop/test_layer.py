"""An equilibrium as a layer: the values and gradients of `relax`, in Equinox, in Flax and as a function."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import Method, chain, relax
from hopfax.interop.layer import EquilibriumLayer, as_function

MODEL = chain([3, 4, 2], key=jr.key(0))
LAYER = EquilibriumLayer(MODEL, method=Method(rtol=1e-12, atol=1e-13))
BATCH = jr.normal(jr.key(1), (5, 3), jnp.float64)
MODEL64 = jax.tree.map(lambda w: w.astype(float) if eqx.is_array(w) else w, MODEL)
LAYER64 = EquilibriumLayer(MODEL64, method=LAYER.method)


def loss(weights, apply, x):
    return jnp.sum(jnp.sin(jax.vmap(apply, in_axes=(None, 0))(weights, x)))


def test_it_is_the_activation_at_equilibrium_for_one_example_and_for_a_batch():
    expected = relax(MODEL64, {"input": BATCH}, method=Method(rtol=1e-12, atol=1e-13)).activation["output"]
    np.testing.assert_allclose(LAYER64(BATCH), expected, rtol=1e-10)
    np.testing.assert_allclose(jax.vmap(LAYER64)(BATCH), expected, rtol=1e-10)


def test_gradients_are_those_of_a_finite_difference():
    weights, apply = as_function(LAYER64)
    dot = lambda a, b: sum(
        jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    gradients = jax.jit(jax.grad(loss, argnums=(0, 2)), static_argnums=1)(weights, apply, BATCH)
    keys = iter(jr.split(jr.key(2), 20))
    push = jax.tree.map(lambda w: jr.normal(next(keys), w.shape, w.dtype), (weights, BATCH))
    value = jax.jit(lambda t: loss(*_moved((weights, BATCH), push, t, apply)))
    slope = (value(1e-5) - value(-1e-5)) / 2e-5
    np.testing.assert_allclose(dot(gradients, push), slope, rtol=1e-6)


def _moved(point, push, t, apply):
    weights, x = jax.tree.map(lambda a, b: a + t * b, point, push)
    return weights, apply, x


def test_between_layers_of_equinox():
    linear = eqx.nn.Linear(6, 3, key=jr.key(3))
    model = eqx.nn.Sequential([linear, LAYER])
    x = jr.normal(jr.key(4), (6,), jnp.float32)
    np.testing.assert_array_equal(model(x, key=jr.key(0)), LAYER(linear(x)))


def test_in_flax():
    nnx = pytest.importorskip("flax.nnx")
    weights, apply = as_function(LAYER64)

    class Mixed(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(3, 3, rngs=rngs, param_dtype=jnp.float64)
            self.weights = nnx.Param(weights)

        def __call__(self, x):
            return jax.vmap(apply, in_axes=(None, 0))(self.weights.get_value(), self.linear(x))

    mixed = Mixed(nnx.Rngs(0))
    gradient = nnx.grad(lambda model: jnp.sum(jnp.sin(model(BATCH))))(mixed)
    hidden = mixed.linear(BATCH)
    expected = jax.grad(loss)(weights, apply, hidden)
    for a, b in zip(jax.tree.leaves(gradient["weights"]), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)
    assert float(jnp.abs(gradient["linear"]["kernel"].get_value()).max()) > 0


def test_in_flax_linen():
    linen = pytest.importorskip("flax.linen")
    weights, apply = as_function(LAYER64)

    class Recall(linen.Module):
        @linen.compact
        def __call__(self, x):
            return apply(self.param("ham", lambda key: weights), x)

    variables = Recall().init(jr.key(0), BATCH)
    np.testing.assert_array_equal(Recall().apply(variables, BATCH), LAYER64(BATCH))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clamp": "pixels"}, "clamp='pixels'.*'input', 'hidden', 'output'"),
        ({"read": "labels"}, "read='labels'"),
        ({"read": "input"}, "read another layer"),
    ],
)
def test_mistakes_are_refused_on_construction(arguments, message):
    with pytest.raises(ValueError, match=message):
        EquilibriumLayer(MODEL, **arguments)
