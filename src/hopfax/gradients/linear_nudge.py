"""The backward pass of an equilibrium by nudging: the response to a linear cost solves the adjoint equation."""

import functools as ft
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from .._internal.tree import select, squares
from ..costs import LinearCost
from ..networks.network import AbstractNetwork, States
from ..solvers.equilibrium import Statistics
from ..updates.problem import Problem
from .base import AdjointStats, Solve, replace_gradient, replace_gradient_at, stop_gradient
from .nudged import Nudge, differentiable_phases, solve_deviations, typed_for
from .nudging import AbstractVariant
from .phases import connection, phase_stats


class LinearNudge(eqx.Module):
    """The response of a free equilibrium to a nudge by `β v·g`, as a finite difference in `β`.

    An equilibrium solves `g = F(g)` with `F(g) = ρ(drive(g))`. A cotangent `v` of `g` is the slope of a linear cost,
    under whose nudge `s = drive(g) - β v`. So `y = -ds/dβ` solves `y = v + (∂F/∂g)ᵀ y`, the adjoint equation, and
    `yᵀ ∂F/∂θ` is the gradient. It is plain autodiff of `F` at the free equilibrium, which remains one batched product
    for the weights, as with `Implicit`.

    Args:
        problem: of the free equilibrium.
        solve: how it was solved.
        unknowns: its unknown states.
        beta, variant: as in `EquilibriumPropagation`.
        stats: as in `AbstractGradient.connect`.
    Source: derived in this project, from [scellier2017].
    """

    problem: Problem
    solve: Solve
    unknowns: States
    beta: ScalarLike | None
    variant: AbstractVariant
    stats: AdjointStats | None

    def point(self) -> tuple[States, States]:
        """States and activations of all free layers, differentiable with respect to the problem."""
        model, connect = self.problem.model, connection(self.stats, self.variant.holomorphic)
        problem, unknowns = connect(self.problem, self.unknowns)  # for second derivatives
        states, activations = problem.point(unknowns)
        dynamic, static = eqx.partition(self, eqx.is_array)
        image = replace_gradient_at(activations, _image, model, activations)
        activations: States = cast(Any, _nudged)(static, (image, self.stats), dynamic)
        # A state is its drive, so its cotangent goes on to the activations of the neighbours.
        return replace_gradient(states, _drives(model, activations)), activations

    def response(self, slope: States) -> tuple[States, Statistics]:
        """`ds/dβ` for the cost `v·g` of slope `v`, and the statistics of all nudged phases.

        The slope is divided by its length and the response multiplied by it, so that `β` is the length of the nudge
        whatever `v`. A slope of zero has a response of zero.
        """
        size = stop_gradient(jnp.sqrt(squares(slope)))
        unit = jax.tree.map(lambda v: v / jnp.where(size > 0, size, 1).astype(v.dtype), slope)
        nudge = Nudge(tuple(LinearCost(name).with_target(v) for name, v in unit.items()), unit)
        drives = typed_for(self.variant, self.problem.reconstruct(self.unknowns))
        deviations = solve_deviations(self.problem, self.solve, drives, nudge, self.beta, self.variant)
        changes = deviations.drives
        if self.stats is None:
            nudged = lambda beta: nudge.added_to(self.problem.model, beta)
            inputs = self.problem, self.unknowns, nudged, deviations, self.variant
            changes = replace_gradient(changes, differentiable_phases(Problem.reconstruct, *inputs)[1])
        # The weights of real nudges sum to zero, so a constant has no effect; it has none with complex nudges either.
        slope = jax.tree.map(lambda change: jnp.tensordot(deviations.weights, change, 1), changes)
        response = jax.tree.map(lambda y: (size * jnp.real(y)).astype(jnp.real(y).dtype), slope)
        return select(size > 0, response, jax.tree.map(jnp.zeros_like, response)), deviations.statistics


def _drives(model: AbstractNetwork, activations: States) -> States:
    return model.drive(activations, model.order)


def _image(model: AbstractNetwork, activations: States) -> States:
    """`F(g)`."""
    return model.activations(_drives(model, activations))


@ft.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _nudged(static, image_and_stats: tuple[States, AdjointStats | None], dynamic) -> States:
    """The image; its cotangent is replaced by the response to a nudge."""
    return image_and_stats[0]


def _nudged_forward(static, image_and_stats, dynamic):
    # The function itself rather than its value, so that the value has the same gradient when differentiated again.
    return _nudged(static, image_and_stats, dynamic), dynamic


def _nudged_backward(static, dynamic, cotangent):
    nudge = eqx.combine(dynamic, static)
    response, phases = nudge.response(cotangent)
    stats = None if nudge.stats is None else phase_stats(phases)
    return (jax.tree.map(jnp.negative, response), stats), None


_nudged.defvjp(_nudged_forward, _nudged_backward)
