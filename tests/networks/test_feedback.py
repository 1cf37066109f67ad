"""Laws of chains with weak feedback: drives, energies, and errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import Dense, Layer, chain, connect, load_model, save_model
from hopfax.lagrangians import Identity, ReLU, Sigmoid, Tanh
from hopfax.networks import with_feedback

KAPPA = 0.3
PLAIN = chain([4, 3, 5, 2], [Identity(), Tanh(), ReLU(), Identity()], key=jr.key(0), bias_std=0.3)
MODEL = with_feedback(PLAIN, KAPPA)
STATES = {
    name: jr.normal(jr.fold_in(jr.key(1), i), PLAIN.layers[name].shape) for i, name in enumerate(PLAIN.order)
}


def test_a_layer_gets_full_input_from_the_layer_before_it_and_weak_input_from_the_next():
    drives = MODEL.drive(MODEL.activations(STATES), MODEL.order)
    g, synapses = PLAIN.activations(STATES), PLAIN.synapses
    for before, name, after in zip(MODEL.order, MODEL.order[1:], [*MODEL.order[2:], None], strict=False):
        expected = synapses[name].bias + g[before] @ synapses[f"{before}-{name}"].weight
        if after is not None:
            expected = expected + KAPPA * synapses[f"{name}-{after}"].weight @ g[after]
        np.testing.assert_allclose(drives[name], expected, rtol=1e-5)


def test_the_energy_is_that_of_the_plain_network_scaled_layer_by_layer():
    plain, scaled = PLAIN.energy_tree(STATES), MODEL.energy_tree(STATES)
    for depth, name in enumerate(reversed(MODEL.order)):
        np.testing.assert_allclose(scaled["layers"][name], plain["layers"][name] / KAPPA**depth, rtol=1e-5)
    for name, energy in plain["synapses"].items():
        last = name.split("-")[-1]  # a synapse has the factor of the later of its layers
        depth = len(MODEL.order) - 1 - MODEL.order.index(last)
        np.testing.assert_allclose(scaled["synapses"][name], energy / KAPPA**depth, rtol=1e-5)


@pytest.mark.parametrize(
    "lagrangian", [Sigmoid.paper(), Tanh(), ReLU(), Identity()], ids=lambda x: type(x).__name__
)
def test_a_scaled_lagrangian_is_a_lagrangian(lagrangian):
    scaled, state = 2.5 * lagrangian, jnp.linspace(-2.0, 2.0, 6)
    g = scaled.activation(state)
    np.testing.assert_allclose(g, jax.grad(scaled)(state), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(scaled.energy(state), jnp.sum(state * g) - scaled(state), atol=1e-12)
    np.testing.assert_allclose(scaled.energy(state), 2.5 * lagrangian.energy(state), rtol=1e-12)
    assert scaled.holomorphic == lagrangian.holomorphic


def test_the_field_of_a_clamped_layer_is_that_of_the_plain_network():
    image = STATES["input"]
    plain, scaled = PLAIN.condition({"input": image}), MODEL.condition({"input": image})
    zeros = plain.zeros(image.dtype)
    expected = plain.drive({**zeros}, ("hidden1",))["hidden1"]
    np.testing.assert_allclose(scaled.drive({**zeros}, ("hidden1",))["hidden1"], expected, rtol=1e-5)
    assert scaled.synapses["input-hidden1"].clamped


def test_a_network_with_feedback_comes_back_from_files_equal(tmp_path):
    save_model(MODEL, tmp_path)
    assert eqx.tree_equal(load_model(tmp_path), MODEL)


def test_full_feedback_is_the_plain_network():
    assert with_feedback(PLAIN, 1.0) is PLAIN


def skipping():
    layers = {name: Layer(2, Tanh()) for name in "abc"}
    return connect(layers, [("a", "b"), ("b", "c"), ("a", "c")], key=jr.key(0))


@pytest.mark.parametrize(
    ("model", "feedback", "match"),
    [
        (PLAIN, 0.0, "feedback=0.0"),
        (PLAIN, 1.5, "feedback=1.5"),
        (skipping(), 0.5, "a-c"),
    ],
)
def test_bad_networks_and_feedbacks_are_refused(model, feedback, match):
    with pytest.raises(ValueError, match=match):
        with_feedback(model, feedback)


def test_feedback_of_a_network_with_feedback_is_their_product():
    twice, once = with_feedback(MODEL, 0.5), with_feedback(PLAIN, 0.5 * KAPPA)
    for a, b in zip(
        twice.drive(twice.activations(STATES), twice.order).values(),
        once.drive(once.activations(STATES), once.order).values(),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_factors_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match="factor=0"):
        0.0 * Tanh()
    with pytest.raises(ValueError, match="factor=-1"):
        -1.0 * Dense(("a", "b"), jnp.zeros((2, 2)))
