"""A batch that drops converged examples gives what each example gives alone, at any depth of `vmap`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfax.solvers.batched_loop import LARGE_BATCH, MIN_BATCH, batched_while_loop


def divide(inputs, carry):
    """`value / factor`, and one more step."""
    value, count = carry
    return value / inputs["factor"], count + 1


def divisions(start, factor):
    """The first value below one, and how many steps lead to it."""
    begin = (start, jnp.zeros((), int))
    return batched_while_loop(lambda c: c[0] >= 1, divide, {"factor": factor, "static": "text"}, begin)


def expected(start, factor):
    return np.maximum(0, np.floor(np.log(np.asarray(start)) / np.log(factor)) + 1).astype(int)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0.1, 1e6), min_size=MIN_BATCH, max_size=MIN_BATCH))
def test_each_example_ends_where_it_would_alone(starts):
    values, counts = jax.vmap(divisions, in_axes=(0, None))(jnp.asarray(starts), 2.0)
    alone = [divisions(jnp.asarray(start), 2.0) for start in starts[:3]]
    np.testing.assert_array_equal(values[:3], [value for value, _ in alone])
    np.testing.assert_array_equal(counts[:3], [count for _, count in alone])
    assert (values < 1).all()


@pytest.mark.parametrize("size", [1, MIN_BATCH - 1, MIN_BATCH, 2 * MIN_BATCH + 3, LARGE_BATCH + 5])
def test_any_size_of_batch(size):
    starts = jnp.exp(jnp.linspace(0.1, 9, size))
    np.testing.assert_array_equal(jax.vmap(divisions, (0, None))(starts, 3.0)[1], expected(starts, 3.0))


@pytest.mark.parametrize("axes", [(None, 0), (0, None), (0, 0)])
def test_a_vmap_of_a_vmap_is_one_batch(axes):
    """Also where only the carry, or only the inputs, have the outer axis."""
    starts, factors = jnp.exp(jnp.linspace(0.1, 9, 40)), jnp.asarray([2.0, 3.0, 5.0])
    inner = jax.vmap(divisions, in_axes=(0, None))
    rows = starts if axes[0] is None else jnp.stack([starts, starts[::-1], starts + 1])
    by = factors if axes[1] == 0 else jnp.asarray(2.0)
    counts = jax.vmap(inner, in_axes=axes)(rows, by)[1]
    for i in range(3):
        row = rows if axes[0] is None else rows[i]
        np.testing.assert_array_equal(counts[i], expected(row, float(by[i] if axes[1] == 0 else by)))


def test_inputs_may_differ_between_examples():
    starts, factors = jnp.full(50, 100.0), jnp.linspace(1.5, 20, 50)
    np.testing.assert_array_equal(
        jax.vmap(divisions)(starts, factors)[1], expected(starts, np.asarray(factors))
    )


def test_examples_that_have_ended_take_no_step():
    values, counts = jax.vmap(divisions, in_axes=(0, None))(jnp.full(64, 0.5), 2.0)
    assert (values == 0.5).all()
    assert (counts == 0).all()


@pytest.mark.parametrize("size", [5, 40])
def test_carry_and_inputs_may_be_of_any_shape(size):
    """Matrices divided by a vector of factors until their sum is small, in a batch of batches."""
    starts = jnp.exp(jnp.linspace(0.1, 9, 3 * size)).reshape(3, size)
    matrices = jnp.broadcast_to(starts[..., None, None], (3, size, 2, 2))
    factors = jnp.array([[2.0, 2.0], [3.0, 3.0], [5.0, 5.0]])
    step = lambda inputs, carry: (carry[0] / inputs["by"][None], carry[1] + 1)
    running = lambda carry: jnp.sum(carry[0]) >= 4
    run = lambda start, by: batched_while_loop(running, step, {"by": by}, (start, jnp.zeros((), int)))
    inner = jax.vmap(run, (0, None))
    counts = jax.vmap(inner)(matrices, factors)[1]
    of_first = jax.vmap(inner, (None, 0))(matrices[0], factors)[1]
    for i, factor in enumerate((2.0, 3.0, 5.0)):
        np.testing.assert_array_equal(counts[i], expected(starts[i], factor))
        np.testing.assert_array_equal(of_first[i], expected(starts[0], factor))


@pytest.mark.parametrize("size", [5, 40])
def test_a_carry_may_be_one_array(size):
    """Halved until it is below one, `x` ends at its fraction `x / 2^(⌊log₂ x⌋ + 1)` in [½, 1)."""
    starts = jnp.linspace(1.0, 900.0, size)
    run = lambda x: batched_while_loop(lambda x: x >= 1, lambda inputs, x: x * inputs, jnp.asarray(0.5), x)
    np.testing.assert_array_equal(jax.jit(jax.vmap(run))(starts), np.frexp(np.asarray(starts))[0])


@pytest.mark.parametrize(("size", "share"), [(64, 1 / 6), (LARGE_BATCH, 1 / 9)])
def test_dropping_converged_examples_saves_work(size, share):
    """With one slow example in a batch, only this share of its steps times the size of the batch is taken."""
    steps = []

    def counted(inputs, carry):
        jax.debug.callback(steps.append, carry[0])  # once for each example
        return divide(inputs, carry)

    begin = lambda start: (start, jnp.zeros((), int))
    run = lambda start: batched_while_loop(lambda c: c[0] >= 1, counted, {"factor": 2.0}, begin(start))
    jax.block_until_ready(jax.vmap(run)(jnp.full(size, 1.5).at[5].set(2.0**99)))
    jax.effects_barrier()
    assert len(steps) < size * 100 * share


@pytest.mark.parametrize("batched", [False, True])
def test_checking_less_often_changes_nothing(batched):
    starts = jnp.exp(jnp.linspace(0.1, 9, 40)) if batched else jnp.asarray(1000.0)
    begin = lambda start: (start, jnp.zeros((), int))
    run = lambda start, every: batched_while_loop(
        lambda c: c[0] >= 1, divide, {"factor": 2.0}, begin(start), check_every=every
    )
    often, rarely = (
        jax.vmap(lambda s, e=e: run(s, e))(starts) if batched else run(starts, e) for e in (1, 7)
    )
    np.testing.assert_array_equal(often[0], rarely[0])
    np.testing.assert_array_equal(often[1], rarely[1])
