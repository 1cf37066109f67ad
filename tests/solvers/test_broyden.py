"""Broyden's method against its dense form, its theorems, and the whole zoo."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optimistix as optx
import pytest
from problems import ZOO, Family, close, scaled

from hopfax import Method, Status, chain, relax
from hopfax.lagrangians import Tanh
from hopfax.solvers import Broyden, Picard, Residual, Stopping, Unguarded, iterate
from hopfax.solvers.broyden import _Inverse
from hopfax.updates import Coloured
from hopfax.updates.problem import Problem

FAMILY = Family.of({name: ZOO[name] for name in ("linear", "chain4", "softmax")})


def affine(size: int, seed: int = 0):
    """A contraction `z ↦ A z + b`, not symmetric."""
    random = np.random.default_rng(seed)
    return 0.5 * random.normal(size=(size, size)) / size**0.5, random.normal(size=size)


def walk(solver, fn, start, steps: int):
    """The points that the solver visits."""
    struct = jax.eval_shape(fn, start, None)
    state = solver.init(fn, start, None, {}, *struct, frozenset())

    def step(carry, _):
        point, state, aux = solver.step(fn, carry[0], None, {}, carry[1], frozenset())
        return (point, state), (carry[0], aux)

    return jax.jit(lambda s, d: jax.lax.scan(step, (s, d), None, length=steps)[1])(start, state)


def dense(fn, point, steps: int, memory: int):
    """The good Broyden method on the Jacobian itself, restarted after every `memory` pairs."""
    points, residual, jacobian, pairs = [], point, -np.eye(len(point)), 0
    for k in range(steps):
        before, residual = residual, fn(point) - point
        if k:
            if pairs == memory:
                jacobian, pairs = -np.eye(len(point)), 0
            move, change = point - points[-1], residual - before
            jacobian, pairs = jacobian + np.outer(change - jacobian @ move, move) / (move @ move), pairs + 1
        points.append(point)
        point = point - np.linalg.solve(jacobian, residual)
    return np.array(points)


@pytest.mark.parametrize("memory", [3, 20])
def test_iterates_are_those_of_the_dense_method_with_restarts(memory):
    matrix, offset = affine(5)
    fn = lambda z: matrix @ z + offset + 0.1 * jnp.sin(z)
    solver = Broyden(memory=memory, safeguard=Unguarded(), reach=1e9)
    points, _ = walk(solver, lambda z, args: (fn(z), None), jnp.zeros(5, jnp.float64), 9)
    assert close(points, dense(lambda z: np.asarray(fn(z)), np.zeros(5), 9, memory), 1e-6)


def test_an_affine_problem_is_solved_in_twice_its_dimension():
    """Source: [gay1979]: `2 n` steps."""
    matrix, offset = affine(3, seed=4)
    points, _ = walk(
        Broyden(memory=20, safeguard=Unguarded()),
        lambda z, args: (matrix @ z + offset, None),
        jnp.zeros(3),
        7,
    )
    assert close(points[-1], np.linalg.solve(np.eye(3) - matrix, offset), 1e-9)


def test_an_update_satisfies_the_secant_equation_and_changes_the_jacobian_along_the_step_only():
    step, change, other = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4)))

    @jax.jit
    def inverses():
        old = _Inverse.initial(3, 0.7, jnp.zeros(4)).update(other, step + other)
        new = old.update(step, change)
        matrices = [jax.vmap(h.apply, out_axes=1)(jnp.eye(4)) for h in (old, new)]
        return *matrices, jax.vmap(new.apply_transpose, out_axes=1)(jnp.eye(4))

    old, new, transposed = inverses()
    assert close(new @ change, step)
    assert close(transposed, new.T)
    jacobian = np.linalg.inv(old)
    expected = jacobian + np.outer(change - jacobian @ step, step) / (step @ step)
    assert close(np.linalg.inv(new), expected, 1e-10)


def test_a_pair_without_information_is_skipped():
    inverse = _Inverse.initial(2, 1.0, jnp.zeros(4))
    learned = jax.jit(jax.vmap(inverse.update))(np.array([[0.0] * 4, [np.nan] * 4]), np.ones((2, 4)))
    for k in range(2):
        assert close(jax.tree.map(lambda x, k=k: x[k], learned), inverse)


def test_steps_are_at_most_as_long_as_the_reach_allows():
    matrix, offset = affine(4)
    fn = lambda z, args: (z + 0.01 * (matrix @ z + offset), None)
    points, _ = walk(Broyden(safeguard=Unguarded(), reach=3.0), fn, jnp.zeros(4), 6)
    points = np.asarray(points)
    plain = np.linalg.norm(0.01 * (points @ matrix.T + offset), axis=1)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert (steps <= 3.0 * plain[:-1] * (1 + 1e-9)).all()
    assert np.isclose(steps[1:], 3.0 * plain[1:-1]).any()


@pytest.fixture(scope="module")
def solve():
    @eqx.filter_jit
    def solved(solver):
        stopping = Stopping(jnp.asarray(1e-11), jnp.asarray(0.0), jnp.asarray(1000))
        start = {"z": jnp.zeros(FAMILY.width, jnp.float64)}
        return jax.vmap(lambda index: iterate(FAMILY.at(index), solver, start, stopping))(FAMILY.index)

    return solved


def test_finds_the_equilibria_of_plain_iteration_in_fewer_sweeps(solve):
    (expected, plain), (states, statistics) = solve(Picard()), solve(Broyden(memory=4))
    assert statistics.status.tolist() == [Status.converged] * 3
    assert close(states["z"], expected["z"], 1e-9)
    assert statistics.evaluations.sum() < 0.7 * plain.evaluations.sum()
    assert (np.asarray(statistics.restarts) > 0).any()


def test_the_energy_of_accepted_points_never_rises():
    model = scaled(chain([4, 8, 7, 5], Tanh(), key=jr.key(0), bias_std=0.3), 2.5)

    def infos(inputs):
        problem = Problem(model.condition({"input": inputs}), Coloured())
        start = problem.restrict(problem.model.zeros(jnp.float32))
        return walk(Broyden(), lambda z, args: problem.evaluate(z), start, 20)[1]

    info = jax.vmap(infos)(jnp.asarray(np.random.default_rng(1).normal(size=(12, 4)), jnp.float32))
    assert not info.accepted.all()
    for k in range(12):
        energy = np.asarray(info.energy[k])[np.asarray(info.accepted[k])]
        rounding = 8 * np.finfo(np.float32).eps * np.asarray(info.energy_size[k]).max()
        assert (np.diff(energy) <= rounding).all()


def test_float32_stays_float32_and_a_bad_example_does_not_affect_the_others():
    model = chain([4, 5, 3], Tanh(), key=jr.key(0), bias_std=0.3)
    inputs = np.array([[0.1, 0.5, -0.4, 1.0], [0.1, np.nan, -0.4, 1.0], [1.0, 0.3, 0.2, -1.0]], np.float32)
    equilibrium = relax(model, {"input": inputs}, method=Method(solver=Broyden(), rtol=1e-5))
    assert equilibrium.state["output"].dtype == jnp.float32
    assert equilibrium.status.tolist() == [Status.converged, Status.nonfinite, Status.converged]


def test_works_inside_optimistix_where_it_has_no_energy():
    fn = lambda x, args: jnp.cos(x)
    solver = Broyden(safeguard=Residual(), rtol=1e-11, atol=1e-12)
    solution = optx.fixed_point(fn, solver, jnp.ones(3, jnp.float64), max_steps=50)
    assert close(solution.value, jnp.full(3, 0.7390851332151607), 1e-9)
    with pytest.raises(ValueError, match=r"Elsewhere use `safeguard=Residual\(\)`"):
        optx.fixed_point(fn, Broyden(), jnp.ones(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Broyden(memory=0), "memory=0"),
        (lambda: Broyden(reach=0.5), "reach=0.5"),
        (lambda: Broyden(mixing=0.0), r"must be in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
