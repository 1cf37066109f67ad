"""Gradients through the equation that an equilibrium solves."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from .._internal.checks import require_integer, require_kind, require_number
from ..networks.network import States
from ..solvers.equilibrium import Statistics
from ..updates.problem import Problem
from .adjoints import AbstractAdjoint, ConjugateGradient, Neumann
from .base import AbstractGradient, AdjointStats, Solve, read_cost, replace_gradient, stop_gradient


class Implicit(AbstractGradient):
    """`dz/dθ = (I - J)⁻¹ ∂f/∂θ` by the implicit function theorem: exact at an equilibrium, in constant memory.

    The map is applied once more at the equilibrium, differentiably in the parameters. Behind it, a hook solves
    `u = v + Jᵀ u` in the backward pass for the states alone, so the gradient of the weights remains one batched matrix
    product, and no weight matrix is formed for each example.

    Args:
        adjoint: solves that linear equation; `ConjugateGradient()` fits every energy model.
    Raises: `ValueError` for an adjoint of another kind.
    """

    adjoint: AbstractAdjoint = ConjugateGradient()

    def __check_init__(self):
        require_kind("Implicit.adjoint", self.adjoint, AbstractAdjoint, "ConjugateGradient()")

    def connect(self, problem: Problem, solve: Solve, stats: AdjointStats) -> tuple[States, Statistics]:
        equilibrium, statistics = solve(problem)
        symmetric = Problem(problem.model, problem.update.eliminated(problem.model))
        return _connect(symmetric, equilibrium, self.adjoint, stats), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


class RecurrentBackprop(AbstractGradient):
    """`u ← v + Jᵀ u` for the Jacobian `J` of the update: a Neumann series of `steps` terms.

    `steps=n` equals backpropagation through `n` further plain steps at the equilibrium.

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

    def connect(self, problem: Problem, solve: Solve, stats: AdjointStats) -> tuple[States, Statistics]:
        equilibrium, statistics = solve(problem)
        return _connect(problem, equilibrium, Neumann(self.steps, self.tolerance), stats), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


def _connect(problem: Problem, equilibrium: States, adjoint: AbstractAdjoint, stats: AdjointStats) -> States:
    """The `equilibrium` as a differentiable function of the problem."""
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
