"""Affine maps, on which the path of every solver is known in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import close

from hopfax import Status
from hopfax._internal.tree import rms, subtract
from hopfax.solvers import (
    Anderson,
    Broyden,
    Energy,
    PaperSafeguard,
    Picard,
    Relative,
    Residual,
    Trace,
    Unguarded,
    iterate,
)
from hopfax.solvers.anderson import _History, _solve_small
from hopfax.solvers.loop import PATIENCE, ROUNDING, Stopping
from hopfax.updates.problem import AbstractMap, StepInfo


class Affine(AbstractMap):
    """`z ↦ slope (z - 1) + 1` of each entry, with its fixed point at 1 and no energy."""

    slope: jax.Array

    def evaluate(self, states, energy=True, slope=False):
        image = {"z": self.slope * (states["z"] - 1) + 1}
        residual = rms(subtract(image, states))
        return image, StepInfo(residual, rms(image), jnp.zeros_like(residual), jnp.zeros_like(residual))


@eqx.filter_jit
def solve(slope, solver, atol=1e-9, rtol=0.0, max_steps=400, start=0.0, trace=0, check_every=1):
    stopping = Stopping(jnp.asarray(rtol), jnp.asarray(atol), jnp.asarray(max_steps), check_every)
    slope = jnp.atleast_1d(jnp.asarray(slope, jnp.float64))
    start = {"z": jnp.full(slope.shape, start, jnp.float64)}
    states, statistics = iterate(Affine(slope), solver, start, stopping, Trace(trace))
    return states["z"], statistics


@pytest.mark.parametrize("slope", [0.5, -0.8])
def test_the_slope_says_how_many_plain_steps_are_needed(slope):
    """From 0 the residual after `k` steps is `(1 - a) |a|^k`, and that of an image `|1 - a^(k + 1)|`."""
    atol = 1e-6
    k = np.arange(200)
    residuals = (1 - slope) * abs(slope) ** k
    steps = int(np.argmax(residuals <= atol))
    z, statistics = solve(slope, Picard(), atol, trace=200)
    assert (statistics.status, statistics.steps, statistics.evaluations) == (
        Status.converged,
        steps,
        steps + 1,
    )
    assert close(z, 1 - slope**steps, 1e-12)
    assert close(statistics.residual, residuals[steps], 1e-9)
    relative = residuals / np.abs(1 - slope ** (k + 1))
    assert close(statistics.trace.residual[: steps + 1], relative[: steps + 1], 1e-9)
    assert np.isnan(statistics.trace.residual[steps + 1 :]).all()
    assert close(statistics.relative_residual, relative[steps], 1e-9)


@pytest.mark.parametrize("damping", [0.25, 0.5])
def test_damping_mixes_the_slope_with_one(damping):
    mixed = damping + (1 - damping) * 0.5
    _, statistics = solve(0.5, Picard(damping), 1e-6)
    assert int(statistics.steps) == int(np.argmax(0.5 * mixed ** np.arange(400) <= 1e-6))


@pytest.mark.parametrize("max_steps", [0, 1, 7])
@pytest.mark.parametrize("check_every", [1, 3])
def test_no_more_steps_are_taken_than_allowed(max_steps, check_every):
    _, statistics = solve(0.9, Picard(), max_steps=max_steps, check_every=check_every)
    assert (statistics.status, statistics.steps, statistics.evaluations) == (
        Status.max_steps,
        max_steps,
        max_steps + 1,
    )


@pytest.mark.parametrize(
    ("level", "status", "evaluations"), [(0.9, Status.stalled, PATIENCE + 1), (1.1, Status.max_steps, 101)]
)
def test_only_a_residual_at_the_rounding_level_stalls(level, status, evaluations):
    """`z ↦ 2 - z` jumps between `1 + d` and `1 - d`, so its residual `2 d` never falls."""
    residual = level * ROUNDING * float(jnp.finfo(jnp.float64).eps)
    _, statistics = solve(-1.0, Picard(), 1e-30, max_steps=100, start=1 - residual / 2)
    assert (statistics.status, statistics.evaluations) == (status, evaluations)
    assert statistics.steps == 0


def test_a_residual_that_rises_above_the_rounding_level_again_does_not_stall():
    """It leaves an unstable fixed point slowly, where the slope is 1.1."""
    _, statistics = solve(1.1, Picard(), 0.0, max_steps=200, start=1 + 1e-14)
    assert (statistics.status, statistics.evaluations) == (Status.max_steps, 201)


def test_a_solve_that_still_improves_is_not_stalled():
    """By 2 % each step: however long it takes."""
    _, statistics = solve(0.98, Picard(), 2e-6, max_steps=1000)
    assert statistics.status == Status.converged


PLAIN = {"safeguard": Unguarded(), "start_rtol": float("inf"), "max_overrelaxation": 1.0, "delay": 0}


@pytest.mark.parametrize("settings", [{}, {"window": 2}, {"mixing": 0.5}], ids=str)
def test_the_first_extrapolation_of_anderson_solves_one_dimension(settings):
    """It follows a plain step, from which the first difference is known."""
    z, statistics = solve(0.9, Anderson(**PLAIN, **settings))
    assert (statistics.status, statistics.steps, statistics.restarts) == (Status.converged, 2, 0)
    assert close(z, 1.0)


def test_broyden_takes_the_secant_step_within_its_reach():
    """From 0 with slope 0.99: one plain step to 0.01, then `g / (1 - a)`, a hundred times the residual."""
    _, statistics = solve(0.99, Broyden(safeguard=Unguarded(), reach=101.0))
    assert (statistics.status, statistics.steps) == (Status.converged, 2)
    _, clipped = solve(0.99, Broyden(safeguard=Unguarded(), reach=10.0), max_steps=2, trace=3)
    start = 0.01 + 10 * 0.01 * 0.99
    assert close(clipped.trace.residual[2], 0.01 * (1 - start) / (1 - 0.99 * (1 - start)), 1e-6)


@pytest.mark.parametrize("mixing", [1.0, 0.5])
def test_extrapolation_is_that_of_least_squares(mixing):
    """`β g - (ΔZ + β ΔG) γ` with `γ = argmin |g - ΔG γ|` over the slots in use, and no others."""
    random = np.random.default_rng(0)
    (point, residual), used = random.normal(size=(2, 6)), np.array([True, True, False])
    points, residuals = random.normal(size=(2, 3, 6))
    history = _History(jnp.asarray(points), jnp.asarray(residuals), jnp.asarray(used))
    solver = Anderson(4, ridge=Relative(0.0), mixing=mixing)
    steps, changes = (point - points)[:2].T, (residual - residuals)[:2].T
    weights = np.linalg.lstsq(changes, residual)[0]
    expected = mixing * residual - (steps + mixing * changes) @ weights
    assert close(solver._extrapolate(jnp.asarray(point), jnp.asarray(residual), history), expected)


def test_the_newest_point_comes_first_and_the_oldest_is_forgotten():
    history = _History.empty(2, jnp.zeros(1, jnp.float64))
    for k in (1.0, 2.0, 3.0):
        history = history.push(jnp.array([k]), jnp.array([-k]))
    assert history.points.tolist() == [[3.0], [2.0]]
    assert history.residuals.tolist() == [[-3.0], [-2.0]]
    assert history.used.all()
    assert not history.clear_if(jnp.array(True)).used.any()
    assert history.clear_if(jnp.array(False)).used.all()


@pytest.mark.parametrize(("window", "steps"), [(2, None), (3, 3), (4, 3), (5, 3)])
def test_the_window_needs_one_point_more_than_there_are_dimensions(window, steps):
    """Two differences solve a plane; one does not."""
    _, statistics = solve(jnp.array([0.9, -0.5]), Anderson(**PLAIN | {"window": window}))
    assert statistics.steps == steps if steps else statistics.steps > 4


def test_small_systems_are_solved_as_by_lapack():
    random = np.random.default_rng(1)
    factor, right = random.normal(size=(4, 4)), random.normal(size=4)
    matrix = factor @ factor.T + np.eye(4)
    assert close(_solve_small(jnp.asarray(matrix), jnp.asarray(right)), np.linalg.solve(matrix, right))


@pytest.mark.parametrize(
    ("before", "extrapolated", "after"), [(1, True, 2), (2, True, 1), (64, True, 1), (1, False, 1)]
)
def test_a_rejection_begins_or_ends_overrelaxation(before, extrapolated, after):
    """A rejected plain step does not begin it."""
    flat = jnp.zeros(2)
    state = Anderson().init(None, flat, None, {}, None, step_info(), frozenset())
    fields = lambda state: (state.overrelaxation, state.extrapolated)
    state = eqx.tree_at(fields, state, (jnp.asarray(float(before)), jnp.asarray(extrapolated)))
    assert Anderson()._after_rejection(state) == after


@pytest.mark.parametrize(
    ("before", "used", "after"), [(1, True, 1), (2, True, 4), (2, False, 2), (48, True, 64), (64, True, 64)]
)
def test_overrelaxation_doubles_while_its_steps_are_taken(before, used, after):
    assert Anderson()._after_acceptance(jnp.asarray(float(before)), jnp.asarray(used)) == after


def step_info(residual=1.0, energy=1.0, size=3.0) -> StepInfo:
    return StepInfo(*(jnp.asarray(x, jnp.float64) for x in (residual, 1.0, energy, size)))


def test_the_energy_safeguard_allows_rounding_errors():
    safeguard, eps = Energy(slack=8.0), float(jnp.finfo(jnp.float64).eps)
    rounding = 8 * eps * 3
    assert not safeguard.rejects(step_info(energy=1 - rounding), step_info())
    assert not safeguard.rejects(step_info(), step_info())
    assert not safeguard.rejects(step_info(energy=1 + 0.9 * rounding), step_info())
    assert safeguard.rejects(step_info(energy=1 + 1.2 * rounding), step_info())


def test_the_residual_safeguard_allows_its_growth():
    safeguard = Residual(growth=2.0)
    assert not safeguard.rejects(step_info(residual=1.9), step_info())
    assert safeguard.rejects(step_info(residual=2.1), step_info())


def test_the_papers_safeguard_compares_relative_steps_before_evaluating():
    """From a point at 2 with its image at 4, the relative step is 1. A candidate at 3 has 1/3, one at 1 has 3."""
    image, point = jnp.array([4.0]), jnp.array([2.0])
    admits = lambda candidate: PaperSafeguard().admits(jnp.array([candidate]), image, point)
    assert admits(3.0)
    assert not admits(1.0)
    assert not admits(2.0)
    assert not PaperSafeguard().rejects(step_info(residual=9.0, energy=9.0), step_info())
    assert not Unguarded().rejects(step_info(residual=9.0, energy=9.0), step_info())


@pytest.mark.parametrize("safeguard", [Energy(), Residual(), Unguarded()], ids=lambda g: type(g).__name__)
def test_the_other_safeguards_decide_after_evaluating(safeguard):
    assert safeguard.admits(jnp.array([9.0]), jnp.array([4.0]), jnp.array([2.0]))
