"""Adjoint solvers on linear networks, where the adjoint, its residual and the products spent are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import lineax as lx
import numpy as np
import pytest
from problems import close

from hopfax import HAM, Bias, Dense, EvenOdd, Layer, Synchronous
from hopfax.gradients import ConjugateGradient, Iterated, Krylov, Neumann
from hopfax.lagrangians import Identity
from hopfax.solvers import Picard
from hopfax.updates.problem import Problem

SINGULAR = jnp.array([0.9, 0.7, 0.5, 0.2])
TURN = jnp.linalg.qr(jr.normal(jr.key(0), (4, 4), jnp.float64))[0]
V = jnp.array([1.0, -2.0, 0.5, 1.5])
EXACT = [ConjugateGradient(1e-12), Krylov(lx.GMRES(1e-12, 1e-14)), Iterated(rtol=1e-12), Neumann(600)]
label = lambda x: type(x).__name__


def problem(weight) -> Problem:
    """Linear neurons, `J = Wᵀ W` on the kept half."""
    size = len(weight)
    layers = {"a": Layer(size, Identity()), "b": Layer(size, Identity())}
    biases = [Bias(name, jnp.ones(size, weight.dtype)) for name in layers]
    return Problem(HAM(layers, [Dense(("a", "b"), weight), *biases]), EvenOdd())


@eqx.filter_jit
def solve(adjoint, weight, v, initial=None):
    at = problem(weight)
    (name,) = at.update.unknowns(at.model)
    start = None if initial is None else {name: initial}
    found, report = adjoint.solve(at, {name: jnp.zeros_like(v)}, {name: v}, start)
    return found[name], report


def jacobian(weight):
    (name,) = problem(weight).update.unknowns(problem(weight).model)
    return np.asarray(weight.T @ weight if name == "b" else weight @ weight.T)


WEIGHT = jnp.diag(SINGULAR) @ TURN
TRUE = np.linalg.solve(np.eye(4) - jacobian(WEIGHT).T, np.asarray(V))


@pytest.mark.parametrize("adjoint", EXACT, ids=label)
def test_each_solves_the_adjoint_equation_and_says_so(adjoint):
    u, report = solve(adjoint, WEIGHT, V)
    assert close(u, TRUE, 1e-9)
    assert report.residual < 1e-9
    assert report.flagged == 0


@pytest.mark.parametrize("adjoint", [ConjugateGradient(), Krylov(), Iterated()], ids=label)
def test_as_they_come_they_are_right_to_their_tolerance(adjoint):
    u, report = solve(adjoint, WEIGHT, V)
    assert close(u, TRUE, 1e-3)
    assert report.residual <= 1e-4
    assert report.flagged == 0


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize(
    "adjoint", [ConjugateGradient(max_products=3), Neumann(5), Iterated(max_products=4)], ids=label
)
def test_everything_scales_with_the_cotangent(adjoint, scale):
    (u, report), (scaled, other) = solve(adjoint, WEIGHT, V), solve(adjoint, WEIGHT, scale * V)
    assert close(scaled, scale * u, 1e-6)
    assert close(other.residual, report.residual, 1e-4)
    assert (other.products, other.flagged) == (report.products, report.flagged)


@pytest.mark.parametrize("adjoint", [*EXACT, Neumann(3)], ids=label)
def test_nothing_comes_of_nothing(adjoint):
    u, report = solve(adjoint, WEIGHT, jnp.zeros_like(V))
    assert close(u, 0 * V)
    assert (report.residual, report.flagged) == (0, 0)


@pytest.mark.parametrize("terms", [1, 2, 5])
def test_the_neumann_series_has_so_many_terms(terms):
    u, report = solve(Neumann(terms), WEIGHT, V)
    powers = [np.linalg.matrix_power(jacobian(WEIGHT).T, k) @ V for k in range(terms)]
    assert close(u, sum(powers), 1e-12)
    assert close(report.residual, np.linalg.norm(powers[-1]) / np.linalg.norm(V), 1e-6)
    assert (report.products, report.flagged) == (terms - 1, 0)


@pytest.mark.parametrize("rtol", [0.1, 0.01])
def test_the_neumann_series_is_cut_where_a_term_is_small_beside_the_sum(rtol):
    """In one dimension the sum of `k` terms is `(1 - jᵏ) / (1 - j)`."""
    j = 0.81
    count = next(k for k in range(1, 100) if j ** (k - 1) <= rtol * (1 - j**k) / (1 - j))
    u, report = solve(Neumann(500, rtol), jnp.array([[0.9]]), jnp.ones(1))
    assert close(u, (1 - j**count) / (1 - j), 1e-6)
    assert report.products == count - 1


@pytest.mark.parametrize(("kinds", "products"), [(1, 2), (2, 3), (4, 5)])
def test_conjugate_gradients_take_a_product_for_each_eigenvalue_and_one_to_begin(kinds, products):
    values = jnp.array({1: [0.9] * 4, 2: [0.9, 0.9, 0.5, 0.5], 4: SINGULAR}[kinds])
    weight = jnp.diag(values) @ TURN
    u, report = solve(ConjugateGradient(1e-9), weight, V)
    assert close(u, np.linalg.solve(np.eye(4) - jacobian(weight).T, np.asarray(V)), 1e-7)
    assert report.products == products


@pytest.mark.parametrize("most", [1, 2, 3])
def test_conjugate_gradients_stop_at_the_most_products_and_flag_it(most):
    u, report = solve(ConjugateGradient(1e-9, most), WEIGHT, V)
    assert (report.products, report.flagged) == (most, 1)
    left = V + jacobian(WEIGHT).T @ u - u
    assert close(report.residual, np.linalg.norm(left) / np.linalg.norm(V), 1e-5)


@pytest.mark.parametrize("adjoint", [ConjugateGradient(1e-9), Iterated(rtol=1e-9)], ids=label)
def test_a_start_at_the_solution_is_kept_for_next_to_nothing(adjoint):
    u, report = solve(adjoint, WEIGHT, V, jnp.asarray(TRUE))
    assert close(u, TRUE, 1e-8)
    assert report.products <= 2
    assert report.flagged == 0


@pytest.mark.parametrize(
    "adjoint", [ConjugateGradient(1e-9), Neumann(600), Krylov(lx.GMRES(1e-12, 1e-14))], ids=label
)
def test_a_bad_start_does_no_harm(adjoint):
    u, report = solve(adjoint, WEIGHT, V, 1e3 * V)
    assert close(u, TRUE, 1e-6)
    assert report.flagged == 0


def test_a_start_saves_the_neumann_series_what_it_knows():
    """From the exact solution there is nothing to add; the product spent to see that is counted."""
    u, report = solve(Neumann(3), WEIGHT, V, jnp.asarray(TRUE))
    assert close(u, TRUE, 1e-9)
    assert report.products >= 1


@pytest.mark.parametrize("adjoint", [ConjugateGradient(1e-9), Krylov(), Iterated()], ids=label)
def test_past_the_critical_coupling_the_one_step_gradient_is_taken_and_flagged(adjoint):
    """A saddle: `I - J` is not positive. What is returned leaves no more than `v` itself does."""
    weight = jnp.diag(jnp.array([1.3, 0.8, 0.5, 0.2])) @ TURN
    u, report = solve(adjoint, weight, V)
    left = V + jacobian(weight).T @ u - u
    one_step = jacobian(weight).T @ V
    assert np.all(np.isfinite(u))
    assert np.linalg.norm(left) <= np.linalg.norm(one_step) * (1 + 1e-9)
    assert close(report.residual, np.linalg.norm(left) / np.linalg.norm(V), 1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_tolerances_below_the_precision_are_taken_as_ten_roundings(dtype):
    adjoint = ConjugateGradient(1e-30, 50)
    u, report = solve(adjoint, WEIGHT.astype(dtype), V.astype(dtype))
    assert report.flagged == 0
    assert report.residual <= 10 * jnp.finfo(dtype).eps
    assert close(u, TRUE, 1e4 * float(jnp.finfo(dtype).eps))


def test_the_plain_solver_in_place_of_anderson_finds_the_same():
    u, report = solve(Iterated(Picard(), 1e-9, 500), WEIGHT, V)
    assert close(u, TRUE, 1e-7)
    assert report.flagged == 0


def test_the_synchronous_adjoint_is_that_of_all_layers():
    at = Problem(problem(WEIGHT).model, Synchronous())
    v = {"a": V, "b": 2 * V}
    zero = jax.tree.map(jnp.zeros_like, v)
    found, report = eqx.filter_jit(lambda: ConjugateGradient(1e-12).solve(at, zero, v))()
    whole = np.block([[np.zeros((4, 4)), WEIGHT], [WEIGHT.T, np.zeros((4, 4))]])
    expected = np.linalg.solve(np.eye(8) - whole, np.concatenate([V, 2 * V]))
    assert close(jnp.concatenate([found["a"], found["b"]]), expected, 1e-8)
    assert report.flagged == 0
