"""Every solver on the whole zoo, and settings that are refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest
from jax.flatten_util import ravel_pytree
from problems import ZOO, Family, blocks, close, slow_except
from scipy.optimize import root

from hopfax import HAM, Bias, Dense, EvenOdd, Layer, Method, Status, relax
from hopfax.lagrangians import Identity, Tanh
from hopfax.papers import PUBLISHED_ANDERSON
from hopfax.solvers import (
    Anderson,
    Broyden,
    Chord,
    Energy,
    EnergyEstimate,
    FixedPointIteration,
    Newton,
    Picard,
    Relative,
    Residual,
    Stopping,
    Unguarded,
    iterate,
)
from hopfax.solvers.loop import fixed_point_function
from hopfax.updates.problem import Problem

SOLVERS = {
    "picard": Picard(),
    "damped picard": Picard(0.3),
    "anderson": Anderson(),
    "residual": Anderson(safeguard=Residual()),
    "published": PUBLISHED_ANDERSON,
    "unguarded, no ridge": Anderson(
        window=3, safeguard=Unguarded(), ridge=Relative(0.0), start_rtol=float("inf"), max_overrelaxation=1.0
    ),
    "mixed": Anderson(mixing=0.7),
    "broyden": Broyden(memory=4),
    "optimistix fixed point": FixedPointIteration(1e-12, 1e-12),
    "newton": Newton(1e-12, 1e-12),
}
NAMES = ("scalar", "linear", "chain4", "skip", "triangle", "softmax", "layernorm")
FAMILY = Family.of({name: ZOO[name] for name in NAMES})


@pytest.fixture(scope="module")
def start():
    return {"z": jnp.zeros(FAMILY.width, jnp.float64)}


@pytest.fixture(scope="module")
def reference(start):
    """Two thousand plain steps."""
    step = lambda _, states, index: FAMILY.at(index).evaluate(states)[0]
    walk = lambda index: jax.lax.fori_loop(0, 2000, lambda i, s: step(i, s, index), start)
    return jax.jit(jax.vmap(walk))(FAMILY.index)["z"]


@pytest.fixture(scope="module")
def solve(start):
    @eqx.filter_jit
    def solved(solver, starts, stopping):
        one = lambda index, start: iterate(FAMILY.at(index), solver, {"z": start}, stopping)
        return jax.vmap(one)(FAMILY.index, starts)

    stopping = Stopping(jnp.asarray(1e-11), jnp.asarray(0.0), jnp.asarray(1000))
    zeros = jnp.zeros((len(NAMES), FAMILY.width), jnp.float64)
    return lambda solver, starts=zeros: solved(solver, starts, stopping)


@pytest.mark.parametrize("name", slow_except(SOLVERS, ["anderson", "broyden", "newton"]))
def test_every_solver_finds_the_equilibrium_of_the_whole_zoo(name, solve, reference):
    states, statistics = solve(SOLVERS[name])
    assert statistics.status.tolist() == [Status.converged] * len(NAMES)
    assert close(states["z"], reference, 1e-9)


@pytest.mark.slow
def test_chord_finds_the_equilibrium_from_a_near_start(solve, reference):
    """It keeps the Jacobian of the start, so from a distant start it need not converge."""
    states, statistics = solve(Chord(1e-12, 1e-12), jnp.where(reference == 0, 0, reference + 0.02))
    assert statistics.status.tolist() == [Status.converged] * len(NAMES)
    assert close(states["z"], reference, 1e-9)


def test_the_reference_is_the_closed_form_where_there_is_one(reference):
    model, clamp = ZOO["linear"]
    whole, bias = blocks(model, model.order)
    right = bias[4:] + whole[4:, :4] @ np.asarray(clamp["input"])
    expected = np.linalg.solve(np.eye(8) - whole[4:, 4:], right)
    assert close(reference[NAMES.index("linear"), :3], expected[5:], 1e-10)


def test_rejections_restarts_and_evaluations_are_counted(solve):
    _, plain = solve(SOLVERS["picard"])
    _, restarted = solve(SOLVERS["broyden"])
    assert (np.asarray(plain.rejections) == 0).all()
    assert (np.asarray(plain.restarts) == 0).all()
    assert (np.asarray(restarted.restarts) > 0).any()
    assert (np.asarray(restarted.evaluations) > np.asarray(restarted.steps)).all()


def test_acceleration_needs_fewer_evaluations_than_picard(solve):
    (_, plain), (_, fast) = solve(SOLVERS["picard"]), solve(SOLVERS["anderson"])
    assert (np.asarray(fast.evaluations) <= np.asarray(plain.evaluations) + 1).all()
    assert np.sum(fast.evaluations) < 0.7 * np.sum(plain.evaluations)


@pytest.mark.parametrize("solver", [Picard(), Anderson(safeguard=Residual())], ids=["picard", "anderson"])
def test_our_solvers_work_inside_optimistix(solver):
    """`x = cos x` has its fixed point at 0.739085..., with the derivative `-sin(x) / (1 + sin(x))`."""

    def fixed_point(shift):
        fn = lambda x, args: jnp.cos(x + args)
        states = optx.fixed_point(fn, solver, jnp.ones(3, jnp.float64), shift, max_steps=200)
        return states.value[0]

    solver = eqx.tree_at(lambda s: (s.rtol, s.atol), solver, (1e-11, 1e-12))
    value, slope = jax.jit(jax.value_and_grad(fixed_point))(jnp.zeros((), jnp.float64))
    assert close(value, 0.7390851332151607, 1e-9)
    assert close(slope, -np.sin(value) / (1 + np.sin(value)), 1e-8)


def test_the_energy_safeguard_needs_an_energy():
    with pytest.raises(ValueError, match=r"Elsewhere use `safeguard=Residual\(\)`"):
        optx.fixed_point(lambda x, args: jnp.cos(x), Anderson(), jnp.ones(2))


def test_the_equilibrium_is_that_of_scipys_anderson():
    model, clamp = ZOO["chain4"]
    problem = Problem(model.condition(clamp), EvenOdd())
    vector, unravel = ravel_pytree(problem.restrict(problem.model.zeros(jnp.float64)))
    residual = jax.jit(lambda z: ravel_pytree(problem.image(unravel(z)))[0] - z)
    theirs = root(
        lambda z: np.asarray(residual(z)), np.asarray(vector), method="anderson", options={"fatol": 1e-11}
    )
    ours = relax(model, clamp, method=Method(rtol=1e-11, atol=0.0))
    assert theirs.success
    assert close(ravel_pytree(problem.restrict(ours.state))[0], theirs.x, 1e-8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Anderson(window=1), r"window=1\)` must be a whole number, at least 2"),
        (lambda: Anderson(mixing=0.0), r"must be in \(0, 1\]"),
        (lambda: Anderson(start_rtol=-0.1), "relative residual"),
        (lambda: Anderson(max_overrelaxation=0.5), "at least 1"),
        (lambda: Picard(1.0), r"damping=1.0\)` must be in \[0, 1\)"),
        (lambda: Picard(-0.1), r"damping=-0.1\)` must be in \[0, 1\)"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_default_safeguard_watches_the_energy():
    assert isinstance(Anderson().safeguard, EnergyEstimate)


@pytest.mark.parametrize(
    ("solver", "watches"),
    [
        (Picard(), False),
        (Anderson(safeguard=Energy()), True),
        (Broyden(safeguard=Energy()), True),
        (Anderson(), False),
        (Anderson(safeguard=Residual()), False),
        (PUBLISHED_ANDERSON, False),
        (Anderson(safeguard=Unguarded()), False),
        (FixedPointIteration(1e-3, 1e-3), True),  # which does not say
    ],
)
def test_solvers_that_watch_the_energy_are_given_it(solver, watches):
    model, clamp = ZOO["chain4"]
    problem = Problem(model.condition(clamp), EvenOdd())
    states = jax.tree.map(lambda x: x + 0.3, problem.restrict(problem.model.zeros(jnp.float64)))
    image, info = eqx.filter_jit(lambda z: fixed_point_function(problem, solver)(z, None))(states)
    energy, size = (
        jax.jit(lambda z: problem.update.energy(problem.model, z))(states) if watches else (0.0, 0.0)
    )
    assert close(image, eqx.filter_jit(problem.image)(states))
    assert close(info.energy, energy)
    assert close(info.energy_size, size)


@pytest.mark.parametrize("gain", [1.05, 2.0, 5.0])
def test_states_that_grow_without_end_are_unbounded(gain):
    """The energy `½ s² - ½ g W g` of identity neurons falls without end where `W` has an eigenvalue above one."""
    layers = {"a": Layer(1, Identity()), "b": Layer(1, Identity())}
    model = HAM(layers, [Dense(("a", "b"), jnp.array([[gain]])), Bias("b", jnp.array([1.0]))])
    for solver in (Anderson(), Picard(), Broyden()):
        ended = relax(model, method=Method(solver=solver, max_steps=1000))
        assert ended.status == Status.unbounded
        assert jnp.isfinite(ended.state["a"])


def test_a_bounded_network_may_grow_from_a_tiny_state_by_any_factor():
    layers = {"a": Layer(1, Tanh()), "b": Layer(1, Tanh())}
    model = HAM(layers, [Dense(("a", "b"), jnp.array([[3.0]]))])
    start = {"a": jnp.array([1e-12]), "b": jnp.array([1e-12])}
    ended = relax(model, start=start, method=Method(rtol=1e-8, atol=0.0, max_steps=200))
    assert ended.converged
    assert ended.state["a"] > 2.9
