"""The penalty is that of the largest eigenvalue of the update's Jacobian, with the eigenvalue's own gradient."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import clamped, double, scaled, slow_except

import hopfax
from hopfax import EvenOdd, Method, chain
from hopfax.gradients import EquilibriumPropagation, Implicit
from hopfax.lagrangians import HardSigmoid, Tanh
from hopfax.networks import ConvBlock, convolutional, energy_transformer
from hopfax.solvers.plain import Picard
from hopfax.training import Classification, Completion, ScatteredPixels, SpectralPenalty
from hopfax.training.spectral_penalty import largest_eigenvalue
from hopfax.updates import Coloured, Synchronous
from hopfax.updates.problem import Problem

MANY = 40  # products, with which the Krylov spaces here are complete
EXACT = Method(solver=Picard(), rtol=1e-12, atol=0.0, max_steps=5000)


def tanh_chain() -> hopfax.HAM:
    return scaled(double(chain((4, 6, 5), Tanh(), key=jr.key(1), bias_std=0.5)), 0.9)


def maps() -> hopfax.HAM:
    blocks = [ConvBlock(2, 3, stride=2), ConvBlock(3, 2, stride=1)]
    return double(convolutional((6, 6, 1), blocks, 3, Tanh(), key=jr.key(2)))


def attention() -> hopfax.HAM:
    return double(energy_transformer(3, 4, 2, 5, key=jr.key(3)))


CASES = {
    "chain": lambda: (tanh_chain(), clamped(), EvenOdd()),
    "chain, all at once": lambda: (tanh_chain(), clamped(), Synchronous()),
    "maps": lambda: (maps(), {"input": jr.uniform(jr.key(4), (6, 6, 1), jnp.float64)}, EvenOdd()),
    "attention": lambda: (attention(), {}, Coloured()),
}


def jacobian(free, update, point):
    """Of the map of the unknown layers, as one matrix."""
    flat, unravel = ravel_pytree(point)
    problem = Problem(free, update).eliminated()
    return jax.jacobian(lambda x: ravel_pytree(problem.image(unravel(x)))[0])(flat)


def near_equilibrium(name: str):
    """The free network of a case, its update, and the states of the unknown layers after a few steps."""
    model, clamp, update = CASES[name]()
    free = model.condition(clamp)
    states = hopfax.relax(model, clamp, method=Method(update, Picard(), max_steps=3)).state
    return free, update, Problem(free, update).eliminated().restrict(states)


@pytest.mark.parametrize("name", CASES)
def test_the_eigenvalue_is_that_of_the_dense_jacobian(name):
    free, update, point = near_equilibrium(name)
    dense = np.max(np.linalg.eigvals(np.asarray(eqx.filter_jit(jacobian)(free, update, point))).real)
    estimate = eqx.filter_jit(lambda: largest_eigenvalue(free, update, point, MANY))
    assert dense > 0.1
    assert estimate() == pytest.approx(dense, rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_its_gradient_is_that_of_the_dense_eigenvalue_at_fixed_states(name):
    free, update, point = near_equilibrium(name)
    arrays, static = eqx.partition(free, eqx.is_inexact_array)
    direction = jax.tree.map(lambda x: jr.normal(jr.key(x.size), x.shape, x.dtype), arrays)
    moved = lambda step: eqx.combine(jax.tree.map(lambda x, d: x + step * d, arrays, direction), static)
    dense = eqx.filter_jit(lambda step: jacobian(moved(step), update, point))
    largest = lambda step: np.max(np.linalg.eigvals(np.asarray(dense(step))).real)
    estimate = lambda step: largest_eigenvalue(moved(step), update, point, MANY)
    slope = jax.jit(jax.grad(estimate))(0.0)
    assert slope == pytest.approx((largest(1e-5) - largest(-1e-5)) / 2e-5, rel=1e-4, abs=1e-8)


def test_an_estimate_of_a_positive_map_is_never_above_the_eigenvalue_and_grows_with_products():
    free, update, point = near_equilibrium("maps")
    estimates = [largest_eigenvalue(free, update, point, products) for products in (1, 2, 4, MANY)]
    assert estimates == sorted(estimates)
    assert estimates[2] > 0.9 * estimates[3]


def test_saturated_neurons_have_the_eigenvalue_zero_and_a_finite_gradient():
    model = double(chain((2, 3, 2), HardSigmoid(), key=jr.key(0)))
    free = model.condition({"input": jnp.ones(2)})
    states = {"hidden1": jnp.full(3, 5.0), "output": jnp.full(2, 5.0)}
    value = lambda m: largest_eigenvalue(m, EvenOdd(), states, 3)
    eigenvalue, gradient = eqx.filter_jit(eqx.filter_value_and_grad(value))(free)
    assert eigenvalue == 0
    assert all(jnp.all(x == 0) for x in jax.tree.leaves(eqx.filter(gradient, eqx.is_array)))


def tasks():
    model = tanh_chain()
    images, labels = jr.uniform(jr.key(5), (6, 4)), jnp.array([0, 1, 2, 3, 4, 0], jnp.int32)
    for gradient in (Implicit(), EquilibriumPropagation()):
        yield Classification(dataclasses.replace(EXACT, gradient=gradient)), model, (images, labels)
    pixels = double(chain((4, 6), (HardSigmoid(), Tanh()), key=jr.key(6)))
    task = Completion(EXACT, ScatteredPixels(0.5), layer="input")
    yield task, pixels, task.draw(pixels, images, labels, jr.key(7))


@pytest.mark.parametrize("case", slow_except(range(3), [1]))
def test_a_task_adds_the_gradient_of_the_mean_penalty_and_nothing_below_the_limit(case):
    task, model, examples = [*tasks()][case]
    gradient = eqx.filter_jit(lambda t: t.gradient(model, examples, jnp.zeros((), jnp.int32))[0])
    plain = gradient(task)
    with_penalty = lambda weight, limit: gradient(
        dataclasses.replace(task, penalty=SpectralPenalty(weight, limit, 3))
    )
    assert eqx.tree_equal(with_penalty(5.0, 0.99), plain)
    once, twice = with_penalty(0.5, 0.0), with_penalty(1.0, 0.0)
    extra = lambda g: ravel_pytree(jax.tree.map(lambda a, b: a - b, g, plain))[0]
    assert jnp.linalg.norm(extra(once)) > 1e-3
    np.testing.assert_allclose(extra(twice), 2 * extra(once), rtol=1e-6, atol=1e-9)
