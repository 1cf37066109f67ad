"""Compiling functions of modules, and loops that are traced once: what saves the time of calls and of tracing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import sigmoid_chain

from hopfax._internal.jit import jit
from hopfax._internal.tree import with_batch_axis_of


def test_a_compiled_function_is_that_of_equinox_and_is_traced_once_for_all_arrays_of_a_structure():
    traced = []

    def energy(model, states, factor):
        traced.append(factor)
        return factor * model.energy(states)

    model, compiled = sigmoid_chain(4, 3, 2), jit(energy)
    states = [{n: jr.normal(jr.key(i), x.shape) for n, x in model.zeros(jnp.float64).items()} for i in (0, 1)]
    values = [compiled(model, state, factor) for state in states for factor in (1.0, 2.0)]
    assert traced == [1.0, 2.0]
    expected = [eqx.filter_jit(energy)(model, state, factor) for state in states for factor in (1.0, 2.0)]
    np.testing.assert_array_equal(values, expected)
    assert compiled.__name__ == "energy"


@pytest.mark.parametrize("value", [0.0, jnp.inf, jnp.nan])
def test_a_carry_keeps_its_values_and_its_loop_is_traced_once_for_a_batch(value):
    """The carry is a number that is 0 in every example; a loop sees only in its body that it will differ."""

    def counted(prepare):
        traced = []

        def one(limit):
            def body(carry):
                traced.append(None)
                return carry[0] + 1, carry[1] + limit

            carry = prepare(limit, (jnp.zeros(()), jnp.full((), value)))
            return jax.lax.while_loop(lambda carry: carry[0] < limit, body, carry)

        return jax.vmap(one)(jnp.arange(3.0)), len(traced)

    (plain, _), (batched, traces) = counted(lambda limit, carry: carry), counted(with_batch_axis_of)
    np.testing.assert_array_equal(plain, batched)
    assert traces == 1
