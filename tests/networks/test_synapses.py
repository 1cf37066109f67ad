"""Synapses: closed forms, shape checks, and conditioning on known activations."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close

from hopfax import Bias, Dense, Interaction
from hopfax.networks import AveragePool, Conv, ConvPool, Field, OneToOne, SharedDense

SHAPES = {"a": (2, 2), "b": (3,), "c": (2,), "d": (2, 2), "maps": (5, 5, 2), "e": (3, 4, 3), "f": (2, 2, 2)}
WEIGHT = jr.normal(jr.key(0), (4, 3), jnp.float64)
G = {name: jr.normal(jr.key(i), shape, jnp.float64) for i, (name, shape) in enumerate(SHAPES.items(), 1)}


def triple(a, b, c):
    """Affine in each of three activations."""
    return jnp.sum(a) * jnp.sum(jnp.sin(1.0 + jnp.arange(3)) * b) * c[0]


SYNAPSES = [
    Dense(("a", "b"), WEIGHT),
    Bias("a", G["a"] + 1),
    Field("b", G["b"] - 1),
    Interaction(("a", "b", "c"), triple, affine=True),
    OneToOne(("a", "d"), WEIGHT[0, :2]),
    SharedDense(("a", "d"), WEIGHT[:2, :2]),
    Conv(("maps", "e"), 0.3 * jr.normal(jr.key(8), (3, 2, 2, 3), jnp.float64), stride=(2, 1), padding=(1, 0)),
    ConvPool(("maps", "f"), 0.3 * jr.normal(jr.key(8), (2, 2, 1, 2), jnp.float64), AveragePool(2), groups=2),
]
SCALED = [3.0 * synapse for synapse in SYNAPSES]
TRANSPOSED = jr.normal(jr.key(9), (3, 4), jnp.float64)
label = lambda synapse: type(synapse).__name__


@pytest.mark.parametrize("synapse", SYNAPSES, ids=label)
def test_a_synapse_that_vanishes_is_zero_where_one_activation_is_zero(synapse):
    """Updates leave out its energy there."""
    assert synapse.vanishes == (not isinstance(synapse, Interaction))
    for zero in synapse.layers if synapse.vanishes else ():
        assert synapse(*(0 * G[name] if name == zero else G[name] for name in synapse.layers)) == 0


@pytest.mark.parametrize("synapse", [*SYNAPSES, *SCALED], ids=label)
def test_all_numbers_among_the_leaves_of_a_synapse_are_floating(synapse):
    """Sizes are static, so that `jax.grad` and `jax.jit` take a synapse as an argument."""
    leaves = [leaf for leaf in jax.tree.leaves(synapse) if not callable(leaf)]
    assert all(map(eqx.is_inexact_array_like, leaves))


def test_dense_is_minus_the_bilinear_form_of_the_flattened_layers():
    expected = -np.asarray(G["a"]).ravel() @ np.asarray(WEIGHT) @ np.asarray(G["b"])
    assert close(Dense(("a", "b"), WEIGHT)(G["a"], G["b"]), expected)


def test_bias_is_minus_the_inner_product():
    assert close(Bias("b", G["b"])(G["b"]), -np.sum(np.square(G["b"])))


@pytest.mark.parametrize("synapse", [*SYNAPSES, *SCALED, Dense(("b", "a"), TRANSPOSED)], ids=label)
@pytest.mark.parametrize("factor", [1.0, 1.0 + 0.5j])
def test_the_drive_of_each_layer_is_minus_the_derivative_of_the_energy(synapse, factor):
    """In closed form as by autodiff, for real and complex activations."""
    activations = [factor * G[name] for name in synapse.layers]
    for index, name in enumerate(synapse.layers):
        derivative = jax.grad(synapse, argnums=index, holomorphic=jnp.iscomplexobj(factor))(*activations)
        driven = synapse.drive(name, *activations)
        assert driven.shape == G[name].shape
        assert close(driven, -derivative)


@pytest.mark.parametrize("synapse", SYNAPSES, ids=label)
def test_conditioning_on_any_subset_keeps_the_energy(synapse):
    for count in range(1, len(synapse.layers) + 1):
        for known in itertools.combinations(synapse.layers, count):
            rest = synapse.condition({name: G[name] for name in known}, SHAPES)
            assert set(rest.layers) == set(synapse.layers) - set(known)
            assert close(rest(*(G[n] for n in rest.layers)), synapse(*(G[n] for n in synapse.layers)))
            assert rest.clamped


@pytest.mark.parametrize("synapse", SYNAPSES, ids=label)
def test_an_affine_synapse_is_affine_in_each_activation(synapse):
    for name in synapse.layers:
        assert synapse.affine_in(name)
        at = lambda g, name=name: synapse(*({**G, name: g}[n] for n in synapse.layers))
        assert close(
            at(3 * G[name] - 2), 3 * at(G[name]) + 2 * at(0 * G[name]) - 4 * at(0.5 + 0 * G[name]), 1e-10
        )


@pytest.mark.parametrize(
    ("synapse", "message"),
    [
        (Dense(("a", "b"), WEIGHT.T), r"weight on 'a' and 'b' has shape \(3, 4\).*need \(4, 3\)"),
        (Bias("b", G["a"]), r"bias on 'b' has shape \(2, 2\).*need \(3,\)"),
        (Field("b", G["c"]), r"field on 'b' has shape \(2,\).*need \(3,\)"),
        (Interaction(("b",), lambda g: 2 * g), "must return one scalar energy"),
        (Interaction(("b",), lambda g: (jnp.sum(g), 0.0)), "must return one scalar energy"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(synapse, message):
    with pytest.raises(ValueError, match=message):
        synapse.check(SHAPES)


def test_dense_joins_two_layers():
    with pytest.raises(Exception, match="joins two layers|layers"):
        Dense(("a",), WEIGHT)  # pyright: ignore[reportArgumentType]
