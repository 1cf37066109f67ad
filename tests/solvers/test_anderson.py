"""When Anderson extrapolates, and how overrelaxation leaves a saddle."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optimistix as optx
import pytest
from problems import close, double, scaled

from hopfax import HAM, Bias, Dense, EvenOdd, Layer, Method, Synchronous, chain, relax
from hopfax.gradients import Implicit, Unrolled
from hopfax.lagrangians import Tanh
from hopfax.solvers import (
    Absolute,
    Anderson,
    Energy,
    EnergyEstimate,
    Picard,
    Relative,
    Trace,
    Unguarded,
)
from hopfax.solvers.anderson import _solve_masked
from hopfax.updates.problem import Problem

# Zero is a saddle of the first, with slope 1.03² along the unstable direction. The second is far from linear.
SADDLE = HAM({"a": Layer(1, Tanh()), "b": Layer(1, Tanh())}, [Dense(("a", "b"), jnp.array([[1.03]]))])
CURVED = scaled(double(chain([3, 4, 2], Tanh(), key=jr.key(0), bias_std=1.0)), 2.0)


def walk(model: HAM, solver, start: float, count: int = 40):
    """The points that a solver visits, their plain images, and their `StepInfo`."""
    problem = Problem(model, EvenOdd())
    fn = lambda states, args: problem.evaluate(states)
    point = {n: jnp.full(x.shape, start) for n, x in problem.restrict(model.zeros(jnp.float64)).items()}
    state = solver.init(fn, point, None, {}, *jax.eval_shape(fn, point, None), frozenset())
    dynamic, static = eqx.partition(state, eqx.is_array)

    def step(carry, _):
        state = eqx.combine(carry[1], static)
        new, state, info = solver.step(fn, carry[0], None, {}, state, frozenset())
        flatten = lambda states: jnp.concatenate([x.ravel() for x in states.values()])
        return (new, eqx.filter(state, eqx.is_array)), (
            flatten(carry[0]),
            flatten(problem.image(carry[0])),
            info,
        )

    run = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=count)[1])
    return jax.tree.map(np.asarray, run((point, dynamic)))


def after_rejection(points, images, accepted):
    """Steps in units of the residual, from the plain image that follows the first rejected point."""
    first = int(np.argmin(accepted)) + 1
    assert not accepted[first - 1]
    assert close(points[first], images[first - 2])
    return (np.diff(points, axis=0) / (images - points)[:-1])[first:, 0]


@pytest.mark.parametrize("ridge", [Relative(), Absolute()], ids=["relative", "absolute"])
def test_an_affine_map_of_three_dimensions_takes_five_evaluations(ridge):
    """Three differences span the space, so the default ridge must be almost nothing."""
    slopes, shift = jnp.array([0.9, -0.6, 0.3]), jnp.array([1.0, 2.0, -1.0])
    solver = Anderson(5, Unguarded(), ridge, start_rtol=jnp.inf, max_overrelaxation=1.0, rtol=0.0, atol=1e-6)
    fn = lambda z, args: slopes * z + shift
    solution = optx.fixed_point(fn, solver, jnp.zeros(3, jnp.float64), max_steps=6)
    assert close(solution.value, shift / (1 - slopes), 1e-5)


@pytest.mark.parametrize("start_rtol", [0.3, 0.01])
def test_steps_are_plain_until_the_relative_residual_is_below_start_rtol(start_rtol):
    plain, _, info = walk(CURVED, Picard(), 0.5)
    points, _, _ = walk(CURVED, Anderson(start_rtol=start_rtol), 0.5)
    first = int(np.argmax(info.residual <= start_rtol * info.scale))
    assert first >= 1
    assert close(points[: first + 1], plain[: first + 1])
    assert not close(points[first + 1], plain[first + 1])


def test_with_an_infinite_start_rtol_it_extrapolates_at_once_and_with_zero_never():
    plain, _, _ = walk(CURVED, Picard(), 0.5)
    assert not close(walk(CURVED, Anderson(start_rtol=float("inf")), 0.5)[0][2], plain[2])
    assert close(walk(CURVED, Anderson(start_rtol=0.0), 0.5)[0], plain)


@pytest.mark.parametrize("max_overrelaxation", [1.0, 4.0])
def test_after_a_rejected_extrapolation_overrelaxation_doubles_up_to_its_maximum(max_overrelaxation):
    points, images, info = walk(SADDLE, Anderson(max_overrelaxation=max_overrelaxation), 1e-4, 9)
    overrelaxations = after_rejection(points, images, info.accepted)
    expected = [min(2.0 ** (k + 1), max_overrelaxation) for k in range(3)] if max_overrelaxation > 1 else []
    assert close(overrelaxations[: len(expected)], np.array(expected), 1e-8)
    assert max_overrelaxation > 1 or (overrelaxations < 1 + 1e-8).all()


@pytest.mark.parametrize("max_overrelaxation", [1.0, 64.0])
@pytest.mark.parametrize(("model", "start"), [(SADDLE, 1e-4), (CURVED, 0.5)], ids=["saddle", "curved"])
def test_the_energy_never_rises_over_accepted_points(max_overrelaxation, model, start):
    _, _, info = walk(model, Anderson(max_overrelaxation=max_overrelaxation, start_rtol=float("inf")), start)
    energies = info.energy[info.accepted]
    # The slack of the safeguard is four rounding errors.
    assert np.diff(energies).max() <= 4 * np.finfo(np.float64).eps * info.energy_size.max()


def test_a_difference_of_zero_has_no_weight_and_leaves_the_others_as_they_are():
    """As where the residual does not change along a step: the least squares are those of the other differences."""
    differences = np.asarray(jr.normal(jr.key(5), (4, 6), jnp.float64)) * np.array([[1], [0], [1], [0]])
    residual = np.asarray(jr.normal(jr.key(6), (6,), jnp.float64))
    gram, right = jnp.asarray(differences @ differences.T), jnp.asarray(differences @ residual)
    weights = _solve_masked(gram, right, jnp.array([True, True, True, False]))
    expected = np.linalg.lstsq(differences[[0, 2]].T, residual, rcond=None)[0]
    assert close(weights, np.array([expected[0], 0, expected[1], 0]), 1e-9)


def test_overrelaxation_leaves_a_saddle_in_fewer_evaluations_for_the_same_minimum():
    weight = 1.04 * jnp.linalg.qr(jr.normal(jr.key(3), (3, 3), jnp.float64))[0]
    model = HAM({"a": Layer(3, Tanh()), "b": Layer(3, Tanh())}, [Dense(("a", "b"), weight)])
    start = {"b": 1e-6 * jr.normal(jr.key(4), (5, 3), jnp.float64)}
    find = lambda max_overrelaxation: relax(
        model,
        start=start,
        method=Method(
            solver=Anderson(max_overrelaxation=max_overrelaxation), rtol=1e-9, atol=0.0, max_steps=2000
        ),
    )
    long, short = find(64.0), find(1.0)
    assert long.converged.all()
    assert (long.energy < -1e-4).all()
    assert (long.statistics.evaluations < 0.5 * short.statistics.evaluations).all()
    assert close(long.energy, short.energy, 1e-6)


def trajectory(model: HAM, solver, start, **settings):
    """The states at 12 evaluations, for every example of a batch, and how the solve went."""
    method = Method(solver=solver, rtol=1e-6, atol=0.0, max_steps=12, **settings)
    equilibrium = relax(model, start=start, method=method, trace=Trace(12, state=True))
    return equilibrium.trace.state["b"], equilibrium


@pytest.mark.parametrize(
    ("check_every", "batch"),
    [(1, 40), (4, 3), *(pytest.param(*row, marks=pytest.mark.slow) for row in ((1, 3), (4, 40)))],
)
def test_the_steps_before_the_acceleration_are_plain(check_every, batch):
    """Also where a batch is cut, and where it is checked rarely. The step after them may be accelerated."""
    model = HAM({"a": Layer(3, Tanh()), "b": Layer(3, Tanh())}, [Dense(("a", "b"), 0.8 * jnp.eye(3))])
    start = {"b": jr.normal(jr.key(0), (batch, 3), jnp.float64)}
    plain, _ = trajectory(model, Picard(), start)
    solver = Anderson(delay=5, start_rtol=float("inf"), safeguard=Unguarded())
    delayed, _ = trajectory(model, solver, start, check_every=check_every)
    np.testing.assert_array_equal(delayed[:, :6], plain[:, :6])
    assert not np.isclose(delayed[:, 7], plain[:, 7]).any(axis=-1).all()


@pytest.mark.parametrize("gradient", [Implicit(), Unrolled(12)], ids=["implicit", "unrolled"])
def test_a_solve_that_ends_before_the_acceleration_is_that_of_picard(gradient):
    synapses = [Dense(("a", "b"), 0.3 * jnp.eye(3)), Bias("b", jnp.ones(3))]
    model = HAM({"a": Layer(3, Tanh()), "b": Layer(3, Tanh())}, synapses)
    start = {"b": jr.normal(jr.key(0), (5, 3), jnp.float64)}
    _, plain = trajectory(model, Picard(), start, gradient=gradient)
    _, delayed = trajectory(model, Anderson(delay=12), start, gradient=gradient)
    assert plain.converged.all()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13), plain, delayed)


def test_there_is_no_delay_where_a_plain_step_may_raise_the_energy():
    """Synchronous steps of two neurons that inhibit each other go back and forth, and are guarded from the first."""
    start = {"b": jnp.full((1,), 0.5)}
    solve = lambda delay: relax(
        SADDLE, start=start, method=Method(update=Synchronous(), solver=Anderson(delay=delay), max_steps=12)
    )
    assert eqx.tree_equal(solve(0), solve(6))


@pytest.mark.parametrize(("safeguard", "most"), [(Energy(), 20), (EnergyEstimate(), 20), (Unguarded(), 59)])
def test_under_a_guard_of_the_energy_one_step_in_21_is_plain(safeguard, most):
    """The spacer steps from which convergence follows; a window of two leaves a critical network far from its end."""
    model = scaled(double(chain([3, 40, 30], Tanh(), key=jr.key(1))), 0.95)
    solver = Anderson(window=2, safeguard=safeguard, start_rtol=float("inf"), delay=0)
    points, images, _ = walk(model, solver, 0.5, 61)
    plain = np.all(points[1:] == images[:-1], axis=1)
    runs = [len(run) for run in "".join("p" if one else "a" for one in plain).split("p")]
    assert max(runs) == most
