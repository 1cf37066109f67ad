"""Costs, the objective, and the papers' methods by name."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close, sigmoid_chain

from hopfax import EvenOdd, Method, Synchronous, objective, relax
from hopfax.costs import CrossEntropy, SquaredError, StateSquaredError
from hopfax.gradients import RecurrentBackprop
from hopfax.papers import paper_method
from hopfax.solvers import Absolute, Anderson, PaperSafeguard, Picard
from hopfax.updates import Coloured

MODEL = sigmoid_chain(4, 5, 3)
BATCH = jr.uniform(jr.key(1), (5, 4), jnp.float64)
TARGETS = jnp.eye(3)[jnp.arange(5) % 3]
STATES = {"output": jnp.array([0.3, -1.0, 2.0])}
ACTIVATIONS = {"output": jnp.array([0.2, 0.5, 0.9])}


@pytest.mark.parametrize("cost", [SquaredError(), CrossEntropy()], ids=lambda c: type(c).__name__)
def test_the_gradient_of_a_cost_is_its_derivative_in_the_activation(cost):
    slope = jax.grad(lambda g: cost(STATES, {"output": g}, TARGETS[0]))(ACTIVATIONS["output"])
    assert close(cost.grad(ACTIVATIONS["output"], TARGETS[0]), slope)


def test_costs_in_closed_form():
    g, s, t = (np.asarray(x) for x in (ACTIVATIONS["output"], STATES["output"], TARGETS[1]))
    assert close(SquaredError()(STATES, ACTIVATIONS, TARGETS[1]), np.sum((g - t) ** 2) / 2)
    assert close(StateSquaredError()(STATES, ACTIVATIONS, TARGETS[1]), np.sum((s - t) ** 2) / 2)
    assert close(CrossEntropy()(STATES, ACTIVATIONS, TARGETS[1]), -np.log(np.exp(g[1]) / np.exp(g).sum()))
    assert close(SquaredError().scores(STATES, ACTIVATIONS), g)
    assert close(StateSquaredError().scores(STATES, ACTIVATIONS), s)


def test_the_objective_is_the_cost_at_the_equilibrium_of_relax():
    method = Method(rtol=1e-10)
    values, equilibrium = objective(MODEL, {"input": BATCH}, SquaredError(), TARGETS, method=method)
    relaxed = relax(MODEL, {"input": BATCH}, method=Method(rtol=1e-10, atol=0.0))
    assert close(equilibrium.state, relaxed.state)
    assert close(values, np.sum((np.asarray(relaxed.activation["output"]) - TARGETS) ** 2, axis=1) / 2)


def test_a_batch_needs_a_target_for_each_example():
    with pytest.raises(ValueError, match=r"`target` has shape \(3, 3\); the batch has 5 examples"):
        objective(MODEL, {"input": BATCH}, SquaredError(), TARGETS[:3])


@pytest.mark.parametrize(
    ("name", "update", "accelerated"),
    [
        ("HAM", Synchronous, False),
        ("HAM-DEQ", Synchronous, True),
        ("HAM-EO", EvenOdd, False),
        ("HAM-EO-DEQ", EvenOdd, True),
    ],
)
def test_the_papers_methods(name, update, accelerated):
    method = paper_method(name, steps=80, backward=16)
    assert isinstance(method.update, update)
    assert isinstance(method.solver, Anderson if accelerated else Picard)
    assert (method.rtol, method.atol, method.max_steps) == (1e-4, 0.0, 79)
    assert isinstance(method.gradient, RecurrentBackprop)
    assert method.gradient.steps == 16
    if isinstance(method.solver, Anderson):
        assert method.solver.window == 4
        assert isinstance(method.solver.safeguard, PaperSafeguard)
        assert method.solver.ridge == Absolute(1e-10)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="name='DEQ'.* choose one of HAM, HAM-DEQ, HAM-EO, HAM-EO-DEQ"):
        paper_method("DEQ")


def test_the_default_update_is_coloured():
    assert isinstance(Method().update, Coloured)
