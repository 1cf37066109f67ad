"""Hopfield layers: what they are made of, padding, steps, dropout, blocks, other libraries."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import slow_except

import hopfax
from hopfax import Method, ModernHopfield
from hopfax.gradients import EquilibriumPropagation, Implicit, Unrolled
from hopfax.interop import as_function
from hopfax.lagrangians import Entmax, Softmax1, Sparsemax
from hopfax.layers import (
    DecoderBlock,
    EncoderBlock,
    Hopfield,
    HopfieldLayer,
    HopfieldPooling,
    Relaxed,
    Repeated,
    Sizes,
)
from hopfax.memory import Dot, calibrate

KEY = jr.key(0)
TOKENS = jr.normal(jr.key(1), (5, 6))
QUERIES = jr.normal(jr.key(2), (3, 6))
MASK = np.array([True, False, True, True, False])
CAUSAL = np.tril(np.ones((5, 5), bool))
in_float64 = lambda tree: jax.tree.map(
    lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, tree
)


def layer(*sizes, **options):
    return in_float64(Hopfield(*(sizes or (6,)), key=KEY, **{"heads": 2, **options}))


def test_each_head_is_a_modern_hopfield_network_of_the_projected_patterns():
    module = layer(Sizes(6, head=4, head_values=3, outputs=7), beta=1.5, iteration=Repeated(2, 0.0))
    result = eqx.filter_jit(lambda m, *rows: m.associate(*rows))(module, QUERIES, TOKENS)
    project = lambda part, rows: np.asarray(jax.vmap(part)(rows)).reshape(len(rows), 2, -1)
    queries, patterns = project(module.query_projection, QUERIES), project(module.pattern_projection, TOKENS)
    values = project(module.value_projection, TOKENS)
    read = []
    for head in range(2):
        memory = ModernHopfield(patterns[:, head], 1.5, values=values[:, head])
        states = jax.vmap(lambda x, m=memory: m.update(m.update(x)))(queries[:, head])
        np.testing.assert_allclose(result.retrieval.state[head], states, atol=1e-13)
        np.testing.assert_allclose(result.weights[head], jax.vmap(memory.weights)(states), atol=1e-13)
        np.testing.assert_allclose(result.energy[head], jax.vmap(memory.energy)(states), atol=1e-13)
        read.append(jax.vmap(memory.read)(states))
    output = jax.vmap(module.output_projection)(jnp.concatenate(read, axis=1))
    np.testing.assert_allclose(result.output, output, atol=1e-13)


def test_attention_is_that_of_equinox():
    """Without norms and updates, with the same weights and no biases."""
    theirs = in_float64(eqx.nn.MultiheadAttention(2, 6, key=KEY))
    ours = layer(norm=eqx.nn.Identity)
    where = lambda m: (
        [p.layers[1].weight for p in (m.query_projection, m.pattern_projection, m.value_projection)]
        + [m.output_projection.weight]
    )
    linear = (theirs.query_proj, theirs.key_proj, theirs.value_proj, theirs.output_proj)
    ours = jax.tree.map(lambda x: jnp.zeros_like(x) if eqx.is_array(x) and x.ndim == 1 else x, ours)
    ours = eqx.tree_at(where, ours, [part.weight for part in linear])
    expected = theirs(TOKENS, TOKENS, TOKENS, mask=jnp.asarray(CAUSAL))
    np.testing.assert_allclose(ours(TOKENS, association_mask=CAUSAL), expected, atol=1e-12)


SEPARATIONS = {"softmax1": Softmax1, "sparsemax": Sparsemax, "entmax": ft.partial(Entmax, 1.5)}
PADDED = {
    "attention": {},
    "two updates": {"iteration": Repeated(2, 0.0)},
    "to equilibrium": {"iteration": Relaxed(Method(rtol=1e-10))},
    **{name: {"separation": separation} for name, separation in SEPARATIONS.items()},
}


@pytest.mark.parametrize("name", slow_except(PADDED, ["attention", "to equilibrium"]))
def test_padded_patterns_take_part_in_nothing(name):
    """Values and all gradients are those without the padded rows, and do not depend on what these hold, not a bit."""
    module = layer(beta=jnp.array([0.7, 2.0]), **PADDED[name])
    pooling = HopfieldPooling(module, QUERIES)

    def loss(both, mask=None):
        pooling, patterns = both
        result = pooling.associate(patterns, pattern_mask=mask)
        return jnp.sum(jnp.sin(result.output)) + jnp.sum(result.energy), result.weights

    gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss, has_aux=True))
    filled = [jnp.where(MASK[:, None], TOKENS, filler) for filler in (jnp.nan, 7.0)]
    padded, other = (gradient((pooling, rows), jnp.asarray(MASK)) for rows in filled)
    assert eqx.tree_equal(padded, other)
    ((value, weights), (slopes, rows)), alone = padded, gradient((pooling, TOKENS[MASK]))
    np.testing.assert_array_equal(weights[..., ~MASK], 0)
    np.testing.assert_array_equal(rows[~MASK], 0)
    actual = (value, weights[..., MASK], slopes, rows[MASK])
    expected = (alone[0][0], alone[0][1], *alone[1])
    for leaf, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-9, atol=1e-12)


def test_an_empty_set_reads_zeros_and_has_no_gradient_but_of_the_output():
    module, nothing = layer(iteration=Repeated(2)), jnp.zeros(5, bool)
    run = eqx.filter_jit(lambda m, x, mask: m.associate(QUERIES, x, pattern_mask=mask))
    result = run(module, TOKENS, nothing)
    np.testing.assert_array_equal(result.weights, 0)
    np.testing.assert_array_equal(result.output, jnp.tile(module.output_projection.bias, (3, 1)))
    gradient = eqx.filter_grad(lambda m: jnp.sum(run(m, TOKENS, nothing).output ** 2))(module)
    empty = eqx.tree_at(lambda m: m.output_projection, gradient, None)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(empty))


@pytest.mark.slow
def test_sets_of_different_size_in_a_batch():
    module, sizes = layer(), jnp.array([5, 2, 3])
    masks = jnp.arange(5)[None] < sizes[:, None]
    batch = jr.normal(jr.key(4), (3, 5, 6))
    outputs = jax.jit(jax.vmap(lambda x, m: module(QUERIES, x, pattern_mask=m)))(batch, masks)
    for output, rows, size in zip(outputs, batch, sizes, strict=True):
        np.testing.assert_allclose(output, module(QUERIES, rows[:size]), atol=1e-12)


@pytest.mark.slow
def test_relaxed_with_equilibrium_propagation_has_the_implicit_gradient():
    def slopes(gradient):
        module = layer(beta=1.5, iteration=Relaxed(Method(rtol=1e-12, gradient=gradient)))
        loss = lambda queries, patterns: jnp.sum(jnp.sin(module(queries, patterns)))
        return jax.jit(jax.grad(loss, argnums=(0, 1)))(QUERIES, TOKENS)

    (queries, patterns), (_, expected) = slopes(EquilibriumPropagation(1e-3)), slopes(Implicit())
    np.testing.assert_allclose(patterns, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(queries, 0)


def test_every_query_of_every_head_stops_by_itself():
    """A state that has converged is a fixed point, and its neighbours have no influence on its updates."""
    module = layer(beta=jnp.array([0.3, 9.0]), iteration=Repeated(200, 1e-6))
    run = eqx.filter_jit(lambda m, x: m.associate(x, TOKENS).retrieval)
    whole, alone = run(module, QUERIES), run(module, QUERIES[:1])
    assert np.all(whole.converged)
    assert len(np.unique(whole.steps)) > 1
    np.testing.assert_array_equal(whole.steps[:, :1], alone.steps)
    np.testing.assert_allclose(whole.state[:, :1], alone.state, atol=1e-13)
    assert np.all(np.asarray(whole.residual) <= 1e-6)


def test_relaxed_and_repeated_reach_one_equilibrium_with_one_gradient():
    """Implicit gradients are those of many unrolled updates, of which the queries have none at a fixed point."""
    repeated = layer(beta=1.5, iteration=Repeated(150, 0.0))
    relaxed = layer(beta=1.5, iteration=Relaxed(Method(rtol=1e-12)))

    @eqx.filter_jit
    def both(module):
        def loss(module, patterns):
            result = module.associate(QUERIES, patterns)
            return jnp.sum(jnp.sin(result.output)), result

        gradient = jax.grad(lambda x: loss(module, x)[0])(TOKENS)
        return gradient, loss(module, TOKENS)[1]

    (slope, result), (expected, reference) = both(relaxed), both(repeated)
    assert np.all(result.retrieval.converged)
    np.testing.assert_allclose(result.output, reference.output, atol=1e-9)
    np.testing.assert_allclose(result.energy, reference.energy, atol=1e-9)
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_calibrated_beta_is_that_of_each_heads_patterns():
    module, patterns = layer(Sizes(6, head=8)), jr.normal(jr.key(5), (12, 6))
    calibrated = module.calibrated(patterns)
    projected = np.asarray(jax.vmap(module.pattern_projection)(patterns)).reshape(12, 2, 8)
    expected = [calibrate(projected[:, head], similarity=Dot()).recall_beta for head in range(2)]
    np.testing.assert_allclose(calibrated.beta, expected)
    assert eqx.filter_grad(lambda m: jnp.sum(m(QUERIES, patterns)))(calibrated).beta.shape == (2,)


def test_dropout_needs_a_key_and_keeps_the_mean():
    module = layer(dropout=0.5)
    with pytest.raises(RuntimeError, match="key"):
        module(TOKENS)
    run = jax.jit(jax.vmap(lambda key: module(TOKENS, key=key)))
    outputs, expected = np.asarray(run(jr.split(KEY, 4000))), eqx.nn.inference_mode(module)(TOKENS)
    error = outputs.std(axis=0) / np.sqrt(len(outputs))
    assert np.all(np.abs(outputs.mean(axis=0) - expected) < 5 * error)
    np.testing.assert_array_equal(
        module.associate(TOKENS, key=KEY).weights, module.associate(TOKENS, key=jr.key(9)).weights
    )


def test_head_norm_and_projections_can_be_replaced():
    """Without projections it is a `ModernHopfield`, and with a head norm one with `Standardised`."""
    bare = layer(heads=1, beta=2.0)
    where = lambda m: (m.query_projection, m.pattern_projection, m.value_projection, m.output_projection)
    bare = eqx.tree_at(where, bare, (eqx.nn.Identity(),) * 4)
    memory = ModernHopfield(TOKENS, 2.0)
    np.testing.assert_allclose(bare(QUERIES, TOKENS), jax.vmap(memory.read)(QUERIES), atol=1e-13)
    norm = eqx.nn.LayerNorm(6, eps=1e-300, use_weight=False, use_bias=False)
    normed = eqx.tree_at(lambda m: m.head_norm, bare, norm)
    memory = ModernHopfield(TOKENS, 2.0, normalisation=hopfax.memory.Standardised(), values=TOKENS)
    expected = jax.vmap(memory.read)(hopfax.memory.Standardised()(QUERIES))
    np.testing.assert_allclose(normed(QUERIES, TOKENS), expected, atol=1e-12)


def test_pooling_joins_the_outputs_of_its_queries_and_does_not_depend_on_the_order_of_the_set():
    pooling = HopfieldPooling(layer(Sizes(6, outputs=4)), QUERIES)
    pooled = pooling(TOKENS)
    assert pooled.shape == (12,)
    np.testing.assert_allclose(pooling(TOKENS[::-1]), pooled, atol=1e-12)
    np.testing.assert_array_equal(pooled, jnp.ravel(pooling.associate(TOKENS).output))


def test_lookup_reads_the_value_of_the_nearest_pattern_at_high_beta():
    bare = layer(Sizes(6, values=2, head_values=2, outputs=2), heads=1, beta=1e3)
    where = lambda m: (m.query_projection, m.pattern_projection, m.value_projection, m.output_projection)
    bare = eqx.tree_at(where, bare, (eqx.nn.Identity(),) * 4)
    values = jr.normal(jr.key(6), (5, 2))
    table = HopfieldLayer(bare, TOKENS, values)
    best = jnp.argmax(QUERIES @ TOKENS.T, axis=1)
    np.testing.assert_allclose(table(QUERIES), values[best], atol=1e-8)


def test_a_causal_decoder_does_not_see_what_comes_later_and_no_block_sees_padding():
    decoder = in_float64(DecoderBlock(layer(), layer(), 9, key=KEY))
    encoder = in_float64(EncoderBlock(layer(), 9, key=KEY))
    encoded, later = jr.normal(jr.key(7), (4, 6)), TOKENS.at[3:].add(1.0)
    decode = eqx.filter_jit(lambda x, e, m: decoder(x, e, association_mask=CAUSAL, encoded_mask=m))
    mask = jnp.array([True, True, True, False])
    output = decode(TOKENS, encoded, mask)
    np.testing.assert_array_equal(decode(later, encoded, mask)[:3], output[:3])
    np.testing.assert_array_equal(decode(TOKENS, encoded.at[3].add(1.0), mask), output)
    encode = eqx.filter_jit(lambda x: encoder(x, token_mask=MASK))
    unknown = TOKENS.at[1].set(jnp.nan)
    np.testing.assert_array_equal(encode(unknown)[MASK], encode(TOKENS)[MASK])
    loss = lambda block, x: jnp.sum(jnp.where(MASK[:, None], block(x, token_mask=MASK), 0) ** 2)
    gradient = eqx.filter_jit(eqx.filter_grad(loss))
    assert eqx.tree_equal(gradient(encoder, unknown), gradient(encoder, TOKENS))


def test_dropout_of_blocks_needs_a_key():
    association = layer(dropout=0.1)
    decoder = DecoderBlock(association, association, 9, dropout=0.2, key=KEY)
    for block, inputs in (
        (EncoderBlock(association, 9, dropout=0.2, key=KEY), (TOKENS,)),
        (decoder, (TOKENS, TOKENS)),
    ):
        with pytest.raises(RuntimeError, match="key"):
            block(*inputs)
        a, b, c = (block(*inputs, key=key) for key in (KEY, KEY, jr.key(8)))
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).max() > 1e-3


def test_as_a_function_of_its_weights():
    module = HopfieldPooling(layer(), QUERIES)
    weights, apply = as_function(module)
    np.testing.assert_array_equal(apply(weights, TOKENS), module(TOKENS))


def test_in_flax():
    linen = pytest.importorskip("flax.linen")
    module = layer()
    weights, apply = as_function(module)

    class Block(linen.Module):
        @linen.compact
        def __call__(self, x):
            return jax.vmap(apply, (None, 0))(self.param("hopfield", lambda key: weights), x)

    batch = jnp.stack([TOKENS, -TOKENS])
    variables = Block().init(jr.key(0), batch)
    np.testing.assert_array_equal(Block().apply(variables, batch), jax.vmap(module)(batch))


def test_in_pytorch():
    torch = pytest.importorskip("torch")
    from hopfax.interop.torch import TorchModule

    module = HopfieldPooling(layer(), QUERIES)
    theirs, batch = TorchModule(module), np.stack([TOKENS, -TOKENS])
    x = torch.tensor(batch, requires_grad=True)
    y = theirs(x)
    y.sin().sum().backward()
    np.testing.assert_allclose(y.detach().numpy(), jax.vmap(module)(batch), atol=1e-12)
    loss = lambda x: jnp.sum(jnp.sin(jax.vmap(module)(x)))
    np.testing.assert_allclose(x.grad.numpy(), jax.grad(loss)(jnp.asarray(batch)), atol=1e-10)


def test_layers_keep_the_precision_of_their_weights_and_files():
    module = Hopfield(6, heads=2, beta=jnp.float32(1.0), key=KEY)
    rows = TOKENS.astype(jnp.float32)
    single = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, module)
    shapes = eqx.filter_eval_shape(single.associate, rows)
    assert {x.dtype.name for x in jax.tree.leaves(shapes) if jnp.issubdtype(x.dtype, jnp.floating)} == {
        "float32"
    }


def test_a_layer_comes_back_from_a_file(tmp_path):
    module = layer()
    eqx.tree_serialise_leaves(tmp_path / "layer.eqx", module)
    other = in_float64(Hopfield(6, heads=2, key=jr.key(9)))
    assert eqx.tree_equal(eqx.tree_deserialise_leaves(tmp_path / "layer.eqx", other), module)


def test_unrolled_relaxation_reaches_the_queries():
    module = layer(iteration=Relaxed(Method(solver=hopfax.Picard(), gradient=Unrolled(5))))
    assert np.abs(jax.jit(jax.grad(lambda q: jnp.sum(module(q, TOKENS))))(QUERIES)).max() > 0
