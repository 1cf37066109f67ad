"""Gradients through the equation that an equilibrium solves."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import ScalarLike

from .._internal.checks import require_integer, require_kind, require_number
from .._internal.tree import subtract
from ..networks.network import States
from ..solvers.equilibrium import Statistics
from ..updates.problem import Problem
from .adjoints import AbstractAdjoint, ConjugateGradient, Neumann
from .base import (
    AbstractGradient,
    AdjointStats,
    Solve,
    read_cost,
    replace_gradient,
    stop_gradient,
)


class Implicit(AbstractGradient):
    """`dz/dθ = (I - J)⁻¹ ∂f/∂θ` by the implicit function theorem: exact at an equilibrium, in constant memory.

    The map is applied once more at the equilibrium, differentiably in the parameters. The linear equation is solved for
    the states alone: `u = v + Jᵀ u` in reverse mode, `x = t + J x` in forward mode. So the gradient of the weights
    remains one batched matrix product, and no weight matrix is formed for each example. Derivatives of any order and
    mode can be taken.

    Args:
        adjoint: solves that linear equation; `ConjugateGradient()` fits every energy model.
    Raises: `ValueError` for an adjoint of another kind.
    """

    adjoint: AbstractAdjoint = ConjugateGradient()

    def __check_init__(self):
        require_kind("Implicit.adjoint", self.adjoint, AbstractAdjoint, "ConjugateGradient()")

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        equilibrium, statistics = solve(problem)
        unknowns = _connect(problem.eliminated(), equilibrium, self.adjoint, stats)
        return *problem.point(unknowns), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


class RecurrentBackprop(AbstractGradient):
    """`u ← v + Jᵀ u` for the Jacobian `J` of the update: a Neumann series of `steps` terms.

    `steps=n` equals backpropagation through `n` further plain steps at the equilibrium. In a second derivative, each
    of its linear equations is cut at `steps` terms too.

    Args:
        steps: the most terms, at least 1.
        tolerance: the series ends where a term falls below this times the sum; at least 0.
    Raises: `ValueError` for other values.
    Source: [almeida1987], [pineda1987]; the papers use 8, 16 and 24 steps ([goemaere2024], section 4).
    """

    steps: int = 8
    tolerance: ScalarLike = 0.0

    def __check_init__(self):
        require_integer("RecurrentBackprop.steps", self.steps, 1)
        require_number("RecurrentBackprop.tolerance", self.tolerance, lambda x: x >= 0, "a number, 0 or more")

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        equilibrium, statistics = solve(problem)
        unknowns = _connect(problem, equilibrium, Neumann(self.steps, self.tolerance), stats)
        return *problem.point(unknowns), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


def _connect(
    problem: Problem, equilibrium: States, adjoint: AbstractAdjoint, stats: AdjointStats | None
) -> States:
    """The `equilibrium` as a differentiable function of the problem."""
    if stats is None:
        return implicit_point(problem, equilibrium, adjoint)
    return _connect_with_stats(problem, equilibrium, adjoint, stats)


@eqx.filter_custom_jvp
def implicit_point(problem: Problem, equilibrium: States, adjoint: AbstractAdjoint) -> States:
    """The `equilibrium` as a function of the problem, by `ż = J ż + ∂f/∂θ θ̇`, for any mode and order."""
    return equilibrium


@implicit_point.def_jvp
def _implicit_point_jvp(primals, tangents):
    problem, _, adjoint = primals
    point = implicit_point(*primals)  # again a function of the problem, for the next derivative
    if not jax.tree.leaves(tangents[0]):
        return point, None
    _, moved = eqx.filter_jvp(lambda problem: problem.image(point), (problem,), (tangents[0],))
    moved = jax.tree.map(lambda x, t: jnp.zeros_like(x) if t is None else t, point, moved)
    return point, _solve_tangent(problem, point, adjoint, moved)


def _solve_tangent(problem: Problem, point: States, adjoint: AbstractAdjoint, tangent: States) -> States:
    """`x = t + J x` for the tangent `t`, differentiable; its transpose is the adjoint equation."""
    _, product = jax.linearize(problem.image, point)
    fixed, at = stop_gradient(problem), stop_gradient(point)
    # One vector: JAX does not transpose a solve whose right side has tangents in some layers only.
    vector, unravel = ravel_pytree(tangent)
    on_vectors = lambda function: lambda x: ravel_pytree(function(unravel(x)))[0]
    solution = jax.lax.custom_linear_solve(
        on_vectors(lambda x: subtract(x, product(x))),
        vector,
        solve=lambda _, t: on_vectors(lambda t: adjoint.solve_tangent(fixed, at, t))(t),
        transpose_solve=lambda _, v: on_vectors(lambda v: adjoint.solve(fixed, at, v)[0])(v),
    )
    return unravel(solution)


def _connect_with_stats(
    problem: Problem, equilibrium: States, adjoint: AbstractAdjoint, stats: AdjointStats
) -> States:
    """As `implicit_point`, but differentiable once, in reverse mode, with the statistics as the gradient of `stats`."""
    stats = dataclasses.replace(stats, solution=_adjoint_start(equilibrium, stats.solution))
    image = _adjoint_hook((problem.image(equilibrium), stats), adjoint, stop_gradient(problem), equilibrium)
    return replace_gradient(equilibrium, image)


def _adjoint_start(equilibrium: States, solution: States | None) -> States | None:
    """`solution` for the layers of `equilibrium`, in their dtypes."""
    if solution is None:
        return None
    shapes = lambda states: {name: x.shape for name, x in states.items()}
    if not shapes(equilibrium).items() <= shapes(solution).items():
        raise ValueError(
            f"the start of the adjoint solve has the shapes {shapes(solution)} for each example; it needs "
            f"{shapes(equilibrium)}."
        )
    return {name: solution[name].astype(state.dtype) for name, state in equilibrium.items()}


@eqx.filter_custom_vjp
def _adjoint_hook(
    image_and_stats: tuple[States, AdjointStats],
    adjoint: AbstractAdjoint,
    problem: Problem,
    equilibrium: States,
) -> States:
    """The image; backward, the solution of the adjoint equation, with the statistics as the cotangent of the stats."""
    return image_and_stats[0]


@_adjoint_hook.def_fwd
def _adjoint_hook_forward(perturbed, image_and_stats, adjoint, problem, equilibrium):
    return image_and_stats[0], None


@_adjoint_hook.def_bwd
def _adjoint_hook_backward(residuals, cotangent, perturbed, image_and_stats, adjoint, problem, equilibrium):
    image, blank = image_and_stats
    fill = lambda c, x: jnp.zeros_like(x) if c is None else c
    cotangent = jax.tree.map(fill, cotangent, image, is_leaf=lambda x: x is None)
    solution, stats = adjoint.solve(problem, equilibrium, cotangent, blank.solution)
    return solution, dataclasses.replace(stats, solution=None if blank.solution is None else solution)
