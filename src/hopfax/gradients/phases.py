"""Nudged phases: their points and statistics, and how they are differentiated for second derivatives."""

import functools as ft
from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Scalar

from ..networks.network import AbstractNetwork, States
from ..solvers.equilibrium import Statistics, Status
from ..updates.problem import Problem
from .adjoints import ConjugateGradient
from .base import AdjointStats, Solve, report_stats, stop_gradient
from .implicit import implicit_point

Connect = Callable[[Problem, States], tuple[Problem, States]]
"""`(problem, unknowns) -> (problem, unknowns)`, which makes the unknown states a function of the problem."""

Point = tuple[States, States]
"""States and activations of all free layers."""


def require_descent(owner: str, model: AbstractNetwork) -> None:
    """Raises: `ValueError` where the network does not descend in its activations, on which nudges act."""
    if not model.descends_in_activations:
        raise ValueError(
            f"`{owner}` nudges activations, but a `{type(model).__name__}` descends in its states; use `to_ham()`, or "
            "another gradient."
        )


def phase_stats(phases: Statistics) -> AdjointStats:
    """The largest residual of the phases, the sum of their evaluations, and whether one did not converge."""
    residual = jnp.max(phases.relative_residual).astype(jnp.float32)
    sweeps = jnp.sum(phases.evaluations).astype(jnp.float32)
    return AdjointStats(residual, sweeps, jnp.any(phases.status != Status.converged).astype(jnp.float32))


def reported(value: Scalar, stats: AdjointStats | None, phases: Statistics) -> Scalar:
    """`value`. With `stats`, the phases are reported as the gradient of `stats`."""
    return value if stats is None else report_stats(value, stats, phase_stats(phases))


def phase_point(problem: Problem, unknowns: States) -> Point:
    """The point of a phase; its states are those of the neurons, not their drives."""
    drives = problem.reconstruct(unknowns)
    return states_at(problem.model, drives), problem.model.activations(drives)


def states_at(model: AbstractNetwork, drives: States) -> States:
    """The states of the neurons at their drives, which differ where neurons are clamped or nudged."""
    return {name: model.layers[name].lagrangian.state_at(drive) for name, drive in drives.items()}


def connection(stats: AdjointStats | None, holomorphic: bool = False) -> Connect:
    """How phases depend on the problem in second derivatives, which only a gradient without `stats` has."""
    if stats is not None:
        return lambda problem, unknowns: stop_gradient((problem, unknowns))
    if holomorphic:
        return lambda problem, unknowns: (problem, _unknown_derivative(problem, unknowns))
    adjoint = ConjugateGradient()
    return lambda problem, unknowns: (problem, implicit_point(problem.eliminated(), unknowns, adjoint))


@eqx.filter_custom_jvp
def _unknown_derivative(problem: Problem, unknowns: States) -> States:
    """`unknowns`, whose derivative is NaN where the problem has a tangent."""
    return unknowns


@_unknown_derivative.def_jvp
def _unknown_derivative_jvp(primals, tangents):
    leaves = jax.tree.leaves(tangents[0])
    infect = lambda x: sum(
        (jnp.sum(jnp.real(t)).astype(x.dtype) * jnp.nan for t in leaves), jnp.zeros_like(x)
    )
    tangent = jax.tree.map(infect, primals[1])
    return _unknown_derivative(*primals), tangent


def only_read(owner: str, problem: Problem, solve: Solve) -> tuple[States, States, Statistics]:
    """States and activations of all free layers, which raise an error where they are differentiated."""
    unknowns, statistics = solve(problem)
    parameters = eqx.filter(problem, eqx.is_inexact_array)
    states, activations = cast(Any, _undifferentiated)(owner, problem.point(unknowns), parameters)
    return states, activations, statistics


@ft.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _undifferentiated(owner: str, point: tuple[States, States], parameters) -> tuple[States, States]:
    return point


def _undifferentiated_forward(owner, point, parameters):
    return point, None


def _undifferentiated_backward(owner, residuals, cotangent):
    raise ValueError(
        f"`{owner}` differentiates a cost, not a state; use `hopfax.objective` with a cost, or another gradient in "
        "`relax`."
    )


_undifferentiated.defvjp(_undifferentiated_forward, _undifferentiated_backward)
