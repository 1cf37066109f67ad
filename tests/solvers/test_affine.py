"""Affine maps, where every solver's path is known in closed form."""

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
    Picard,
    Published,
    Relative,
    Residual,
    Unguarded,
    iterate,
)
from hopfax.solvers.anderson import _History, _solve_small
from hopfax.solvers.loop import NEAR, PATIENCE, Stopping
from hopfax.updates.problem import AbstractMap, StepInfo


class Affine(AbstractMap):
    """`z ↦ slope (z - 1) + 1` of each entry, with its fixed point at 1; no energy is watched."""

    slope: jax.Array

    def evaluate(self, states, energy=True):
        image = {"z": self.slope * (states["z"] - 1) + 1}
        residual = rms(subtract(image, states))
        return image, StepInfo(residual, rms(image), jnp.zeros_like(residual), jnp.zeros_like(residual))


@eqx.filter_jit
def solve(slope, solver, atol=1e-9, rtol=0.0, max_steps=400, start=0.0, trace=0, check_every=1):
    stopping = Stopping(jnp.asarray(rtol), jnp.asarray(atol), jnp.asarray(max_steps), check_every)
    slope = jnp.atleast_1d(jnp.asarray(slope, jnp.float64))
    found, statistics = iterate(Affine(slope), solver, {"z": jnp.full(slope.shape, start)}, stopping, trace)
    return found["z"], statistics


@pytest.mark.parametrize("slope", [0.5, -0.8])
def test_plain_steps_are_as_many_as_the_slope_says(slope):
    """From 0 the residual after `k` steps is `(1 - a) |a|^k`, and that of an image `|1 - a^(k + 1)|`."""
    atol = 1e-6
    k = np.arange(200)
    residuals = (1 - slope) * abs(slope) ** k
    steps = int(np.argmax(residuals <= atol))
    z, told = solve(slope, Picard(), atol, trace=200)
    assert (told.status, told.steps, told.evaluations) == (Status.converged, steps, steps + 1)
    assert close(z, 1 - slope**steps, 1e-12)
    assert close(told.residual, residuals[steps], 1e-9)
    relative = residuals / np.abs(1 - slope ** (k + 1))
    assert close(told.trace[: steps + 1], relative[: steps + 1], 1e-9)
    assert np.isnan(told.trace[steps + 1 :]).all()
    assert close(told.relative_residual, relative[steps], 1e-9)


@pytest.mark.parametrize("damping", [0.25, 0.5])
def test_damping_mixes_the_slope_with_one(damping):
    mixed = damping + (1 - damping) * 0.5
    _, told = solve(0.5, Picard(damping), 1e-6)
    assert int(told.steps) == int(np.argmax(0.5 * mixed ** np.arange(400) <= 1e-6))


@pytest.mark.parametrize("max_steps", [0, 1, 7])
@pytest.mark.parametrize("check_every", [1, 3])
def test_the_steps_are_at_most_those_allowed(max_steps, check_every):
    _, told = solve(0.9, Picard(), max_steps=max_steps, check_every=check_every)
    assert (told.status, told.steps, told.evaluations) == (Status.max_steps, max_steps, max_steps + 1)


@pytest.mark.parametrize(("nearness", "evaluations"), [(0.9, PATIENCE + 1), (1.1, 101)])
def test_a_stalled_solve_ends_early_only_near_the_tolerance(nearness, evaluations):
    """A map that jumps to and fro never improves: `z ↦ 2 - z` has the residual 2 from 0."""
    _, told = solve(-1.0, Picard(), 2 / (NEAR * nearness), max_steps=100)
    assert (told.status, told.evaluations) == (Status.stalled, evaluations)
    assert (told.steps, told.residual) == (0, 2)


def test_a_solve_that_still_improves_is_not_stalled():
    """By 2 % each step: however long it takes."""
    _, told = solve(0.98, Picard(), 2e-6, max_steps=1000)
    assert told.status == Status.converged


PLAIN = {"safeguard": Unguarded(), "start_rtol": float("inf"), "max_overrelaxation": 1.0}


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({}, 1),
        ({"window": 2}, 1),
        ({"delay": 1}, 1),
        ({"delay": 4}, 4),
        ({"period": 2}, 1),
        ({"period": 3}, 2),
        ({"period": 4}, 3),
        ({"delay": 4, "period": 3}, 5),
        ({"restart": 2}, 1),
        ({"restart": 2, "period": 3}, 5),
        ({"mixing": 0.5}, 1),
    ],
    ids=str,
)
def test_the_first_extrapolation_of_anderson_solves_one_dimension(settings, first):
    """It comes at count `first`, and the point that it gives is judged as the next step."""
    z, told = solve(0.9, Anderson(**PLAIN, **settings))
    assert (told.status, told.steps) == (Status.converged, first + 1)
    assert close(z, 1.0)


@pytest.mark.parametrize(("restart", "restarts"), [(1, 12), (5, 2), (0, 0)])
def test_restarts_come_at_each_so_many_steps(restart, restarts):
    """Where nothing is ever extrapolated: thirteen evaluations, the first is no restart."""
    _, told = solve(0.9, Anderson(safeguard=Unguarded(), start_rtol=0.0, restart=restart), max_steps=12)
    assert (told.evaluations, told.restarts) == (13, restarts)


def test_restarted_at_every_step_anderson_is_plain():
    plain, restarted = solve(0.9, Picard()), solve(0.9, Anderson(**PLAIN, restart=1))
    assert plain[1].steps == restarted[1].steps
    assert close(plain[0], restarted[0], 1e-12)


def test_broyden_takes_the_secant_step_within_its_reach():
    """From 0 with slope 0.99: one plain step to 0.01, then `g / (1 - a)`, a hundred times the residual."""
    _, told = solve(0.99, Broyden(safeguard=Unguarded(), reach=101.0))
    assert (told.status, told.steps) == (Status.converged, 2)
    _, clipped = solve(0.99, Broyden(safeguard=Unguarded(), reach=10.0), max_steps=2, trace=3)
    start = 0.01 + 10 * 0.01 * 0.99
    assert close(clipped.trace[2], 0.01 * (1 - start) / (1 - 0.99 * (1 - start)), 1e-6)


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
    assert not history.dropped_if(jnp.array(True)).used.any()
    assert history.dropped_if(jnp.array(False)).used.all()


@pytest.mark.parametrize(("window", "steps"), [(2, None), (3, 3), (4, 3), (5, 3)])
def test_so_many_dimensions_need_a_window_of_one_point_more(window, steps):
    """Two differences solve a plane; one does not."""
    _, told = solve(jnp.array([0.9, -0.5]), Anderson(**PLAIN | {"window": window}))
    assert told.steps == steps if steps else told.steps > 4


def test_small_systems_are_solved_as_by_lapack():
    random = np.random.default_rng(1)
    factor, right = random.normal(size=(4, 4)), random.normal(size=4)
    matrix = factor @ factor.T + np.eye(4)
    assert close(_solve_small(jnp.asarray(matrix), jnp.asarray(right)), np.linalg.solve(matrix, right))


@pytest.mark.parametrize(
    ("stride", "rejected", "used", "after"),
    [
        (1, True, False, 2),
        (1, False, True, 1),
        (2, False, True, 4),
        (2, False, False, 2),
        (48, False, True, 64),
        (64, False, True, 64),
        (2, True, True, 1),
        (64, True, True, 1),
    ],
)
def test_long_steps_begin_with_a_rejection_double_while_they_are_taken_and_end_with_one(
    stride, rejected, used, after
):
    found = Anderson()._stride(jnp.asarray(float(stride)), jnp.asarray(rejected), jnp.asarray(used))
    assert found == after


def account(residual=1.0, energy=1.0, size=3.0) -> StepInfo:
    return StepInfo(*(jnp.asarray(x, jnp.float64) for x in (residual, 1.0, energy, size)))


def test_the_energy_may_rise_by_its_rounding_error_and_no_more():
    guard, eps = Energy(slack=8.0), float(jnp.finfo(jnp.float64).eps)
    rounding = 8 * eps * 3
    assert not guard.worse(account(energy=1 - rounding), account())
    assert not guard.worse(account(), account())
    assert not guard.worse(account(energy=1 + 0.9 * rounding), account())
    assert guard.worse(account(energy=1 + 1.2 * rounding), account())


def test_the_residual_may_grow_by_so_much_and_no_more():
    guard = Residual(growth=2.0)
    assert not guard.worse(account(residual=1.9), account())
    assert guard.worse(account(residual=2.1), account())


def test_the_published_rule_compares_relative_steps_before_evaluating():
    """Towards an image at 4 from a point at 2, whose relative step is 1: to 3 (1/3), not to 1 (3)."""
    image, point = jnp.array([4.0]), jnp.array([2.0])
    admits = lambda candidate: Published().admits(jnp.array([candidate]), image, point)
    assert admits(3.0)
    assert not admits(1.0)
    assert not admits(2.0)
    assert not Published().worse(account(residual=9.0, energy=9.0), account())
    assert not Unguarded().worse(account(residual=9.0, energy=9.0), account())


@pytest.mark.parametrize("guard", [Energy(), Residual(), Unguarded()], ids=lambda g: type(g).__name__)
def test_the_other_guards_judge_after_evaluating(guard):
    assert guard.admits(jnp.array([9.0]), jnp.array([4.0]), jnp.array([2.0]))
