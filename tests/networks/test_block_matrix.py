"""The dense block matrix and the layers are the same network."""

import itertools

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import clamped, double, sigmoid_chain

from hopfax import EvenOdd, Interaction, Layer, Method, chain, connect, relax
from hopfax.lagrangians import Sigmoid, Tanh
from hopfax.networks.block_matrix import BlockMatrix

CHAIN = sigmoid_chain(4, 3, 5, 2, 3)
EXACT = {"rtol": 1e-13, "atol": 0.0, "max_steps": 2000}


def lagrangians(model):
    return {name: layer.lagrangian for name, layer in model.layers.items()}


def test_the_five_layer_layout_is_that_of_the_paper():
    """Goemaere et al. (2024), Figure 1: W has the blocks W_k beside the diagonal, and U only W_0."""
    matrix = BlockMatrix.from_network(CHAIN)
    blocks = [CHAIN.synapses[f"{a}-{b}"].weight for a, b in itertools.pairwise(CHAIN.order)]
    edges = np.cumsum([0, *matrix.sizes])
    for i in range(4):
        for j in range(4):
            block = matrix.weight[edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
            expected = blocks[j] if j == i + 1 else blocks[i].T if i == j + 1 else jnp.zeros_like(block)
            np.testing.assert_array_equal(block, expected)
    np.testing.assert_array_equal(matrix.input_weight[: edges[1]], blocks[0].T)
    assert not matrix.input_weight[edges[1] :].any()


def test_iterating_the_matrix_predicts_what_even_odd_layers_predict():
    matrix, clamp = BlockMatrix.from_network(CHAIN), clamped()
    activation = CHAIN.layers["output"].lagrangian.activation
    field = matrix.bias + matrix.input_weight @ activation(clamp["input"])
    state = jnp.zeros(13)
    for _ in range(300):
        state = matrix.weight @ activation(state) + field
    equilibrium = relax(CHAIN, clamp, method=Method(update=EvenOdd(), **EXACT))
    whole = jnp.concatenate([equilibrium.state[name] for name in matrix.names])
    np.testing.assert_allclose(state, whole, atol=1e-11)


@pytest.mark.parametrize("skipping", [False, True])
def test_a_round_trip_changes_nothing(skipping):
    layers = {name: Layer(3, Tanh(0.5)) for name in ("input", "a", "b", "c")}
    pairs = [("input", "a"), ("a", "b"), ("b", "c"), *([("input", "c")] if skipping else [])]
    model = double(connect(layers, pairs, key=jr.key(1), bias_std=0.3))
    back = BlockMatrix.from_network(model).to_ham(lagrangians(model))
    assert set(back.graph.edges) == set(model.graph.edges)
    clamp = clamped(3)
    np.testing.assert_allclose(
        relax(back, clamp, method=Method(**EXACT)).state["c"],
        relax(model, clamp, method=Method(**EXACT)).state["c"],
        atol=1e-12,
    )


def test_what_is_not_a_block_matrix_is_refused():
    matrix = BlockMatrix.from_network(CHAIN)
    asymmetric = BlockMatrix(
        matrix.weight.at[0, 4].add(1.0), matrix.input_weight, matrix.bias, matrix.names, matrix.sizes
    )
    with pytest.raises(ValueError, match="not symmetric between 'hidden1' and 'hidden2'"):
        asymmetric.to_ham(lagrangians(CHAIN))
    a_little = eqx.tree_at(lambda m: m.weight, matrix, matrix.weight.at[0, 4].multiply(1 + 1e-4))
    with pytest.raises(ValueError, match="not symmetric between 'hidden1' and 'hidden2'"):
        a_little.to_ham(lagrangians(CHAIN))
    rounded = eqx.tree_at(lambda m: m.weight, matrix, matrix.weight.at[0, 4].multiply(1 + 1e-8))
    rounded.to_ham(lagrangians(CHAIN))
    inside = BlockMatrix(
        matrix.weight.at[0, 1].add(1.0), matrix.input_weight, matrix.bias, matrix.names, matrix.sizes
    )
    with pytest.raises(ValueError, match="joins neurons of layer 'hidden1'"):
        inside.to_ham(lagrangians(CHAIN))
    with pytest.raises(ValueError, match=r"lacks \['output'\]"):
        matrix.to_ham({name: Sigmoid() for name in CHAIN.order[:-1]})
    with pytest.raises(ValueError, match="has 12 neurons"):
        BlockMatrix(matrix.weight, matrix.input_weight, matrix.bias, matrix.names, (3, 5, 2, 2))
    odd = connect({n: Layer(2, Tanh()) for n in "ab"}, [("a", "b")], key=jr.key(0))
    free = type(odd)(
        odd.layers, [*odd.synapses.values(), Interaction(("a", "b"), lambda a, b: jnp.sum(a * b))]
    )
    with pytest.raises(ValueError, match="not a block of a matrix"):
        BlockMatrix.from_network(free)
    with pytest.raises(ValueError, match="flat layers"):
        BlockMatrix.from_network(
            connect({"a": Layer((2, 2), Tanh()), "b": Layer(2, Tanh())}, [("a", "b")], key=jr.key(0))
        )


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_how_far_a_matrix_may_be_from_symmetric_scales_with_its_largest_weight(scale):
    matrix = BlockMatrix.from_network(CHAIN)
    largest = float(np.abs(matrix.weight).max())
    off = lambda share: eqx.tree_at(
        lambda m: m.weight, matrix, scale * matrix.weight.at[0, 4].set(0.0).at[4, 0].set(share * largest)
    )
    off(0.9e-6).to_ham(lagrangians(CHAIN))
    with pytest.raises(ValueError, match="not symmetric between 'hidden1' and 'hidden2'"):
        off(1.1e-6).to_ham(lagrangians(CHAIN))


def test_weights_keep_their_type():
    assert BlockMatrix.from_network(chain([2, 3, 2], key=jr.key(0))).weight.dtype == jnp.float32
