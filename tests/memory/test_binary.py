"""Binary networks against theory: what the rules store, how updates change the energy, what a result says."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax.memory.binary import (
    BinaryHopfield,
    RandomSchedule,
    SequentialSchedule,
    SynchronousSchedule,
    check_signs,
)
from hopfax.memory.storage_rules import hebb, projection, storkey

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
    assert jnp.all(over(network.is_stable, jnp.concatenate([patterns, -patterns])))


@RULES
def test_few_random_patterns_are_recalled_from_noise(rule):
    patterns = jr.rademacher(jr.key(1), (5, 200), float)
    flips = jnp.where(jr.uniform(jr.key(2), patterns.shape) < 0.1, -1.0, 1.0)
    recalled = BinaryHopfield.store(patterns, rule).recall(patterns * flips, schedule=SynchronousSchedule())
    np.testing.assert_array_equal(recalled.state, patterns)
    assert jnp.all(recalled.converged)


def test_projection_stores_correlated_patterns_that_hebb_forgets_in_one_step():
    common = jr.rademacher(jr.key(3), (1, 60), float)
    patterns = jnp.where(jr.uniform(jr.key(4), (10, 60)) < 0.15, -common, common)
    stable = lambda rule: over(BinaryHopfield.store(patterns, rule).is_stable, patterns)
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


def test_storkey_stores_more_than_hebb():
    patterns = jr.rademacher(jr.key(5), (25, 100), float)
    fraction = lambda rule: jnp.mean(over(BinaryHopfield.store(patterns, rule).is_stable, patterns))
    assert fraction(storkey) > fraction(hebb) + 0.5


@pytest.mark.parametrize(
    "schedule", [SequentialSchedule(), RandomSchedule(jr.key(6))], ids=["sequential", "random"]
)
def test_energy_never_rises_one_by_one_and_ends_in_a_stable_state(schedule):
    network = BinaryHopfield.store(SIGNS[:4])
    step = lambda state, count: (schedule.sweep(network, state, count), network.energy(state))
    sweeps = jax.jit(jax.vmap(lambda s: jax.lax.scan(step, s, jnp.arange(8))[1]))
    assert jnp.all(jnp.diff(sweeps(SIGNS), axis=1) <= 1e-14)
    recalled = network.recall(SIGNS, schedule=schedule)
    assert jnp.all(recalled.converged)
    assert jnp.all(over(network.is_stable, recalled.state))
    assert schedule.monotone
    np.testing.assert_allclose(recalled.energy, over(network.energy, recalled.state))


def test_two_neurons_that_disagree_cycle_synchronously_and_converge_sequentially():
    network = BinaryHopfield(jnp.array([[0.0, 1.0], [1.0, 0.0]]))
    query = jnp.array([1.0, -1.0])
    synchronous, sequential = network.recall(query, schedule=SynchronousSchedule()), network.recall(query)
    assert synchronous.cycles
    assert not synchronous.converged
    assert sequential.converged
    np.testing.assert_array_equal(sequential.state, [-1.0, -1.0])
    assert not SynchronousSchedule().monotone


def test_a_stable_query_takes_no_sweep_and_a_batch_is_its_rows():
    network = BinaryHopfield.store(SIGNS[:4])
    batch = network.recall(SIGNS)
    rows = [network.recall(row) for row in SIGNS[:5]]
    np.testing.assert_array_equal(batch.state[:5], jnp.stack([row.state for row in rows]))
    np.testing.assert_array_equal(batch.sweeps[:5], jnp.stack([row.sweeps for row in rows]))
    assert jnp.all(network.recall(batch.state).sweeps == 0)


def test_a_bias_decides_where_weights_do_not():
    network = BinaryHopfield(jnp.zeros((2, 2)), jnp.array([1.0, -1.0]))
    for schedule in (SequentialSchedule(), SynchronousSchedule()):
        recalled = network.recall(jnp.array([-1.0, 1.0]), schedule=schedule)
        np.testing.assert_array_equal(recalled.state, [1.0, -1.0])
        assert recalled.converged  # the inverse of the query, reached in one sweep, is not a cycle
        assert not recalled.cycles
        assert recalled.sweeps == 1
    untouched = BinaryHopfield(jnp.zeros((2, 2)))
    np.testing.assert_array_equal(untouched.recall(jnp.array([-1.0, 1.0])).state, [-1.0, 1.0])


def test_the_result_names_the_pattern_and_says_if_it_is_inverted():
    network = BinaryHopfield.store(SIGNS[:2])
    recalled = network.recall(jnp.stack([SIGNS[1], -SIGNS[1]]))
    np.testing.assert_array_equal(recalled.index, [1, 1])
    np.testing.assert_allclose(recalled.overlap, [1, -1])
    np.testing.assert_array_equal(recalled.inverted, [False, True])
    np.testing.assert_array_equal(recalled.other_pattern, [False, True])


def test_an_overloaded_network_says_that_it_recalls_something_else():
    patterns = jr.rademacher(jr.key(7), (40, 60), float)
    recalled = BinaryHopfield.store(patterns).recall(patterns)
    right = jnp.all(recalled.state == patterns, axis=1)
    assert jnp.mean(right) < 0.2
    overlap = jnp.mean(recalled.state * patterns[recalled.index], axis=1)
    np.testing.assert_allclose(recalled.overlap, overlap, atol=1e-12)
    assert jnp.all((recalled.overlap < 1)[~right])


def test_a_pattern_and_its_inverse_both_stored_are_told_apart():
    patterns = jnp.concatenate([SIGNS[:1], -SIGNS[:1]])
    recalled = BinaryHopfield.store(patterns).recall(patterns)
    np.testing.assert_array_equal(recalled.index, [0, 1])
    assert not jnp.any(recalled.inverted)


def test_a_network_made_from_weights_knows_no_patterns():
    recalled = BinaryHopfield(jnp.zeros((2, 2))).recall(jnp.ones(2))
    assert recalled.overlap is None
    with pytest.raises(ValueError, match="`BinaryHopfield.store`"):
        recalled.inverted  # noqa: B018


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BinaryHopfield.store(jnp.zeros((2, 3))), "must be -1 or 1"),
        (lambda: BinaryHopfield(jnp.ones((2, 2))), "zero diagonal"),
        (lambda: BinaryHopfield.store(SIGNS).recall(jnp.ones(3)), "last axis must be 12"),
        (lambda: check_signs("queries", jnp.array([0.5])), "`queries` must be"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
