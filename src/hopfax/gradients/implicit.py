"""Gradients through the equation that an equilibrium solves."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from .._checks import require_kind, require_whole
from ..equilibrium import Statistics
from ..network import States
from ..problem import Problem
from .adjoints import AbstractAdjoint, ConjugateGradient, Neumann
from .base import AbstractGradient, Report, Solve, read_cost, stop_gradient, with_value_of


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

    def connect(self, problem: Problem, solve: Solve, report: Report) -> tuple[States, Statistics]:
        point, statistics = solve(problem)
        symmetric = Problem(problem.model, problem.update.symmetric(problem.model))
        return _attach(symmetric, point, self.adjoint, report), statistics

    def value(self, problem, solve, report, cost, target):
        return read_cost(self, problem, solve, report, cost, target)


class RecurrentBackprop(AbstractGradient):
    """`u ← v + Jᵀ u` for the update's own map: `steps` terms of the Neumann series, or until `tolerance`.

    `steps=n` equals backpropagating through `n` further plain steps at the equilibrium.
    Source: [almeida1987], [pineda1987]; the papers use 8, 16 and 24 steps ([goemaere2024], section 4).
    """

    steps: int = 8
    tolerance: ScalarLike = 0.0

    def __check_init__(self):
        require_whole("RecurrentBackprop.steps", self.steps, 1)

    def connect(self, problem: Problem, solve: Solve, report: Report) -> tuple[States, Statistics]:
        point, statistics = solve(problem)
        return _attach(problem, point, Neumann(self.steps, self.tolerance), report), statistics

    def value(self, problem, solve, report, cost, target):
        return read_cost(self, problem, solve, report, cost, target)


def _attach(problem: Problem, point: States, adjoint: AbstractAdjoint, report: Report) -> States:
    """The stopped `point` with the gradient of the fixed point that it is."""
    report = dataclasses.replace(report, adjoint=_initial(point, report.adjoint))
    image = _hook((problem.image(point), report), adjoint, stop_gradient(problem), point)
    return with_value_of(point, image)


def _initial(point: States, adjoint: States | None) -> States | None:
    """The part of `adjoint` that the solve is about, in its types; differentiable, for the solution comes back."""
    if adjoint is None:
        return None
    shapes = lambda states: {name: x.shape for name, x in states.items()}
    if not shapes(point).items() <= shapes(adjoint).items():
        raise ValueError(
            f"`Report.adjoint` has the shapes {shapes(adjoint)} for each example; the backward solve starts from "
            f"{shapes(point)}."
        )
    return {name: adjoint[name].astype(state.dtype) for name, state in point.items()}


@eqx.filter_custom_vjp
def _hook(
    connected: tuple[States, Report], adjoint: AbstractAdjoint, problem: Problem, point: States
) -> States:
    """The identity on the image; backward, the adjoint equation. The report comes out as its own cotangent."""
    return connected[0]


@_hook.def_fwd
def _hook_forward(perturbed, connected, adjoint, problem, point):
    return connected[0], None


@_hook.def_bwd
def _hook_backward(residuals, cotangent, perturbed, connected, adjoint, problem, point):
    zeros = jax.tree.map(jnp.zeros_like, connected[0])
    cotangent = jax.tree.map(
        lambda c, z: z if c is None else c, cotangent, zeros, is_leaf=lambda x: x is None
    )
    initial = connected[1].adjoint
    solution, report = adjoint.solve(problem, point, cotangent, initial)
    return solution, dataclasses.replace(report, adjoint=None if initial is None else solution)
