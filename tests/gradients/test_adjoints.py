"""Adjoint solvers on linear networks, where the solution, its residual and the number of products are known."""

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
ROTATION = jnp.linalg.qr(jr.normal(jr.key(0), (4, 4), jnp.float64))[0]
V = jnp.array([1.0, -2.0, 0.5, 1.5])
EXACT = [ConjugateGradient(1e-12), Krylov(lx.GMRES(1e-12, 1e-14)), Iterated(rtol=1e-12), Neumann(600)]
label = lambda x: type(x).__name__


def problem(weight) -> Problem:
    """Linear neurons, with `J = Wᵀ W` on the unknown layer."""
    size = len(weight)
    layers = {"a": Layer(size, Identity()), "b": Layer(size, Identity())}
    biases = [Bias(name, jnp.ones(size, weight.dtype)) for name in layers]
    return Problem(HAM(layers, [Dense(("a", "b"), weight), *biases]), EvenOdd())


@eqx.filter_jit
def solve(adjoint, weight, v, initial=None):
    at = problem(weight)
    (name,) = at.update.unknowns(at.model)
    start = None if initial is None else {name: initial}
    solution, stats = adjoint.solve(at, {name: jnp.zeros_like(v)}, {name: v}, start)
    return solution[name], stats


def jacobian(weight):
    (name,) = problem(weight).update.unknowns(problem(weight).model)
    return np.asarray(weight.T @ weight if name == "b" else weight @ weight.T)


WEIGHT = jnp.diag(SINGULAR) @ ROTATION
TRUE = np.linalg.solve(np.eye(4) - jacobian(WEIGHT).T, np.asarray(V))


@pytest.mark.parametrize("adjoint", EXACT, ids=label)
def test_each_solves_the_adjoint_equation_and_reports_it(adjoint):
    u, stats = solve(adjoint, WEIGHT, V)
    assert close(u, TRUE, 1e-9)
    assert stats.residual < 1e-9
    assert stats.flagged == 0


@pytest.mark.parametrize("adjoint", [ConjugateGradient(), Krylov(), Iterated()], ids=label)
def test_the_defaults_meet_their_tolerance(adjoint):
    u, stats = solve(adjoint, WEIGHT, V)
    assert close(u, TRUE, 1e-3)
    assert stats.residual <= 1e-4
    assert stats.flagged == 0


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize(
    "adjoint", [ConjugateGradient(max_products=3), Neumann(5), Iterated(max_products=4)], ids=label
)
def test_everything_scales_with_the_cotangent(adjoint, scale):
    (u, stats), (scaled, other) = solve(adjoint, WEIGHT, V), solve(adjoint, WEIGHT, scale * V)
    assert close(scaled, scale * u, 1e-6)
    assert close(other.residual, stats.residual, 1e-4)
    assert (other.products, other.flagged) == (stats.products, stats.flagged)


@pytest.mark.parametrize("adjoint", [*EXACT, Neumann(3)], ids=label)
def test_a_zero_cotangent_gives_zero(adjoint):
    u, stats = solve(adjoint, WEIGHT, jnp.zeros_like(V))
    assert close(u, 0 * V)
    assert (stats.residual, stats.flagged) == (0, 0)


@pytest.mark.parametrize("terms", [1, 2, 5])
def test_the_neumann_series_has_the_given_number_of_terms(terms):
    u, stats = solve(Neumann(terms), WEIGHT, V)
    powers = [np.linalg.matrix_power(jacobian(WEIGHT).T, k) @ V for k in range(terms)]
    assert close(u, sum(powers), 1e-12)
    assert close(stats.residual, np.linalg.norm(powers[-1]) / np.linalg.norm(V), 1e-6)
    assert (stats.products, stats.flagged) == (terms - 1, 0)


@pytest.mark.parametrize("rtol", [0.1, 0.01])
def test_the_neumann_series_ends_where_a_term_is_small_relative_to_the_sum(rtol):
    """In one dimension the sum of `k` terms is `(1 - jᵏ) / (1 - j)`."""
    j = 0.81
    count = next(k for k in range(1, 100) if j ** (k - 1) <= rtol * (1 - j**k) / (1 - j))
    u, stats = solve(Neumann(500, rtol), jnp.array([[0.9]]), jnp.ones(1))
    assert close(u, (1 - j**count) / (1 - j), 1e-6)
    assert stats.products == count - 1


@pytest.mark.parametrize(("kinds", "products"), [(1, 2), (2, 3), (4, 5)])
def test_conjugate_gradients_take_a_product_for_each_eigenvalue_and_one_to_begin(kinds, products):
    values = jnp.array({1: [0.9] * 4, 2: [0.9, 0.9, 0.5, 0.5], 4: SINGULAR}[kinds])
    weight = jnp.diag(values) @ ROTATION
    u, stats = solve(ConjugateGradient(1e-9), weight, V)
    assert close(u, np.linalg.solve(np.eye(4) - jacobian(weight).T, np.asarray(V)), 1e-7)
    assert stats.products == products


@pytest.mark.parametrize("max_products", [1, 2, 3])
def test_conjugate_gradients_stop_at_max_products_and_flag_it(max_products):
    u, stats = solve(ConjugateGradient(1e-9, max_products), WEIGHT, V)
    assert (stats.products, stats.flagged) == (max_products, 1)
    residual = V + jacobian(WEIGHT).T @ u - u
    assert close(stats.residual, np.linalg.norm(residual) / np.linalg.norm(V), 1e-5)


@pytest.mark.parametrize("adjoint", [ConjugateGradient(1e-9), Iterated(rtol=1e-9)], ids=label)
def test_a_start_at_the_solution_takes_at_most_two_products(adjoint):
    u, stats = solve(adjoint, WEIGHT, V, jnp.asarray(TRUE))
    assert close(u, TRUE, 1e-8)
    assert stats.products <= 2
    assert stats.flagged == 0


@pytest.mark.parametrize(
    "adjoint", [ConjugateGradient(1e-9), Neumann(600), Krylov(lx.GMRES(1e-12, 1e-14))], ids=label
)
def test_a_bad_start_does_no_harm(adjoint):
    u, stats = solve(adjoint, WEIGHT, V, 1e3 * V)
    assert close(u, TRUE, 1e-6)
    assert stats.flagged == 0


def test_the_neumann_series_makes_use_of_a_start():
    """From the exact solution there is nothing to add. The product that shows it is counted."""
    u, stats = solve(Neumann(3), WEIGHT, V, jnp.asarray(TRUE))
    assert close(u, TRUE, 1e-9)
    assert stats.products >= 1


@pytest.mark.parametrize("adjoint", [ConjugateGradient(1e-9), Krylov(), Iterated()], ids=label)
def test_at_a_saddle_the_one_step_gradient_is_taken_and_flagged(adjoint):
    """`I - J` is not positive there. The residual is at most that of `v` itself."""
    weight = jnp.diag(jnp.array([1.3, 0.8, 0.5, 0.2])) @ ROTATION
    u, stats = solve(adjoint, weight, V)
    residual = V + jacobian(weight).T @ u - u
    one_step = jacobian(weight).T @ V
    assert np.all(np.isfinite(u))
    assert np.linalg.norm(residual) <= np.linalg.norm(one_step) * (1 + 1e-9)
    assert close(stats.residual, np.linalg.norm(residual) / np.linalg.norm(V), 1e-5)


def test_conjugate_gradients_end_at_once_where_the_curvature_is_negative():
    """In every direction here. There is a product to begin with, and one that shows it."""
    u, stats = solve(ConjugateGradient(1e-9), 1.3 * ROTATION, V)
    assert close(u, V)
    assert (stats.products, stats.flagged) == (2, 1)


@pytest.mark.parametrize("damping", [0.1, 0.5, 0.9])
def test_damping_shrinks_the_jacobian(damping):
    u, stats = solve(ConjugateGradient(1e-12, damping=damping), WEIGHT, V)
    assert close(u, np.linalg.solve(np.eye(4) - (1 - damping) * jacobian(WEIGHT).T, np.asarray(V)), 1e-9)
    assert stats.flagged == 0


def test_damping_bounds_the_solution_by_the_cotangent():
    """Near a saddle `1 / (1 - λ)` is large; with damping no direction grows by more than `1 / damping`."""
    weight = jnp.diag(jnp.array([1 - 1e-6, 0.7, 0.5, 0.2])) @ ROTATION
    exact, _ = solve(ConjugateGradient(1e-12), weight, V)
    damped, stats = solve(ConjugateGradient(1e-12, damping=0.2), weight, V)
    assert np.linalg.norm(exact) > 1e3 * np.linalg.norm(V)
    assert np.linalg.norm(damped) <= np.linalg.norm(V) / 0.2
    assert stats.flagged == 0


@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_forward_and_reverse_mode_are_transposes(damping):
    at, adjoint = problem(WEIGHT), ConjugateGradient(1e-12, damping=damping)
    (name,) = at.update.unknowns(at.model)
    tangent, zero = jnp.array([0.3, 1.0, -0.5, 2.0]), {name: jnp.zeros(4)}
    forward, reverse = eqx.filter_jit(
        lambda: (
            adjoint.solve_tangent(at, zero, {name: tangent})[name],
            adjoint.solve(at, zero, {name: V})[0][name],
        )
    )()
    assert close(forward @ V, tangent @ reverse, 1e-10)


def test_damping_leaves_a_positive_equation_just_beyond_a_saddle():
    """There the exact equation has negative curvature, and its solve ends with the one-step gradient."""
    weight = jnp.sqrt(1.2) * jnp.diag(jnp.array([1.0, 0.8, 0.5, 0.2])) @ ROTATION
    u, stats = solve(ConjugateGradient(1e-9, damping=0.2), weight, V)
    assert close(u, np.linalg.solve(np.eye(4) - 0.8 * jacobian(weight).T, np.asarray(V)), 1e-6)
    assert (stats.flagged, solve(ConjugateGradient(1e-9), weight, V)[1].flagged) == (0, 1)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_tolerances_below_the_precision_are_raised_to_ten_eps(dtype):
    adjoint = ConjugateGradient(1e-30, 50)
    u, stats = solve(adjoint, WEIGHT.astype(dtype), V.astype(dtype))
    assert stats.flagged == 0
    assert stats.residual <= 10 * jnp.finfo(dtype).eps
    assert close(u, TRUE, 1e4 * float(jnp.finfo(dtype).eps))


def test_picard_in_place_of_anderson_finds_the_same():
    u, stats = solve(Iterated(Picard(), 1e-9, 500), WEIGHT, V)
    assert close(u, TRUE, 1e-7)
    assert stats.flagged == 0


def test_the_synchronous_adjoint_is_that_of_all_layers():
    at = Problem(problem(WEIGHT).model, Synchronous())
    v = {"a": V, "b": 2 * V}
    zero = jax.tree.map(jnp.zeros_like, v)
    solution, stats = eqx.filter_jit(lambda: ConjugateGradient(1e-12).solve(at, zero, v))()
    whole = np.block([[np.zeros((4, 4)), WEIGHT], [WEIGHT.T, np.zeros((4, 4))]])
    expected = np.linalg.solve(np.eye(8) - whole, np.concatenate([V, 2 * V]))
    assert close(jnp.concatenate([solution["a"], solution["b"]]), expected, 1e-8)
    assert stats.flagged == 0
