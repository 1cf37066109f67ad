"""Deviations from an equilibrium: the network of them, how nudges are chosen, and gradients in float32."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import ZOO, close, double, scaled

import hopfax
from hopfax import HAM, Bias, Dense, Layer, Method, PartialClamp
from hopfax.costs import CrossEntropy, SquaredError
from hopfax.diagnostics import worst_array
from hopfax.gradients import ConjugateGradient, EquilibriumPropagation, Implicit
from hopfax.gradients.base import Solve
from hopfax.gradients.deviation import Nudge, deviation_network, solve_deviations
from hopfax.gradients.nudging import Centred, Positive
from hopfax.lagrangians import Identity, Sigmoid, Tanh
from hopfax.networks import ConvBlock, MaxPool, convolutional
from hopfax.objective import cost_gradient
from hopfax.training.recipes import low_feedback
from hopfax.updates.problem import Problem

TIGHT = Method(rtol=1e-12, atol=0.0, max_steps=2000)
EXACT = dataclasses.replace(TIGHT, gradient=Implicit(ConjugateGradient(rtol=1e-12)))


def pooled() -> HAM:
    neurons = [Identity(), Sigmoid(), Sigmoid(), Identity()]
    blocks = [ConvBlock(2, 3), ConvBlock(3, 3, pool=MaxPool(2))]
    model = convolutional((4, 4, 1), blocks, 2, neurons, key=jr.key(1), bias_std=0.3)
    return scaled(double(model), 0.5)


def partly_clamped() -> dict:
    known = PartialClamp(jnp.array([0.2, 0.0, -0.3, 0.0]), jnp.array([True, False, True, False]))
    return {"input": known}


NETWORKS = {
    **{name: ZOO[name] for name in ("chain4", "skip", "triangle", "softmax", "layernorm")},
    "maximum pooling": (pooled(), {"input": jr.uniform(jr.key(2), (4, 4, 1), jnp.float64)}),
    "clamped in part": (ZOO["skip"][0], partly_clamped()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_its_energy_and_drives_are_those_of_the_network_less_what_is_constant_and_linear(name):
    model, clamp = NETWORKS[name]
    problem = Problem(model.condition(clamp), TIGHT.update)
    states = hopfax.relax(model, clamp, method=TIGHT).state
    drives = problem.reconstruct(problem.restrict(states))
    network = deviation_network(problem.model, drives)
    change = {n: 0.3 * jr.normal(jr.key(i), s.shape, jnp.float64) for i, (n, s) in enumerate(drives.items())}
    moved = {n: drives[n] + change[n] for n in drives}
    at, after = (problem.model.activations(states) for states in (drives, moved))
    deviations = jax.tree.map(jnp.subtract, after, at)
    assert close(network.activations(change), deviations)
    forces = problem.model.drive(after, problem.model.order)
    equilibrium = problem.model.drive(at, problem.model.order)
    assert close(
        network.drive(deviations, problem.model.order), jax.tree.map(jnp.subtract, forces, equilibrium)
    )
    energy = problem.model.energy(moved) - problem.model.energy(drives)
    if name != "clamped in part":  # there a drive is not the state of the neuron
        assert np.isclose(network.energy(change), energy, rtol=0, atol=1e-9)


def test_a_nudged_equilibrium_is_the_free_one_and_its_deviation():
    model, clamp = ZOO["chain4"]
    target = jnp.array([0.9, 0.2])
    free = hopfax.relax(model, clamp, method=TIGHT)
    problem = Problem(model.condition(clamp), TIGHT.update)
    shifted = SquaredError().shifted(free.activation)
    deviations = solve_deviations(
        problem,
        Solve(TIGHT.solver, problem.restrict(free.state), TIGHT.stopping()),
        problem.restrict(free.state),
        Nudge((shifted.with_target(target),), {"output": free.activation["output"] - target}),
        0.2,
        Centred(),
    )
    for i, beta in enumerate(deviations.betas):
        nudged = hopfax.relax(problem.model + beta * SquaredError().with_target(target), method=TIGHT)
        moved = {name: free.activation[name] + change[i] for name, change in deviations.activations.items()}
        assert close(nudged.activation, moved, 1e-4)


@pytest.mark.parametrize(("hidden", "variant"), [(1, Centred()), (2, Positive()), (3, Centred())], ids=str)
def test_in_float32_every_array_agrees_with_the_exact_gradient_however_weak_the_feedback(hidden, variant):
    """A difference of equilibria has no digits left there: layers next to the input change by 1e-7 of their states."""
    recipe = low_feedback((6, *[8] * hidden, 3))
    neurons = dataclasses.replace(recipe.architecture, feedback=0.01, hidden=Tanh(), weight_scale=1.0)
    model = dataclasses.replace(recipe, architecture=neurons).network()
    images = jr.uniform(jr.key(3), (5, 6), jnp.float32)
    targets = jax.nn.one_hot(jnp.arange(5) % 3, 3, dtype=jnp.float32)
    estimate = cost_gradient(
        model,
        {"input": images},
        CrossEntropy(),
        targets,
        method=Method(gradient=EquilibriumPropagation(variant=variant)),
    )
    exact = cost_gradient(
        double(model), {"input": double(images)}, CrossEntropy(), double(targets), method=EXACT
    )
    arrays = lambda tree: eqx.filter(double(tree), eqx.is_inexact_array)
    name, cosine = worst_array(arrays(estimate.gradient), arrays(exact.gradient))
    assert cosine > 1 - 1e-5, name


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
