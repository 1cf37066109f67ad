"""Linear solvers for the adjoint equation `u = v + Jᵀ u` of a fixed point, for one example; none ever raises."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from .._internal.checks import require_kind, require_number, require_integer
from .._internal.tree import accumulation_dtype, axpy, dot, rms, select, subtract
from ..networks.network import States
from ..solvers.anderson import Anderson
from ..solvers.loop import AnySolver, Stopping, iterate
from ..solvers.safeguards import Residual
from ..updates.problem import AbstractMap, Problem, StepInfo
from .base import AdjointStats


class AbstractAdjoint(eqx.Module):
    """Solves `u = v + Jᵀ u` at an equilibrium, `J = ∂f/∂z` of the update's symmetric form."""

    @abc.abstractmethod
    def solve(
        self, problem: Problem, point: States, cotangent: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        """The best `u` found for the cotangent `v`, and a report.

        At worst it is `v` itself, the one-step gradient, or one step from `initial`. The tolerance is relative to
        `v` wherever the solver starts.
        """


class _Search(eqx.Module):
    """Where conjugate gradients stand: iterate, residual and direction, the latter two also through `D`."""

    solution: States
    residual: States
    residual_d: States
    direction: States
    direction_d: States
    square: Float[Array, ""]  # <residual, D residual>
    products: Int[Array, ""]
    broken: Bool[Array, ""]


class ConjugateGradient(AbstractAdjoint):
    """Conjugate gradients in the inner product of `D = ∂g/∂s`, for the symmetric adjoint of an energy.

    `J = K D` with `K = ∂h/∂g` and `D` the Lagrangian's Hessian, both symmetric. With `u = v + D w` the
    adjoint equation is `(I - K D) w = K v`, self-adjoint in `<a, D b>` and positive exactly at a strict minimum of
    the energy. Neither an inverse nor a root of `D` is taken, so saturated and singular layers (softmax, layer
    norm) are safe. One product with `K` a step, on the kept layers only.

    Args: `rtol` of the residual's rms to the cotangent's; never below what the precision can give.
    Source: derived here.
    """

    rtol: float = 1e-5
    max_products: int = 100

    def __check_init__(self):
        require_number("ConjugateGradient.rtol", self.rtol, lambda x: 0 < x < 1, "in (0, 1)")
        require_integer("ConjugateGradient.max_products", self.max_products, 1)

    def solve(
        self, problem: Problem, point: States, cotangent: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        curvature, response = _structure(problem, point)
        initial, left, spent = _left(lambda u: curvature(response(u)), cotangent, initial)
        first = response(left)
        through = curvature(first)
        size = rms(cotangent)
        tolerance = _reachable(self.rtol, cotangent) * size
        square = dot(first, through)
        search = _Search(left, first, through, first, through, square, spent + 1, jnp.array(False))
        going = lambda s: (rms(s.residual_d) > tolerance) & (s.products < self.max_products) & ~s.broken
        search = jax.lax.while_loop(going, lambda s: _descend(s, curvature, response), search)
        found, one_step = _add(initial, search.solution), _add(initial, left)
        return _better(
            found, rms(search.residual_d), one_step, rms(through), size, tolerance, search.products
        )


def _descend(s: _Search, curvature, response) -> _Search:
    """One step of conjugate gradients; `broken` where the curvature is not positive."""
    bent = subtract(s.direction, response(s.direction_d))
    slope = dot(s.direction_d, bent)
    broken = ~((slope > 0) & (s.square > 0) & jnp.isfinite(slope))
    length = jnp.where(broken, 0, s.square / jnp.where(broken, 1, slope))
    residual = axpy(-length, bent, s.residual)
    residual_d = curvature(residual)
    square = dot(residual, residual_d)
    ratio = jnp.where(broken, 0, square / jnp.where(s.square > 0, s.square, 1))
    new = _Search(
        axpy(length, s.direction_d, s.solution),
        residual,
        residual_d,
        axpy(ratio, s.direction, residual),
        axpy(ratio, s.direction_d, residual_d),
        square,
        s.products + 1,
        broken,
    )
    return select(broken, eqx.tree_at(lambda t: (t.broken, t.products), s, (broken, s.products + 1)), new)


class Krylov(AbstractAdjoint):
    """A lineax Krylov solver on `u - Jᵀ u = v`, matrix-free: GMRES by default, for adjoints without symmetry.

    `AdjointStats.products` are what the solver counts as its steps, for GMRES its restarts.
    """

    solver: lx.AbstractLinearSolver = lx.GMRES(rtol=1e-5, atol=1e-7, restart=30, max_steps=100)

    def solve(
        self, problem: Problem, point: States, cotangent: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        pull = _pullback(problem, point)
        operator = lx.FunctionLinearOperator(
            lambda u: subtract(u, pull(u)), jax.eval_shape(lambda: cotangent)
        )
        options = {} if initial is None else {"y0": initial}
        found = lx.linear_solve(operator, cotangent, self.solver, options=options, throw=False)
        products = found.stats.get("num_steps", jnp.zeros(()))
        return _checked(found.value, pull, cotangent, getattr(self.solver, "rtol", 1e-5), products)


class Neumann(AbstractAdjoint):
    """The Neumann series `u = Σ_{k<terms} (Jᵀ)ᵏ v`, cut where a term is below `rtol` of the sum."""

    terms: int = 8
    rtol: ScalarLike = 0.0

    def __check_init__(self):
        require_integer("Neumann.terms", self.terms, 1)
        require_number("Neumann.rtol", self.rtol, lambda x: x >= 0, "a number, 0 or more")

    def solve(
        self, problem: Problem, point: States, cotangent: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        pull = _pullback(problem, point)
        initial, left, spent = _left(pull, cotangent, initial)

        def add(carry):
            total, term, count = carry
            term = pull(term)
            return _add(total, term), term, count + 1

        going = lambda c: (c[2] < self.terms) & (rms(c[1]) > self.rtol * rms(c[0]))
        total, term, count = jax.lax.while_loop(
            going, add, (_add(initial, left), left, jnp.ones((), jnp.int32))
        )
        size = rms(cotangent)
        relative = (rms(term) / jnp.where(size > 0, size, 1)).astype(jnp.float32)
        return total, AdjointStats(
            relative, (count - 1 + spent).astype(jnp.float32), jnp.zeros((), jnp.float32)
        )


class Iterated(AbstractAdjoint):
    """`u ← v + Jᵀ u` by any fixed-point solver, Anderson by default."""

    # The equation is linear: there is nothing to wait for.
    solver: AnySolver = Anderson(safeguard=Residual(), start_rtol=float("inf"), max_overrelaxation=1.0)
    rtol: float = 1e-5
    max_products: int = 200

    def __check_init__(self):
        require_kind("Iterated.solver", self.solver, AnySolver, "Anderson()")
        require_number("Iterated.rtol", self.rtol, lambda x: 0 < x < 1, "in (0, 1)")
        require_integer("Iterated.max_products", self.max_products, 1)

    def solve(
        self, problem: Problem, point: States, cotangent: States, initial: States | None = None
    ) -> tuple[States, AdjointStats]:
        pull = _pullback(problem, point)
        stopping = Stopping(_reachable(self.rtol, cotangent), 0.0, self.max_products)
        found, statistics = iterate(
            _Affine(pull, cotangent), self.solver, cotangent if initial is None else initial, stopping
        )
        return _checked(found, pull, cotangent, 10 * self.rtol, statistics.evaluations)


class _Affine(AbstractMap):
    """The map `u ↦ v + Jᵀ u` in the form that the solver loop takes."""

    pull: Callable[[States], States]
    cotangent: States

    def evaluate(self, states: States, energy: bool = True) -> tuple[States, StepInfo]:
        image = _add(self.cotangent, self.pull(states))
        residual = rms(subtract(image, states))
        return image, StepInfo(residual, rms(image), jnp.zeros_like(residual), jnp.zeros_like(residual))


def _structure(problem: Problem, point: States):
    """The products with `D` and with `K` at an equilibrium, as functions of kept states."""
    eliminate = problem.update.eliminated(problem.model)
    return problem.model.linearise(lambda g: eliminate.response(problem.model, g), point)


def _pullback(problem: Problem, point: States):
    """`u ↦ Jᵀ u`."""
    _, pull = jax.vjp(lambda z: problem.update.image(problem.model, z), point)
    return jax.tree_util.Partial(
        lambda pull, u: pull(u)[0], pull
    )  # its arrays are seen by `batched_while_loop`


def _left(pull: Callable, cotangent: States, initial: States | None) -> tuple[States, States, Array]:
    """Where to start, `v - u + Jᵀ u` there, for which a correction is to be solved, and the products spent.

    A start that leaves more than zero does is dropped.
    """
    none, zero = jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, cotangent)
    if initial is None:
        return zero, cotangent, none
    left = subtract(_add(cotangent, pull(initial)), initial)
    return *select(rms(left) <= rms(cotangent), (initial, left), (zero, cotangent)), none + 1


def _add(a: States, b: States) -> States:
    return jax.tree.map(jnp.add, a, b)


def _reachable(rtol: float, like: States) -> Array:
    """`rtol`, but no tighter than 10 eps of the states."""
    dtype = accumulation_dtype(jnp.result_type(*(x.dtype for x in jax.tree.leaves(like))))
    return jnp.maximum(jnp.asarray(rtol, dtype), 10 * jnp.finfo(dtype).eps)


def _checked(
    found: States, pull, cotangent: States, rtol: float, products: Array
) -> tuple[States, AdjointStats]:
    """`found` or the one-step gradient, whichever leaves the smaller residual."""
    left = lambda u: rms(subtract(_add(cotangent, pull(u)), u))
    size = rms(cotangent)
    tolerance = _reachable(rtol, cotangent) * size
    return _better(found, left(found), cotangent, left(cotangent), size, tolerance, products)


def _better(
    found: States,
    left: Array,
    one_step: States,
    one_step_left: Array,
    size: Array,
    tolerance: Array,
    products: Array,
) -> tuple[States, AdjointStats]:
    """The one that leaves less; `size` is that of the cotangent."""
    usable = (left <= one_step_left) & jnp.isfinite(left)
    residual = jnp.where(usable, left, one_step_left)
    relative = residual / jnp.where(size > 0, size, 1)
    as_float = lambda x: jnp.asarray(x, jnp.float32)
    report = AdjointStats(as_float(relative), as_float(products), as_float(~(residual <= tolerance)))
    return select(usable, found, one_step), report
