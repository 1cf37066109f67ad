"""Compiling functions of modules, and what is made or traced once: what saves the time of calls and of tracing."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import sigmoid_chain

from hopfax import Method, relax
from hopfax._internal.jit import jit, kept_result
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


def test_a_kept_result_is_made_once_for_a_module_which_stays_as_it_is_and_goes_with_it():
    made = []

    class Scaled(eqx.Module):
        factor: float

        @property
        @kept_result
        def double(self):
            made.append(self.factor)
            return 2 * self.factor

    modules = [Scaled(1.0), Scaled(3.0)]
    assert [module.double for module in modules for _ in range(3)] == [2.0] * 3 + [6.0] * 3
    assert made == [1.0, 3.0]
    assert jax.tree.structure(modules[0]) == jax.tree.structure(Scaled(1.0))
    for _ in range(50):  # new modules may get the address of those that are gone
        assert Scaled(float(len(made))).double == 2.0 * (len(made) - 1)


def test_a_module_that_can_be_changed_is_not_flattened_once():
    class Shelf(eqx.Module):
        boxes: tuple | list | dict

    total = jit(lambda shelf: sum(jax.tree.leaves(shelf)))
    for shelf in (Shelf([jnp.ones(()), 2.0]), Shelf({0: jnp.ones(()), 1: 2.0})):
        assert total(shelf) == 3
        shelf.boxes[1] = 5.0
        assert total(shelf) == 6
    shelf = Shelf((jnp.ones(()), 2.0))
    assert [total(shelf), total(shelf), total(Shelf((2.0, jnp.ones(()))))] == [3, 3, 3]


def test_relaxing_leaves_a_method_as_it_was():
    """Else whatever takes the method afterwards would be compiled again."""
    method, model = Method(), sigmoid_chain(4, 3, 2)
    relax(model, {"input": jnp.ones((2, 4))}, method=method)
    assert jax.tree.structure(method) == jax.tree.structure(Method())


def test_no_module_keeps_anything_beside_its_fields():
    """A `cached_property` would change the structure of the module."""

    def subclasses(cls):
        return {cls}.union(*(subclasses(sub) for sub in cls.__subclasses__()))

    ours = {cls for cls in subclasses(eqx.Module) if cls.__module__.startswith("hopfax.")}
    kept = [cls for cls in ours if any(isinstance(x, ft.cached_property) for x in vars(cls).values())]
    assert len(ours) > 50
    assert kept == []
