"""Nudged phases as deviations from the free equilibrium: their size, how nudges are chosen, gradients in float32."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import ZOO, close, double

import hopfax
from hopfax import HAM, Bias, Dense, Layer, Method, chain
from hopfax.costs import CrossEntropy, SquaredError
from hopfax.diagnostics import worst_array
from hopfax.gradients import ConjugateGradient, EquilibriumPropagation, Implicit
from hopfax.gradients.base import Solve
from hopfax.gradients.contrast import weighted_differences, weighted_energies
from hopfax.gradients.nudged import Nudge, solve_deviations
from hopfax.gradients.nudging import Centred, Positive
from hopfax.lagrangians import Identity, ReLU, Tanh
from hopfax.networks import ConvBlock, MaxPool
from hopfax.objective import cost_gradient
from hopfax.training.recipes import low_feedback
from hopfax.updates.problem import Problem

TIGHT = Method(rtol=1e-12, atol=0.0, max_steps=2000)
EXACT = dataclasses.replace(TIGHT, gradient=Implicit(ConjugateGradient(rtol=1e-12)))


@pytest.mark.slow
def test_a_nudged_equilibrium_is_the_free_one_and_its_deviation():
    model, clamp = ZOO["chain4"]
    target = jnp.array([0.9, 0.2])
    free = hopfax.relax(model, clamp, method=TIGHT)
    problem = Problem(model.condition(clamp), TIGHT.update)
    shifted = SquaredError().shifted(free.activation)
    deviations = solve_deviations(
        problem,
        Solve(TIGHT.solver, problem.restrict(free.state), TIGHT.stopping()),
        free.state,
        Nudge((shifted.with_target(target),), {"output": free.activation["output"] - target}),
        0.2,
        Centred(),
    )
    for i, beta in enumerate(deviations.betas):
        nudged = hopfax.relax(problem.model + beta * SquaredError().with_target(target), method=TIGHT)
        moved = {name: free.activation[name] + change[i] for name, change in deviations.activations.items()}
        assert close(nudged.activation, moved, 1e-4)


POOLED = ((6, 6, 1), ConvBlock(3, 3, pool=MaxPool(2)), ConvBlock(3, 3), 3)


@pytest.mark.parametrize(
    ("layers", "neurons", "variant"),
    [
        ((6, 8, 3), Tanh(), Centred()),
        pytest.param((6, 8, 8, 8, 3), ReLU(), Positive(), marks=pytest.mark.slow),
        pytest.param(POOLED, ReLU(), Centred(), marks=pytest.mark.slow),
    ],
    ids=["one hidden layer", "three hidden layers", "maximum pooling"],
)
def test_in_float32_every_array_agrees_with_the_exact_gradient_however_weak_the_feedback(
    layers, neurons, variant
):
    """A difference of equilibria has no digits left there: layers next to the input change by 1e-7 of their states."""
    recipe = low_feedback(layers)
    architecture = dataclasses.replace(recipe.architecture, feedback=0.01, hidden=neurons)
    model = dataclasses.replace(recipe, architecture=architecture).network()
    images = jr.uniform(jr.key(3), (5, *model.layers["input"].shape), jnp.float32)
    targets = jax.nn.one_hot(jnp.arange(5) % 3, 3, dtype=jnp.float32)
    estimate = cost_gradient(
        model,
        {"input": images},
        CrossEntropy(),
        targets,
        method=Method(gradient=EquilibriumPropagation(variant=variant), rtol=1e-5),
    )
    exact = cost_gradient(
        double(model), {"input": double(images)}, CrossEntropy(), double(targets), method=EXACT
    )
    arrays = lambda tree: eqx.filter(double(tree), eqx.is_inexact_array)
    name, cosine = worst_array(arrays(estimate.gradient), arrays(exact.gradient))
    assert cosine > 1 - 1e-6, name


@pytest.mark.slow
def test_in_float32_the_gradient_of_a_slope_of_neurons_has_its_digits():
    neurons = [Identity(), Tanh(jnp.ones((), jnp.float32)), Identity()]
    model = chain([6, 40, 3], neurons, key=jr.key(0), bias_std=0.3)
    images = jr.uniform(jr.key(3), (5, 6), jnp.float32)
    targets = jax.nn.one_hot(jnp.arange(5) % 3, 3, dtype=jnp.float32)
    of_slope = lambda *arguments, method: (
        cost_gradient(*arguments, method=method).gradient.layers["hidden"].lagrangian.slope
    )
    exact = of_slope(double(model), {"input": double(images)}, CrossEntropy(), double(targets), method=EXACT)
    for variant in (Centred(), Positive()):
        method = Method(gradient=EquilibriumPropagation(variant=variant), rtol=1e-5)
        estimate = of_slope(model, {"input": images}, CrossEntropy(), targets, method=method)
        assert np.isclose(estimate, exact, rtol=1e-3)


@pytest.mark.slow
def test_a_nudge_that_is_too_large_is_made_smaller():
    """`a = w tanh(b)`, `b = w tanh(a) + bias`: near `w = 1` the response is linear for tiny nudges only."""
    distance, first = 1e-4, float(jnp.finfo(jnp.float64).eps) ** (1 / 3)
    synapses = [Dense(("a", "b"), jnp.full((1, 1), 1 - distance)), Bias("b", jnp.full(1, 1e-3 * distance))]
    model = HAM({"a": Layer(1, Tanh()), "b": Layer(1, Tanh())}, synapses)

    def differentiate(gradient):
        method = dataclasses.replace(TIGHT, gradient=gradient)
        cost = SquaredError("b")
        start = {name: jnp.zeros((1, 1)) for name in model.order}
        result = cost_gradient(model, {}, cost, jnp.full((1, 1), 0.3), start=start, method=method)
        return result.gradient.synapses["a-b"].weight

    exact = differentiate(Implicit(ConjugateGradient(rtol=1e-12)))
    error = lambda gradient: float(jnp.max(jnp.abs(differentiate(gradient) / exact - 1)))
    assert error(EquilibriumPropagation()) < 0.05 < 0.3 < error(EquilibriumPropagation(first))


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_where_deviations_leave_the_equilibrium_there_is_no_derivative_and_the_phase_failed(weight):
    """`a = w tanh(b)`, `b = w tanh(a)`: for `w > 1` the equilibrium at zero is unstable, and every nudge leads away."""
    layers = {"a": Layer(1, Tanh()), "b": Layer(1, Tanh())}
    model = HAM(layers, [Dense(("a", "b"), jnp.full((1, 1), weight)), Bias("b", jnp.zeros(1))])
    start = {name: jnp.zeros((2, 1)) for name in layers}
    method = dataclasses.replace(TIGHT, gradient=EquilibriumPropagation())
    target = jnp.array([[0.3], [0.0]])  # zero is the target of the second example, so nothing moves it
    result = cost_gradient(model, {}, SquaredError("b"), target, start=start, method=method)
    assert list(result.adjoint.flagged) == [weight > 1, False]
    slope = 0.0 if weight > 1 else -0.3 / (1 - weight**2) / 2  # of the mean cost in the bias
    assert close(result.gradient.synapses["b"].bias, jnp.array([slope]), 1e-6)


def test_weighted_differences_of_energies_are_weighted_energies_where_weights_sum_to_zero():
    """Of four points; exact for linear neurons, whose Lagrangian is quadratic."""
    layers = {"a": Layer(2, Identity()), "b": Layer(3, Identity())}
    model = HAM(layers, [Dense(("a", "b"), jr.normal(jr.key(0), (2, 3), jnp.float64))])
    draw = lambda key: {"a": jr.normal(key, (4, 2), jnp.float64), "b": jr.normal(key, (4, 3), jnp.float64)}
    points = draw(jr.key(1)), draw(jr.key(2))
    weights = jnp.array([0.5, -2.0, 1.2, 0.3])
    expected = weighted_energies(model, weights, points)
    assert close(weighted_differences(model, weights, points, points), expected)
