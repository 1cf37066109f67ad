"""Gradients through the equation that an equilibrium solves."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from .._internal.checks import require_kind, require_integer
from ..networks.network import States
from ..solvers.equilibrium import Statistics
from ..updates.problem import Problem
from .adjoints import AbstractAdjoint, ConjugateGradient, Neumann
from .base import (
    AbstractGradient,
    AdjointStats,
    Solve,
    read_cost,
    stop_gradient,
    with_value_of,
)


class Implicit(AbstractGradient):
    """`dz/dθ = (I - J)⁻¹ ∂f/∂θ` by the implicit function theorem: exact at an equilibrium, memory flat in steps.

    The map is applied once more at the stopped equilibrium, differentiably in the parameters; a hook behind it
    solves `u = v + Jᵀ u` in the backward pass for the state alone, so that parameter gradients stay one
    batched matrix product and no weight matrix is formed per example.
    Args: `adjoint` solves the linear equation; `ConjugateGradient()` fits every energy model.
    """

    adjoint: AbstractAdjoint = ConjugateGradient()

    def __check_init__(self):
        require_kind("Implicit.adjoint", self.adjoint, AbstractAdjoint, "ConjugateGradient()")

    def connect(self, problem: Problem, solve: Solve, stats: AdjointStats) -> tuple[States, Statistics]:
        point, statistics = solve(problem)
        symmetric = Problem(problem.model, problem.update.eliminated(problem.model))
        return _attach(symmetric, point, self.adjoint, stats), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


class RecurrentBackprop(AbstractGradient):
    """`u ← v + Jᵀ u` for the update's own map: `steps` terms of the Neumann series, or until `tolerance`.

    `steps=n` equals backpropagating through `n` further plain steps at the equilibrium.
    Source: [almeida1987], [pineda1987]; the papers use 8, 16 and 24 steps ([goemaere2024], section 4).
    """

    steps: int = 8
    tolerance: ScalarLike = 0.0

    def __check_init__(self):
        require_integer("RecurrentBackprop.steps", self.steps, 1)

    def connect(self, problem: Problem, solve: Solve, stats: AdjointStats) -> tuple[States, Statistics]:
        point, statistics = solve(problem)
        return _attach(problem, point, Neumann(self.steps, self.tolerance), stats), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


def _attach(problem: Problem, point: States, adjoint: AbstractAdjoint, stats: AdjointStats) -> States:
    """The fixed `point` with the gradient of the fixed point that it is."""
    stats = dataclasses.replace(stats, solution=_initial(point, stats.solution))
    image = _adjoint_hook((problem.image(point), stats), adjoint, stop_gradient(problem), point)
    return with_value_of(point, image)


def _initial(point: States, solution: States | None) -> States | None:
    """The part of `solution` for the layers of `point`, in their types."""
    if solution is None:
        return None
    shapes = lambda states: {name: x.shape for name, x in states.items()}
    if not shapes(point).items() <= shapes(solution).items():
        raise ValueError(
            f"the start of the adjoint solve has the shapes {shapes(solution)} for each example; it needs "
            f"{shapes(point)}."
        )
    return {name: solution[name].astype(state.dtype) for name, state in point.items()}


@eqx.filter_custom_vjp
def _adjoint_hook(
    image_and_stats: tuple[States, AdjointStats], adjoint: AbstractAdjoint, problem: Problem, point: States
) -> States:
    """The identity on the image; backward, the adjoint equation, whose statistics are the cotangent of the stats."""
    return image_and_stats[0]


@_adjoint_hook.def_fwd
def _adjoint_hook_forward(perturbed, image_and_stats, adjoint, problem, point):
    return image_and_stats[0], None


@_adjoint_hook.def_bwd
def _adjoint_hook_backward(residuals, cotangent, perturbed, image_and_stats, adjoint, problem, point):
    zeros = jax.tree.map(jnp.zeros_like, image_and_stats[0])
    cotangent = jax.tree.map(
        lambda c, z: z if c is None else c, cotangent, zeros, is_leaf=lambda x: x is None
    )
    initial = image_and_stats[1].solution
    solution, stats = adjoint.solve(problem, point, cotangent, initial)
    return solution, dataclasses.replace(stats, solution=None if initial is None else solution)
