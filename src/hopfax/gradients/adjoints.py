"""Linear solvers for the adjoint equation `u = v + Jᵀ u` of a fixed point, for one example. None of them raises."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, ArrayLike, Bool, Float, Int, ScalarLike

from .._internal.checks import require_integer, require_kind, require_number
from .._internal.tree import accumulation_dtype, axpy, dot, rms, select, subtract, tree_dtype
from ..networks.network import States
from ..solvers.anderson import Anderson
from ..solvers.loop import IterativeSolver, Stopping, iterate
from ..solvers.safeguards import Residual
from ..updates.problem import AbstractMap, Problem, StepInfo
from .base import AdjointStats

Product = Callable[[States], States]


class AbstractAdjoint(eqx.Module):
    """Solves `u = v + Jᵀ u` at an equilibrium, where `J = ∂f/∂z` is the Jacobian of the problem's map."""

    @abc.abstractmethod
    def solve(
        self, problem: Problem, equilibrium: States, cotangent: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        """The best solution `u` for the cotangent `v`, and the statistics.

        The solve starts at `initial`; None is a cold start. Where it fails, the result is `v`, which is the one-step
        gradient, or one step from `initial`. The tolerance is relative to `v`, whatever the start.
        """

    @abc.abstractmethod
    def solve_tangent(self, problem: Problem, equilibrium: States, tangent: States) -> States:
        """The solution `x` of `x = t + J x` for the tangent `t`: the transposed equation, for forward mode."""


class AbstractProductAdjoint(AbstractAdjoint):
    """An adjoint solver that needs nothing but products with `Jᵀ`. With products with `J` it solves for tangents."""

    @abc.abstractmethod
    def solve_product(
        self, product: Product, right_side: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        """The best solution of `u = v + product(u)` for the right side `v`, and the statistics."""

    def solve(
        self, problem: Problem, equilibrium: States, cotangent: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        return self.solve_product(_transposed_product(problem, equilibrium), cotangent, initial)

    def solve_tangent(self, problem: Problem, equilibrium: States, tangent: States) -> States:
        _, product = jax.linearize(problem.image, equilibrium)
        # A pytree, so that `batched_while_loop` is given its arrays.
        return self.solve_product(eqx.filter_closure_convert(product, tangent), tangent)[0]


class _CGState(eqx.Module):
    """The state of conjugate gradients. `d` marks products with `D`."""

    solution: States
    residual: States
    residual_d: States
    direction: States
    direction_d: States
    square: Float[Array, ""]  # <residual, D residual>
    products: Int[Array, ""]
    broken: Bool[Array, ""]  # whether a direction of non-positive curvature was met


class ConjugateGradient(AbstractAdjoint):
    """Conjugate gradients in the inner product of `D = ∂g/∂s`, for the symmetric adjoint of an energy.

    `J = K D` with `K = ∂h/∂g` and the Hessian `D` of the Lagrangians, both symmetric. With `u = v + D w` the adjoint
    equation is `(I - K D) w = K v`, which is self-adjoint in `<a, D b>`, and positive exactly at a strict minimum of
    the energy. Neither an inverse nor a root of `D` is taken, so it also works for saturated and singular layers
    (softmax, layer norm). A step takes one product with `K`, on the unknown layers only.

    With `damping` the equation is `u = v + (1 - damping) Jᵀ u`. An eigenvalue `λ < 1` of `J` makes the exact solution
    `1 / (1 - λ)` times as long as the cotangent, the damped one at most `1 / damping` times. So an image near a saddle
    does not outweigh all others of its batch, and solves take fewer products. As in the methods of Levenberg and
    Marquardt, a multiple of a distance from the equilibrium is added to the energy: the Bregman divergence of the
    Lagrangians. The gradient is then not exact; with 1 it would be the one-step gradient.

    Args:
        rtol: of the rms of the residual, relative to that of the cotangent, in (0, 1). It is raised to the rounding
            level of the states.
        max_products: the most products with `K`, at least 1.
        damping: in [0, 1); 0 is no damping, and the gradient is exact.
    Raises: `ValueError` for other values.
    Source: derived in this project; damping of truncated gradients in [geng2021].
    """

    rtol: float = 1e-5
    max_products: int = 100
    damping: float = 0.0

    def __check_init__(self):
        require_number("ConjugateGradient.rtol", self.rtol, lambda x: 0 < x < 1, "in (0, 1)")
        require_integer("ConjugateGradient.max_products", self.max_products, 1)
        rule = "in [0, 1); 0 is no damping"
        require_number("ConjugateGradient.damping", self.damping, lambda x: 0 <= x < 1, rule)

    def solve(
        self, problem: Problem, equilibrium: States, cotangent: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        curvature, response = self._symmetric_factors(problem, equilibrium)
        initial, defect, spent = _initial_defect(lambda u: curvature(response(u)), cotangent, initial)
        first = response(defect)
        first_d = curvature(first)
        size = rms(cotangent)
        tolerance = _attainable(self.rtol, cotangent) * size
        square = dot(first, first_d)
        state = _CGState(defect, first, first_d, first, first_d, square, spent + 1, jnp.array(False))
        running = lambda s: (rms(s.residual_d) > tolerance) & (s.products < self.max_products) & ~s.broken
        state = jax.lax.while_loop(running, lambda s: _cg_step(s, curvature, response), state)
        solution = _add(initial, state.solution), rms(state.residual_d)
        one_step = _add(initial, defect), rms(first_d)
        return _better(solution, one_step, size, tolerance, state.products)

    def solve_tangent(self, problem: Problem, equilibrium: States, tangent: States) -> States:
        # `x = t + K D x`, so `u = D x` solves the adjoint equation for the cotangent `D t`, and `x = t + K u`.
        curvature, response = self._symmetric_factors(problem, equilibrium)
        return _add(tangent, response(self.solve(problem, equilibrium, curvature(tangent))[0]))

    def _symmetric_factors(self, problem: Problem, equilibrium: States) -> tuple[Product, Product]:
        """The products with `D` and with the damped `K` at an equilibrium, as functions of the unknown states."""
        elimination = problem.update.eliminated(problem.model)
        curvature, response = problem.model.linearise(
            lambda g: elimination.response(problem.model, g), equilibrium
        )
        if self.damping == 0:
            return curvature, response
        return curvature, lambda u: jax.tree.map(lambda x: (1 - self.damping) * x, response(u))


def _cg_step(s: _CGState, curvature: Product, response: Product) -> _CGState:
    """One step of conjugate gradients; none where the curvature along the direction is not positive."""
    image = subtract(s.direction, response(s.direction_d))
    slope = dot(s.direction_d, image)
    broken = ~((slope > 0) & (s.square > 0) & jnp.isfinite(slope))
    length = jnp.where(broken, 0, s.square / jnp.where(broken, 1, slope))
    residual = axpy(-length, image, s.residual)
    residual_d = curvature(residual)
    square = dot(residual, residual_d)
    ratio = jnp.where(broken, 0, square / jnp.where(s.square > 0, s.square, 1))
    new = _CGState(
        axpy(length, s.direction_d, s.solution),
        residual,
        residual_d,
        axpy(ratio, s.direction, residual),
        axpy(ratio, s.direction_d, residual_d),
        square,
        s.products + 1,
        broken,
    )
    unchanged = eqx.tree_at(lambda t: (t.products, t.broken), s, (s.products + 1, broken))
    return select(broken, unchanged, new)


class Krylov(AbstractProductAdjoint):
    """A Krylov solver of lineax on `u - Jᵀ u = v`, without forming `J`, for adjoints that are not symmetric.

    `AdjointStats.products` counts the steps that the solver reports, which for GMRES are its restarts.

    Args:
        solver: an iterative linear solver of lineax; restarted GMRES by default.
    """

    solver: lx.AbstractLinearSolver = lx.GMRES(rtol=1e-5, atol=1e-7, restart=30, max_steps=100)

    def solve_product(
        self, product: Product, right_side: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        operator = lx.FunctionLinearOperator(
            lambda u: subtract(u, product(u)), jax.eval_shape(lambda: right_side)
        )
        options = {} if initial is None else {"y0": initial}
        result = lx.linear_solve(operator, right_side, self.solver, options=options, throw=False)
        products = result.stats.get("num_steps", jnp.zeros(()))
        rtol = getattr(self.solver, "rtol", 1e-5)
        return _solution_or_one_step(result.value, product, right_side, rtol, products)


class Neumann(AbstractProductAdjoint):
    """The Neumann series `u = Σ_{k<terms} (Jᵀ)ᵏ v`.

    Args:
        terms: the most terms, at least 1.
        rtol: the series ends where a term falls below this times the sum; at least 0.
    Raises: `ValueError` for other values.
    """

    terms: int = 8
    rtol: ScalarLike = 0.0

    def __check_init__(self):
        require_integer("Neumann.terms", self.terms, 1)
        require_number("Neumann.rtol", self.rtol, lambda x: x >= 0, "a number, 0 or more")

    def solve_product(
        self, product: Product, right_side: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        initial, defect, spent = _initial_defect(product, right_side, initial)

        def add_term(carry):
            total, term, count = carry
            term = product(term)
            return _add(total, term), term, count + 1

        running = lambda c: (c[2] < self.terms) & (rms(c[1]) > self.rtol * rms(c[0]))
        start = (_add(initial, defect), defect, jnp.ones((), jnp.int32))
        total, term, count = jax.lax.while_loop(running, add_term, start)
        size = rms(right_side)
        relative = rms(term) / jnp.where(size > 0, size, 1)
        return total, _stats(relative, count - 1 + spent, 0)


class Iterated(AbstractProductAdjoint):
    """`u ← v + Jᵀ u` by a fixed-point solver.

    Args:
        solver: Anderson by default, without limits on when it extrapolates, because the equation is linear.
        rtol: relative tolerance, in (0, 1). It is raised to the rounding level of the states.
        max_products: the most Jacobian products, at least 1.
    Raises: `ValueError` for other values.
    """

    solver: IterativeSolver = Anderson(
        safeguard=Residual(), start_rtol=float("inf"), max_overrelaxation=1.0, delay=0
    )
    rtol: float = 1e-5
    max_products: int = 200

    def __check_init__(self):
        require_kind("Iterated.solver", self.solver, IterativeSolver, "Anderson()")
        require_number("Iterated.rtol", self.rtol, lambda x: 0 < x < 1, "in (0, 1)")
        require_integer("Iterated.max_products", self.max_products, 1)

    def solve_product(
        self, product: Product, right_side: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        stopping = Stopping(_attainable(self.rtol, right_side), 0.0, self.max_products)
        start = right_side if initial is None else initial
        solution, statistics = iterate(_LinearMap(product, right_side), self.solver, start, stopping)
        return _solution_or_one_step(solution, product, right_side, 10 * self.rtol, statistics.evaluations)


class _LinearMap(AbstractMap):
    """The map `u ↦ v + product(u)`, as the solver loop takes it."""

    product: Product
    right_side: States

    def evaluate(self, states: States, energy: bool = True, slope: bool = False) -> tuple[States, StepInfo]:
        image = _add(self.right_side, self.product(states))
        residual = rms(subtract(image, states))
        return image, StepInfo(residual, rms(image), jnp.zeros_like(residual), jnp.zeros_like(residual))


def _transposed_product(problem: Problem, equilibrium: States) -> Product:
    """`u ↦ Jᵀ u`."""
    _, vjp = jax.vjp(lambda z: problem.update.image(problem.model, z), equilibrium)
    # A pytree, so that `batched_while_loop` is given its arrays.
    return jax.tree_util.Partial(lambda vjp, u: vjp(u)[0], vjp)


def _initial_defect(
    product: Product, cotangent: States, initial: States | None
) -> tuple[States, States, Array]:
    """The start `u`, its defect `v - u + Jᵀ u`, and the products spent.

    A start whose defect is larger than that of zero is replaced by zero.
    """
    none, zero = jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, cotangent)
    if initial is None:
        return zero, cotangent, none
    defect = subtract(_add(cotangent, product(initial)), initial)
    return *select(rms(defect) <= rms(cotangent), (initial, defect), (zero, cotangent)), none + 1


def _add(a: States, b: States) -> States:
    return jax.tree.map(jnp.add, a, b)


def _attainable(rtol: float, like: States) -> Array:
    """`rtol`, but no tighter than 10 eps of the states."""
    dtype = accumulation_dtype(tree_dtype(like))
    return jnp.maximum(jnp.asarray(rtol, dtype), 10 * jnp.finfo(dtype).eps)


def _solution_or_one_step(
    solution: States, product: Product, cotangent: States, rtol: float, products: Array
) -> tuple[States, AdjointStats]:
    """`solution` or the one-step gradient, whichever has the smaller residual."""
    with_residual = lambda u: (u, rms(subtract(_add(cotangent, product(u)), u)))
    size = rms(cotangent)
    tolerance = _attainable(rtol, cotangent) * size
    return _better(with_residual(solution), with_residual(cotangent), size, tolerance, products)


def _better(
    solution: tuple[States, Array],
    one_step: tuple[States, Array],
    size: Array,
    tolerance: Array,
    products: Array,
) -> tuple[States, AdjointStats]:
    """The better of two solutions, which come with their residuals; `size` is the rms of the cotangent."""
    usable = (solution[1] <= one_step[1]) & jnp.isfinite(solution[1])
    result, residual = select(usable, solution, one_step)
    relative, missed = residual / jnp.where(size > 0, size, 1), ~(residual <= tolerance)
    return result, _stats(relative, products, missed)


def _stats(residual: ArrayLike, products: ArrayLike, flagged: ArrayLike) -> AdjointStats:
    as_float = lambda x: jnp.asarray(x, jnp.float32)
    return AdjointStats(as_float(residual), as_float(products), as_float(flagged))
