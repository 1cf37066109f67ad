"""The papers' measure of convergence, as published and corrected."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optimistix as optx
import pytest

from hopfax import EvenOdd, Method, Synchronous, chain, relax
from hopfax.diagnostics.convergence import first_crossing, fixed_iterations, paper_iterations
from hopfax.solvers import Anderson, Picard
from hopfax.updates.problem import Problem

LATE, EARLY, NEVER = [1.0, 1e-2, 1e-5, 1e-6], [1e-5, 1e-6, 1e-7, 0.0], [1.0, 0.5, 0.5, 0.5]
UNDEFINED = [jnp.nan] * 4


def test_the_published_index_is_the_maximum_for_zero_and_for_never():
    trace = jnp.array([LATE, EARLY, NEVER, UNDEFINED])
    np.testing.assert_array_equal(paper_iterations(trace, 1e-4), [2, 4, 4, 4])


def test_the_corrected_index_distinguishes_zero_from_never():
    steps, converged = first_crossing(jnp.array([LATE, EARLY, NEVER, UNDEFINED]), 1e-4)
    np.testing.assert_array_equal(steps, [2, 0, 4, 4])
    np.testing.assert_array_equal(converged, [True, True, False, False])


def test_the_tolerance_itself_is_not_below_the_tolerance():
    assert not first_crossing(jnp.array([1e-4, 1e-4]), 1e-4)[1]


def _problem(update):
    model = chain([3, 4, 2], key=jr.key(0), bias_std=0.3)
    clamp = {"input": jnp.array([0.2, 0.9, 0.4], jnp.float32)}
    return model, clamp, Problem(model.condition(clamp), update)


@pytest.mark.parametrize("update", [Synchronous(), EvenOdd()])
def test_picard_images_are_the_iterates_and_their_changes_the_residuals_of_relax(update):
    model, clamp, problem = _problem(update)
    start = problem.restrict(problem.model.zeros())
    last, trace = jax.jit(lambda: fixed_iterations(problem, Picard(), start, 6))()
    settings = {"update": update, "solver": Picard(), "rtol": 0, "atol": 0}
    equilibrium = relax(model, clamp, method=Method(**settings, max_steps=5), trace=6)
    np.testing.assert_allclose(trace, equilibrium.trace.residual[1:], rtol=1e-3)
    iterates = [start]
    for _ in range(6):
        iterates.append(problem.image(iterates[-1]))
    for name in start:
        np.testing.assert_allclose(last[name], iterates[-1][name], rtol=1e-6)


def test_the_first_steps_of_a_delayed_solver_are_plain():
    _, _, problem = _problem(EvenOdd())
    start = problem.restrict(problem.model.zeros())
    run = lambda solver, steps: jax.jit(lambda: fixed_iterations(problem, solver, start, steps))()[1]
    plain, delayed, at_once = (run(solver, 6) for solver in (Picard(), Anderson(delay=3), Anderson(delay=0)))
    # A change is that between two images, and the first extrapolation moves the image after the next.
    np.testing.assert_array_equal(delayed[:3], plain[:3])
    assert not np.array_equal(delayed, plain)
    assert not np.array_equal(at_once[:3], plain[:3])
    np.testing.assert_array_equal(run(Anderson(delay=9), 6), plain)


def test_fixed_iterations_refuses_a_solver_without_a_map():
    _, _, problem = _problem(EvenOdd())
    with pytest.raises(ValueError, match="does not evaluate a fixed-point map"):
        fixed_iterations(problem, optx.Newton(1e-3, 1e-3), problem.model.zeros(), 3)
