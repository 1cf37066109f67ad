"""Binary networks against theory: what rules hold, and how updates move the energy."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax.memory import binary as classical
from hopfax.memory.binary import BinaryHopfield, Random, Sequential, Synchronous, hebb, projection, storkey

SIGNS = jr.rademacher(jr.key(0), (20, 12), float)
RULES = pytest.mark.parametrize("rule", [hebb, projection, storkey], ids=lambda rule: rule.__name__)
over = lambda function, states: jax.jit(jax.vmap(function))(states)


def walsh(n: int) -> np.ndarray:
    """`n` orthogonal rows of signs, `n` a power of two."""
    rows = np.ones((1, 1))
    while len(rows) < n:
        rows = np.block([[rows, rows], [rows, -rows]])
    return rows


@RULES
def test_orthogonal_patterns_are_stable_and_so_are_their_inverses(rule):
    patterns = walsh(16)[:4]
    network = BinaryHopfield.store(patterns, rule)
    assert jnp.all(over(network.stable, jnp.concatenate([patterns, -patterns])))


@RULES
def test_few_random_patterns_are_recalled_from_noise(rule):
    patterns = jr.rademacher(jr.key(1), (5, 200), float)
    flips = jnp.where(jr.uniform(jr.key(2), patterns.shape) < 0.1, -1.0, 1.0)
    found = BinaryHopfield.store(patterns, rule).recall(patterns * flips, order=Synchronous())
    np.testing.assert_array_equal(found.state, patterns)
    assert jnp.all(found.converged)


def test_projection_holds_correlated_patterns_that_hebb_forgets_in_one_step():
    common = jr.rademacher(jr.key(3), (1, 60), float)
    patterns = jnp.where(jr.uniform(jr.key(4), (10, 60)) < 0.15, -common, common)
    stable = lambda rule: over(BinaryHopfield.store(patterns, rule).stable, patterns)
    assert jnp.all(stable(projection))
    assert not jnp.any(stable(hebb))
    assert jnp.all(over(lambda x: projection(patterns) @ x * x > 0, patterns))


def test_projection_of_orthogonal_patterns_is_hebb():
    patterns = jnp.asarray(walsh(8)[:3])
    np.testing.assert_allclose(projection(patterns), hebb(patterns), atol=1e-12)


def test_storkey_is_its_sum_written_out():
    patterns = np.asarray(SIGNS[:3, :5])
    n, weights = 5, np.zeros((5, 5))
    for x in patterns:
        h = np.zeros((n, n))
        for i, j in itertools.product(range(n), repeat=2):
            h[i, j] = sum(weights[i, k] * x[k] for k in range(n) if k not in (i, j))
        change = np.outer(x, x) - x[:, None] * h.T - h * x[None, :]
        weights = weights + (change - np.diag(np.diagonal(change))) / n
    np.testing.assert_allclose(storkey(jnp.asarray(patterns)), weights, atol=1e-14)


def test_storkey_holds_more_than_hebb():
    patterns = jr.rademacher(jr.key(5), (25, 100), float)
    share = lambda rule: jnp.mean(over(BinaryHopfield.store(patterns, rule).stable, patterns))
    assert share(storkey) > share(hebb) + 0.5


@pytest.mark.parametrize("order", [Sequential(), Random(jr.key(6))], ids=["sequential", "random"])
def test_energy_never_rises_one_by_one_and_ends_in_a_stable_state(order):
    network = BinaryHopfield.store(SIGNS[:4])
    step = lambda state, count: (order.sweep(network, state, count), network.energy(state))
    sweeps = jax.jit(jax.vmap(lambda s: jax.lax.scan(step, s, jnp.arange(8))[1]))
    assert jnp.all(jnp.diff(sweeps(SIGNS), axis=1) <= 1e-14)
    found = network.recall(SIGNS, order=order)
    assert jnp.all(found.converged)
    assert jnp.all(over(network.stable, found.state))
    assert order.descends
    np.testing.assert_allclose(found.energy, over(network.energy, found.state))


def test_two_neurons_that_disagree_cycle_together_and_rest_in_turn():
    network = BinaryHopfield(jnp.array([[0.0, 1.0], [1.0, 0.0]]))
    query = jnp.array([1.0, -1.0])
    together, in_turn = network.recall(query, order=Synchronous()), network.recall(query)
    assert together.cycles
    assert not together.converged
    assert in_turn.converged
    np.testing.assert_array_equal(in_turn.state, [-1.0, -1.0])
    assert not Synchronous().descends


def test_a_stable_query_takes_no_sweep_and_a_batch_is_its_rows():
    network = BinaryHopfield.store(SIGNS[:4])
    batch = network.recall(SIGNS)
    rows = [network.recall(row) for row in SIGNS[:5]]
    np.testing.assert_array_equal(batch.state[:5], jnp.stack([row.state for row in rows]))
    np.testing.assert_array_equal(batch.sweeps[:5], jnp.stack([row.sweeps for row in rows]))
    assert jnp.all(network.recall(batch.state).sweeps == 0)


def test_a_bias_decides_where_weights_do_not():
    network = BinaryHopfield(jnp.zeros((2, 2)), jnp.array([1.0, -1.0]))
    np.testing.assert_array_equal(network.recall(jnp.array([-1.0, 1.0])).state, [1.0, -1.0])
    untouched = BinaryHopfield(jnp.zeros((2, 2)))
    np.testing.assert_array_equal(untouched.recall(jnp.array([-1.0, 1.0])).state, [-1.0, 1.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BinaryHopfield.store(jnp.zeros((2, 3))), "must be -1 or 1"),
        (lambda: BinaryHopfield(jnp.ones((2, 2))), "zero diagonal"),
        (lambda: BinaryHopfield.store(SIGNS).recall(jnp.ones(3)), "last axis must be 12"),
        (lambda: classical.check_signs("queries", jnp.array([0.5])), "`queries` must be"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
