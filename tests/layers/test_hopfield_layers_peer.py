"""Outputs and gradients equal those of ml-jku's hopfield-layers with the same weights."""

import copy
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax.lagrangians import Softmax1
from hopfax.layers import (
    DecoderBlock,
    EncoderBlock,
    Hopfield,
    HopfieldLayer,
    HopfieldPooling,
    Repeated,
    Sizes,
)

QUERIES, PATTERNS, VALUES, TOKENS, ENCODED = (
    np.asarray(jr.normal(jr.key(i), shape))
    for i, shape in enumerate([(2, 4, 6), (2, 5, 3), (2, 5, 7), (2, 5, 6), (2, 4, 6)])
)
KEY = jr.key(5)
MASK = np.array([[True, True, False, True, False], [True, False, True, True, True]])
CAUSAL = np.tril(np.ones((5, 5), bool))


@pytest.fixture(scope="module")
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their imports
        torch, _ = pytest.importorskip("torch"), pytest.importorskip("hflayers")
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def theirs(torch):
    import hflayers.transformer

    return hflayers


def of_linear(theirs, ours):
    arrays = jnp.asarray(theirs.weight.detach().numpy()), jnp.asarray(theirs.bias.detach().numpy())
    return eqx.tree_at(lambda m: (m.weight, m.bias), ours, arrays)


def of_hopfield(theirs, ours):
    """Our layer with their weights, which are in one array, or in three where widths differ."""
    core, head = theirs.association_core, ours.heads * ours.sizes.head
    separate = [core.q_proj_weight, core.k_proj_weight, core.v_proj_weight]
    joint = core.in_proj_weight
    weights = separate if joint is None else joint.split([head, head, len(joint) - 2 * head])
    biases = core.in_proj_bias.split([head, head, len(core.in_proj_bias) - 2 * head])
    norms = (theirs.norm_state_pattern, theirs.norm_stored_pattern, theirs.norm_pattern_projection)
    where = lambda m: (m.query_projection.layers, m.pattern_projection.layers, m.value_projection.layers)
    projections = [
        (of_linear(norm, old[0]), eqx.tree_at(lambda m: (m.weight, m.bias), old[1], (array(w), array(b))))
        for norm, w, b, old in zip(norms, weights, biases, where(ours), strict=True)
    ]
    ours = eqx.tree_at(where, ours, tuple(projections))
    return eqx.tree_at(lambda m: m.output_projection, ours, of_linear(core.out_proj, ours.output_projection))


def of_pooling(theirs, ours):
    parts = (of_hopfield(theirs.hopfield, ours.association), array(theirs.pooling_weights)[0])
    return eqx.tree_at(lambda m: (m.association, m.queries), ours, parts)


def of_lookup(theirs, ours):
    tables = array(theirs.lookup_weights)[0], array(theirs.target_weights)[0]
    parts = (of_hopfield(theirs.hopfield, ours.association), *tables)
    return eqx.tree_at(lambda m: (m.association, m.patterns, m.values), ours, parts)


def of_feed_forward(theirs, ours):
    pairs = (theirs.linear_residual, ours.first), (theirs.linear_output, ours.second)
    parts = [of_linear(*pair) for pair in (*pairs, (theirs.norm_output, ours.norm))]
    return eqx.tree_at(lambda m: (m.first, m.second, m.norm), ours, tuple(parts))


def of_encoder(theirs, ours):
    parts = (
        of_hopfield(theirs.hopfield_association, ours.association),
        of_linear(theirs.norm_residual, ours.norm),
        of_feed_forward(theirs, ours.feed_forward),
    )
    return eqx.tree_at(lambda m: (m.association, m.norm, m.feed_forward), ours, parts)


def of_decoder(theirs, ours):
    parts = (
        of_hopfield(theirs.hopfield_association_self, ours.association),
        of_hopfield(theirs.hopfield_association_cross, ours.cross),
        of_linear(theirs.norm_residual_self, ours.norm),
        of_linear(theirs.norm_residual_cross, ours.cross_norm),
        of_feed_forward(theirs, ours.feed_forward),
    )
    where = lambda m: (m.association, m.cross, m.norm, m.cross_norm, m.feed_forward)
    return eqx.tree_at(where, ours, parts)


def array(tensor):
    return jnp.asarray(tensor.detach().numpy())


def assert_same(torch, theirs, ours, convert, their_call, our_call, inputs):
    """Outputs, and gradients of a function of them in all inputs and weights."""
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0, 0.6)  # far from averaging
    tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
    expected = their_call(theirs, *tensors)
    torch.sin(expected).sum().backward()
    slopes = copy.deepcopy(theirs)
    for slope, parameter in zip(slopes.parameters(), theirs.parameters(), strict=True):
        slope.data = parameter.grad

    @eqx.filter_jit
    @eqx.filter_value_and_grad(has_aux=True)
    def both(arguments):
        ours, inputs = arguments
        output = our_call(ours, *inputs)
        return jnp.sum(jnp.sin(output)), output

    weights = convert(theirs, jax.tree.map(lambda x: x.astype(float) if eqx.is_inexact_array(x) else x, ours))
    (_, output), (gradient, slopes_of_inputs) = both((weights, [jnp.asarray(x) for x in inputs]))
    np.testing.assert_allclose(output, expected.detach().numpy(), rtol=1e-9, atol=1e-10)
    expected = convert(slopes, weights), [array(tensor.grad) for tensor in tensors]
    leaves = jax.tree.leaves((gradient, slopes_of_inputs))
    for leaf, other in zip(leaves, jax.tree.leaves(eqx.filter(expected, eqx.is_inexact_array)), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-7, atol=1e-9)


THREE = {"update_steps_max": 3, "update_steps_eps": 1e-300}
ASSOCIATIONS = {
    "attention": ({}, {}),
    "four softmaxes": (THREE, {"iteration": Repeated(3, 0.0)}),
    "zero pattern": ({"add_zero_association": True}, {"separation": Softmax1}),
    "zero pattern, four softmaxes": (
        {"add_zero_association": True, **THREE},
        {"separation": Softmax1, "iteration": Repeated(3, 0.0)},
    ),
    "beta": ({"scaling": 1.3}, {"beta": 1.3}),
}


@pytest.mark.parametrize(("options", "ours"), ASSOCIATIONS.values(), ids=ASSOCIATIONS)
def test_association_with_every_width_another_and_padding(torch, theirs, options, ours):
    layer = theirs.Hopfield(
        input_size=6,
        hidden_size=4,
        output_size=5,
        pattern_size=2,
        num_heads=3,
        stored_pattern_size=3,
        pattern_projection_size=7,
        **options,
    )
    padding = torch.tensor(~MASK)
    assert_same(
        torch,
        layer,
        Hopfield(Sizes(6, 3, 7, head=4, head_values=2, outputs=5), heads=3, key=KEY, **ours),
        of_hopfield,
        lambda m, q, x, v: m((x, q, v), stored_pattern_padding_mask=padding),
        lambda m, *rows: jax.vmap(lambda q, x, v, mask: m(q, x, v, pattern_mask=mask))(*rows, MASK),
        (QUERIES, PATTERNS, VALUES),
    )


def test_self_association_under_a_causal_mask(torch, theirs):
    hidden = torch.tensor(~CAUSAL)
    assert_same(
        torch,
        theirs.Hopfield(input_size=6, num_heads=2, **THREE),
        Hopfield(6, heads=2, iteration=Repeated(3, 0.0), key=KEY),
        of_hopfield,
        lambda m, x: m(x, association_mask=hidden),
        lambda m, x: jax.vmap(lambda x: m(x, association_mask=CAUSAL))(x),
        (TOKENS,),
    )


def test_pooling_of_padded_sets(torch, theirs):
    padding = torch.tensor(~MASK)
    assert_same(
        torch,
        theirs.HopfieldPooling(input_size=6, num_heads=2, quantity=3),
        HopfieldPooling(Hopfield(6, heads=2, key=KEY), np.zeros((3, 6))),
        of_pooling,
        lambda m, x: m(x, stored_pattern_padding_mask=padding),
        lambda m, x: jax.vmap(lambda x, mask: m(x, pattern_mask=mask))(x, MASK),
        (TOKENS,),
    )


def test_lookup(torch, theirs):
    assert_same(
        torch,
        theirs.HopfieldLayer(input_size=6, num_heads=2, quantity=3, lookup_weights_as_separated=True),
        HopfieldLayer(Hopfield(6, heads=2, key=KEY), np.zeros((3, 6)), np.zeros((3, 6))),
        of_lookup,
        lambda m, x: m(x),
        lambda m, x: jax.vmap(m)(x),
        (TOKENS,),
    )


def test_encoder_block(torch, theirs):
    """Outputs of padded tokens are of no meaning, and differ: here they are those of zeros."""
    padding, kept = torch.tensor(~MASK), torch.tensor(MASK)[..., None]
    layer = theirs.Hopfield(input_size=6, num_heads=2)
    assert_same(
        torch,
        theirs.transformer.HopfieldEncoderLayer(layer, dim_feedforward=9, dropout=0.0),
        EncoderBlock(Hopfield(6, heads=2, key=KEY), 9, key=KEY),
        of_encoder,
        lambda m, x: kept * m(x, src_key_padding_mask=padding),
        lambda m, x: MASK[..., None] * jax.vmap(lambda x, mask: m(x, token_mask=mask))(x, MASK),
        (TOKENS,),
    )


def test_decoder_block(torch, theirs):
    hidden = torch.tensor(~CAUSAL)
    layers = [theirs.Hopfield(input_size=6, num_heads=2) for _ in range(2)]
    assert_same(
        torch,
        theirs.transformer.HopfieldDecoderLayer(*layers, dim_feedforward=9, dropout=0.0),
        DecoderBlock(*(Hopfield(6, heads=2, key=KEY) for _ in range(2)), 9, key=KEY),
        of_decoder,
        lambda m, x, encoded: m(x, encoded, tgt_mask=hidden),
        lambda m, *rows: jax.vmap(lambda x, encoded: m(x, encoded, association_mask=CAUSAL))(*rows),
        (TOKENS, ENCODED),
    )
