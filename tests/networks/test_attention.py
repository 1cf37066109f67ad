"""The attention energy against the formula of the Energy Transformer, written out."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close

from hopfax import HAM, Layer, relax
from hopfax.lagrangians import AlongAxis, LayerNorm
from hopfax.networks import Attention, PatchClamp, energy_transformer, image_transformer
from hopfax.networks.image_transformer import PLACE, _code, _rotation

TOKENS, DIM, HEADS, WIDTH = 4, 3, 2, 5
QUERY, KEY = (jr.normal(jr.key(i), (HEADS, DIM, WIDTH), jnp.float64) for i in (0, 1))
POSITIONS = jr.normal(jr.key(2), (TOKENS, DIM), jnp.float64)
# Rows and columns to the neighbour of each head, as documented.
NEIGHBOURS = [(0, 1), (1, 0), (1, 1), (1, -1)]
G = jr.normal(jr.key(3), (TOKENS, DIM), jnp.float64)


def by_loops(g, beta, itself, positions):
    """Hoover et al., eq. 3: the sum over the heads and the queries of the log of the sum over the other keys."""
    tokens, energy = np.asarray(g + positions), 0.0
    for head, t in itertools.product(range(HEADS), range(TOKENS)):
        query = tokens[t] @ np.asarray(QUERY[head])
        others = [u for u in range(TOKENS) if itself or u != t]
        scores = [beta * np.dot(tokens[u] @ np.asarray(KEY[head]), query) for u in others]
        energy -= np.log(np.sum(np.exp(scores))) / beta
    return energy


@pytest.mark.parametrize("itself", [False, True])
@pytest.mark.parametrize("positions", [None, POSITIONS])
def test_the_energy_is_that_of_the_paper(itself, positions):
    synapse = Attention("tokens", QUERY, KEY, positions, 0.3, attends_to_itself=itself)
    assert close(synapse(G), by_loops(G, 0.3, itself, 0 if positions is None else positions), 1e-10)


def test_the_inverse_temperature_is_one_over_the_root_of_the_width_unless_given():
    assert close(Attention("tokens", QUERY, KEY)(G), by_loops(G, 1 / np.sqrt(WIDTH), False, 0), 1e-10)


@pytest.mark.parametrize("itself", [False, True])
@pytest.mark.parametrize("factor", [1.0, 1.0 + 0.1j])
def test_the_drive_is_minus_the_derivative_of_the_energy(itself, factor):
    synapse, g = Attention("tokens", QUERY, KEY, POSITIONS, 0.3, itself), factor * G
    derivative = jax.grad(synapse, holomorphic=jnp.iscomplexobj(g))(g)
    assert close(synapse.drive("tokens", g), -derivative, 1e-10)


def test_attention_sums_to_one_and_leaves_out_the_token_itself():
    weights = Attention("tokens", QUERY, KEY).weights(G)
    assert weights.shape == (HEADS, TOKENS, TOKENS)
    assert close(jnp.sum(weights, axis=-1), jnp.ones((HEADS, TOKENS)))
    assert close(jnp.trace(weights, axis1=1, axis2=2), jnp.zeros(HEADS))


def test_without_activation_all_keys_count_alike():
    """So the energy does not vanish there, and updates do not leave it out."""
    synapse = Attention("tokens", QUERY, KEY, beta=0.3)
    assert close(synapse(0 * G), -HEADS * TOKENS * np.log(TOKENS - 1) / 0.3)
    assert not synapse.vanishes


def test_large_scores_do_not_overflow():
    synapse = Attention("tokens", 1e3 * QUERY, 1e3 * KEY)
    assert jnp.isfinite(synapse(G))
    assert jnp.all(jnp.isfinite(synapse.drive("tokens", G)))


def test_without_positions_the_order_of_tokens_has_no_meaning():
    synapse, order = Attention("tokens", QUERY, KEY), jnp.array([2, 0, 3, 1])
    assert close(synapse(G[order]), synapse(G))
    assert close(synapse.drive("tokens", G[order]), synapse.drive("tokens", G)[order])


def test_the_weights_of_a_new_energy_transformer_are_drawn_independently():
    """Equal tables would mean that two were drawn from one key."""
    model = energy_transformer(4, 4, 4, 4, width=1, key=jr.key(0))
    tables = [x.ravel() for x in jax.tree.leaves(model.synapses) if x.size == 16]
    correlations = np.abs(np.corrcoef(np.stack(tables)))
    assert len(tables) == 4
    assert np.max(correlations - np.eye(len(tables))) < 0.9


@pytest.mark.parametrize("step", NEIGHBOURS)
def test_a_rotated_code_is_that_of_the_place_a_step_further(step):
    places, frequencies = jnp.array([[0, 0], [2, 5], [6, 1]]), jnp.array([0.4, 0.9, 1.8])
    assert close(
        _code(places, frequencies) @ _rotation(step, frequencies),
        _code(places + jnp.asarray([step] * 3), frequencies),
        1e-6,
    )


def test_codes_of_places_have_frequencies_that_double():
    """So the inner product of two codes is `Σ_f cos(f Δrow) + cos(f Δcolumn)`; the lowest makes half a turn."""
    rows, columns = 5, 6
    model = image_transformer(jnp.zeros((rows, columns, 4)), 32, 4, 8, key=jr.key(0))
    code = np.asarray(model.synapses["tokens 2"].bias)[:, :PLACE] * 6**0.5 / 4
    places = np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)
    turns = np.einsum("nma,f->nmaf", places[:, None] - places[None], np.pi / columns * np.array([1, 2, 4]))
    np.testing.assert_allclose(code @ code.T, np.cos(turns).sum(axis=(2, 3)), atol=1e-5)


def test_heads_of_a_new_image_transformer_attend_to_their_neighbour():
    rows, columns = 5, 6
    model = image_transformer(jnp.zeros((rows, columns, 4)), 32, 4, 8, key=jr.key(0))
    weights = model.synapses["tokens"].weights(jnp.zeros((rows * columns, 32)))
    inner = np.array(
        [row * columns + column for row in range(1, rows - 1) for column in range(1, columns - 1)]
    )
    for head, (down, right) in enumerate(NEIGHBOURS):
        assert (np.argmax(weights[head, inner], axis=-1) == inner + down * columns + right).all()


def test_weights_of_a_new_energy_transformer_keep_the_size_of_a_token():
    """Queries, keys and memories of a token with entries of variance 1 have entries of variance about 1."""
    tokens, dim, memories = 50, 40, 60
    model = energy_transformer(tokens, dim, 5, memories, key=jr.key(0))
    attention, shared = model.synapses["tokens"], model.synapses["tokens-memories"]
    size = lambda x: float(np.std(np.asarray(x)))
    assert size(attention.query) == pytest.approx(dim**-0.5, rel=0.1)
    assert size(attention.key) == pytest.approx(dim**-0.5, rel=0.1)
    assert size(attention.positions) == pytest.approx(0.1, rel=0.1)
    assert size(shared.weight) == pytest.approx((dim + memories) ** -0.5, rel=0.1)


def test_queries_and_keys_of_a_new_image_transformer_turn_what_they_read_differently():
    attention = image_transformer(jnp.zeros((5, 6, 4)), 32, 4, 8, key=jr.key(0)).synapses["tokens"]
    query, key = (np.asarray(table)[:, PLACE:, PLACE:].ravel() for table in (attention.query, attention.key))
    assert np.abs(np.corrcoef(query, key)[0, 1]) < 0.5


def test_unknown_patches_have_no_influence_and_known_ones_reach_their_neighbours():
    mean = jnp.full((2, 3, 4), 0.3)
    model = image_transformer(mean, 16, 2, 8, key=jr.key(1))
    known = jnp.broadcast_to(jnp.array([True, False, True, True, False, True])[:, None], (6, 4))
    image = jr.uniform(jr.key(2), (6, 4))
    completed = lambda image: relax(model, PatchClamp(mean.reshape(6, 4))(image, known))
    result = completed(image)
    assert result.converged
    assert close(result.activation["image"][known], image[known])
    holes = completed(jnp.where(known, image, jnp.nan)).activation["image"]
    assert close(holes, result.activation["image"])
    other = completed(image.at[2].set(0.9)).activation["image"]
    assert jnp.max(jnp.abs(other - holes)[1]) > 1e-4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Attention("tokens", QUERY, KEY[:1]), "both must be"),
        (lambda: Attention("tokens", QUERY[0], KEY[0]), "heads, dim, width"),
        (lambda: Attention("tokens", QUERY, KEY, beta=0.0), "Attention.beta"),
        (lambda: network((TOKENS, 2), Attention("tokens", QUERY, KEY)), r"needs a layer \(tokens, 3\)"),
        (lambda: network((1, DIM), Attention("tokens", QUERY, KEY)), "no other to attend to"),
        (lambda: network((5, DIM), Attention("tokens", QUERY, KEY, POSITIONS)), "positions.*has shape"),
        (lambda: energy_transformer(1, 4, 2, 3, key=jr.key(0)), "tokens"),
        (lambda: image_transformer(jnp.zeros((2, 3, 4)), 13, 2, 3, key=jr.key(0)), "dim"),
        (lambda: image_transformer(jnp.zeros((6, 4)), 16, 2, 3, key=jr.key(0)), "rows, columns"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def network(shape, synapse) -> HAM:
    return HAM({"tokens": Layer(shape, AlongAxis(LayerNorm(), -1))}, [synapse])
