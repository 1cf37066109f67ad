"""Forward mode and second derivatives, against finite differences and against differentiating every step.

They are taken with respect to all weights, biases, Lagrangian parameters and the clamped input.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import double, scaled, slow_except

from hopfax import CHN, Layer, Method, Synchronous, chain, connect, objective, relax
from hopfax._internal.tree import random_normal
from hopfax.costs import SquaredError
from hopfax.gradients import (
    ConjugateGradient,
    EquilibriumPropagation,
    Implicit,
    Iterated,
    Krylov,
    Phantom,
    RecurrentBackprop,
    Unrolled,
)
from hopfax.gradients.nudging import Holomorphic, Positive
from hopfax.interop import EquilibriumLayer
from hopfax.lagrangians import Identity, Sigmoid, Softmax, Tanh
from hopfax.objective import cost_gradient
from hopfax.solvers import Picard
from hopfax.updates import Coloured

COST, TARGET = SquaredError(), jnp.array([1.0, -0.5])
X = jnp.array([0.4, -0.3, 0.8])
TIGHT = {"solver": Picard(), "rtol": 1e-12, "atol": 1e-14, "max_steps": 500}
EXACT = ConjugateGradient(rtol=1e-12)


def network(hidden, middle, output):
    lagrangians = {"input": Identity(), "hidden": hidden, "middle": middle, "output": output}
    sizes = {"input": 3, "hidden": 4, "middle": 3, "output": 2}
    layers = {name: Layer(sizes[name], lagrangian) for name, lagrangian in lagrangians.items()}
    pairs = [("input", "hidden"), ("hidden", "middle"), ("middle", "output"), ("input", "output")]
    return scaled(double(connect(layers, pairs, key=jr.key(8), bias_std=0.3)), 1.3)


MODEL = network(
    *double((Softmax(jnp.array(2.0)), Sigmoid(jnp.array(3.0), jnp.array(0.4)), Tanh(jnp.array(0.9))))
)
SMALL = scaled(double(chain([3, 3, 2], Tanh(), key=jr.key(1), bias_std=0.3)), 0.7)  # compiles faster
PARAMETERS, STATIC = eqx.partition((MODEL, X), eqx.is_inexact_array)
DIRECTION = jax.tree.map(np.asarray, random_normal(PARAMETERS, jr.key(3)))
EXACT_GRADIENTS = {
    "conjugate gradients": (Implicit(EXACT), Coloured()),
    "synchronous": (Implicit(EXACT), Synchronous()),
    "iterated": (Implicit(Iterated(rtol=1e-12)), Coloured()),
    "krylov": (Implicit(Krylov()), Coloured()),
    "long series": (RecurrentBackprop(300), Coloured()),
    "nudged": (EquilibriumPropagation(1e-3), Coloured()),
}


def cost_of(gradient, update=Coloured()):
    method = Method(update, gradient=gradient, **TIGHT)

    def cost(parameters):
        model, x = eqx.combine(parameters, STATIC)
        return objective(model, {"input": x}, COST, TARGET, method=method)[0]

    return cost


def read_out(gradient, update=Coloured()):
    """A function of the states that no cost knows."""
    method = Method(update, gradient=gradient, **TIGHT)

    def value(parameters):
        model, x = eqx.combine(parameters, STATIC)
        activation = relax(model, {"input": x}, method=method).activation
        return jnp.sum(activation["output"] ** 3) + jnp.prod(activation["hidden"])

    return value


def hessian_product(function):
    """The derivative of the gradient along `DIRECTION`, by forward over reverse."""
    return jax.jit(lambda p: jax.jvp(jax.grad(function), (p,), (DIRECTION,))[1])(PARAMETERS)


@pytest.fixture(scope="module")
def unrolled():
    """First and second derivatives of the cost by differentiating every step."""
    cost = cost_of(Unrolled(120))
    return jax.jit(jax.grad(cost))(PARAMETERS), hessian_product(cost)


def assert_each_array_close(actual, expected, rtol):
    """Every parameter array by itself, relative to its own size."""
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        scale = float(np.max(np.abs(other)))
        np.testing.assert_allclose(one, other, rtol=0, atol=rtol * scale + 1e-10)


@pytest.mark.parametrize("name", slow_except(EXACT_GRADIENTS, ["conjugate gradients", "krylov"]))
def test_forward_mode_and_second_derivatives_are_those_of_the_unrolled_solve(name, unrolled):
    cost, nudged = cost_of(*EXACT_GRADIENTS[name]), name == "nudged"
    along = lambda function, p: jax.jvp(function, (p,), (DIRECTION,))[1]
    slope, product = jax.jit(lambda p: (along(cost, p), along(jax.grad(cost), p)))(PARAMETERS)
    pairs = zip(*map(jax.tree.leaves, (unrolled[0], DIRECTION)), strict=True)
    expected = sum(np.sum(np.asarray(g) * d) for g, d in pairs)
    np.testing.assert_allclose(slope, expected, rtol=1e-4 if nudged else 1e-8)
    assert_each_array_close(product, unrolled[1], 1e-4 if nudged else 1e-6)


def test_reverse_over_reverse_is_forward_over_reverse(unrolled):
    along = lambda p: sum(
        jnp.sum(g * d)
        for g, d in zip(
            *map(jax.tree.leaves, (jax.grad(cost_of(Implicit(EXACT)))(p), DIRECTION)), strict=True
        )
    )
    assert_each_array_close(jax.jit(jax.grad(along))(PARAMETERS), unrolled[1], 1e-6)


def test_second_derivatives_of_a_read_out_are_finite_differences_of_the_first():
    function, step = read_out(Implicit(EXACT)), 1e-5
    gradient = jax.jit(jax.grad(function))
    shifted = lambda sign: gradient(jax.tree.map(lambda p, d: p + sign * step * d, PARAMETERS, DIRECTION))
    difference = jax.tree.map(lambda a, b: (a - b) / (2 * step), shifted(1), shifted(-1))
    assert_each_array_close(hessian_product(function), difference, 1e-5)


def test_jacobians_of_a_batch_agree_forward_and_backward():
    inputs = jr.normal(jr.key(4), (3, 3))
    output = lambda x: relax(MODEL, {"input": x}, method=Method(gradient=Implicit(EXACT), **TIGHT)).state
    forward, backward = jax.jit(lambda x: (jax.jacfwd(output)(x), jax.jacrev(output)(x)))(inputs)
    for name in ("hidden", "middle", "output"):
        np.testing.assert_allclose(forward[name], backward[name], atol=1e-9)
    # No example moves another one.
    np.testing.assert_array_equal(np.asarray(forward["output"])[0, :, 1:], 0)


VALUES = {
    **EXACT_GRADIENTS,
    "truncated": (RecurrentBackprop(3), Coloured()),
    "phantom": (Phantom(2), Coloured()),
    "nudged, positive": (EquilibriumPropagation(0.1, Positive()), Coloured()),
}


@pytest.mark.parametrize(
    "name", slow_except(VALUES, ["conjugate gradients", "truncated", "nudged, positive"])
)
def test_the_value_beside_a_gradient_keeps_its_own_gradient(name):
    gradient, update = VALUES[name]
    method = Method(update, gradient=gradient, **TIGHT)
    cost = lambda model: objective(model, {"input": X}, COST, TARGET, method=method)[0]
    again = jax.grad(lambda model: jax.value_and_grad(cost)(model)[0])
    assert_each_array_close(*jax.jit(lambda model: (again(model), jax.grad(cost)(model)))(SMALL), 1e-9)


def test_a_loss_after_a_gradient_step_is_differentiated_through_the_step():
    """The inner learning rate's gradient is that of a finite difference."""
    cost = cost_of(Implicit(EXACT))

    def after_step(rate):
        moved = jax.tree.map(lambda p, g: p - rate * g, PARAMETERS, jax.grad(cost)(PARAMETERS))
        return jax.grad(lambda r: cost(jax.tree.map(lambda p, d: p + r * d, moved, DIRECTION)))(0.0)

    after_step, step = jax.jit(after_step), 1e-5
    difference = (after_step(0.1 + step) - after_step(0.1 - step)) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.grad(after_step))(0.1), difference, rtol=1e-6)


def test_the_hessian_of_a_layer_in_a_model_of_equinox():
    method = Method(gradient=Implicit(EXACT), **TIGHT)
    layer = EquilibriumLayer(SMALL, "input", "output", method=method)
    value = lambda x: jnp.sum(layer(x) ** 2)
    reference = lambda x: jnp.sum(
        relax(SMALL, {"input": x}, method=Method(gradient=Unrolled(120), **TIGHT)).activation["output"] ** 2
    )
    hessians = jax.jit(lambda x: (jax.hessian(value)(x), jax.hessian(reference)(x)))(X)
    assert np.abs(hessians[0]).max() > 1e-3
    np.testing.assert_allclose(*hessians, atol=1e-7)


def test_the_hessian_of_a_chn():
    model = CHN.like(scaled(SMALL, 0.5))  # a contraction
    read = lambda x, gradient: relax(
        model, {"input": x}, method=Method(Synchronous(), gradient=gradient, **TIGHT), throw=True
    ).activation["output"]
    hessian = lambda gradient: jax.jit(jax.hessian(lambda x: jnp.sum(read(x, gradient) ** 2)))(X)
    exact = hessian(Implicit(EXACT))
    assert np.abs(exact).max() > 1e-3
    np.testing.assert_allclose(exact, hessian(Unrolled(200)), atol=1e-6)


def test_complex_nudges_have_no_second_derivative():
    model = eqx.tree_at(lambda m: m.layers["middle"].lagrangian, MODEL, Tanh())
    model = eqx.tree_at(
        lambda m: [m.layers["hidden"].lagrangian, m.layers["output"].lagrangian], model, [Tanh(), Tanh()]
    )
    method = Method(gradient=EquilibriumPropagation(0.1, Holomorphic(4)), **TIGHT)
    cost = lambda x: objective(model, {"input": x}, COST, TARGET, method=method)[0]
    assert jnp.all(jnp.isfinite(jax.jit(jax.grad(cost))(X)))
    assert jnp.all(jnp.isnan(jax.jit(jax.hessian(cost))(X)))


@pytest.mark.parametrize("gradient", [Implicit(ConjugateGradient()), EquilibriumPropagation()], ids=str)
def test_a_gradient_with_statistics_is_differentiated_once(gradient):
    method = Method(gradient=gradient)

    def norm(x):
        result = cost_gradient(MODEL, {"input": x[None]}, COST, TARGET[None], method=method)
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(result.gradient))

    with pytest.raises(ValueError, match=r"Differentiate `hopfax.objective` twice"):
        jax.grad(norm)(X)
