"""Equilibrium propagation: the gradient as a difference of equilibria."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Scalar, ScalarLike

from .._internal.checks import require_kind, require_number
from .._internal.tree import add
from ..costs import AbstractCost
from ..networks.network import AbstractNetwork, States
from ..solvers.equilibrium import Statistics
from ..updates.problem import Problem
from .base import AbstractGradient, AdjointStats, Solve, replace_gradient, replace_gradient_at, stop_gradient
from .contrast import weighted_differences, weighted_energies
from .linear_nudge import LinearNudge
from .nudged import Deviations, Nudge, differentiable_phases, solve_deviations, typed_for
from .nudging import AbstractVariant, Centred
from .phases import Point, phase_point, reported, require_descent, states_at


class EquilibriumPropagation(AbstractGradient):
    """`dC/dθ = d/dβ ∂F/∂θ` at `β = 0` with `F = E + β C`, by a finite difference between nudged equilibria.

    Nudged phases are solved as deviations from the free equilibrium (`hopfax.networks.deviation_network`), in each
    layer to the relative tolerance of the free solve, at most 1e-3. So a small nudge costs no digits, however weak the
    feedback.
    The gradient is autodiff of the energy at fixed states, so it holds for any energy, and for weights, Lagrangian
    parameters and the clamp alike. At finite `β` it is the exact gradient of `[F*(β) - F*(-β)] / 2β`. All this holds
    in `hopfax.objective`, which knows the cost. The gradient may be differentiated again, by implicit
    differentiation of the nudged equilibria; with complex nudges (`Holomorphic`) a second derivative is NaN.

    In `hopfax.relax`, and so in a layer of a larger model, the cotangent `v` of the equilibrium is the nudge: the cost
    is `v·g`, divided by the length of `v` in each example, so that `β` is the length of the nudge. The response of the
    states to it, a finite difference, solves the adjoint equation. The error has the same order in `β`. Derivatives are
    in reverse mode there.

    Args:
        beta: the nudge `β`, in (0, 1), best less than a tenth of `hopfax.diagnostics.critical_nudge`. None, the
            default, takes the square root of the rounding unit (0.00035 in float32). In examples with strong
            feedback to the nudged layers it takes a nudge ten or a hundred times smaller, where that makes a
            difference. An example whose deviations do not shrink with the nudge is not at a stable equilibrium: its
            gradient is zero, and its nudged phases count as not converged.
        variant: the finite difference.
    Raises: `ValueError` for another `beta`, a variant of another kind, or a network that does not descend in its
        activations.
    Source: [scellier2017]; [laborieux2021]; the gradient with respect to the input follows [vandermeersch2023];
        nudging by a cotangent [nest2024].
    """

    beta: ScalarLike | None = None
    variant: AbstractVariant = Centred()

    def __check_init__(self):
        if self.beta is not None:
            rule = "a number in (0, 1), or None to have it chosen"
            require_number("EquilibriumPropagation.beta", self.beta, lambda x: 0 < x < 1, rule)
        require_kind("EquilibriumPropagation.variant", self.variant, AbstractVariant, "Centred()")

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        require_descent("EquilibriumPropagation", problem.model)
        _check_holomorphic(problem.model, self.variant)
        unknowns, statistics = solve(problem)
        nudge = LinearNudge(problem, solve, unknowns, self.beta, self.variant, stats)
        return *nudge.point(), statistics

    def value(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None, cost: AbstractCost, target: Array
    ) -> tuple[Scalar, States, Statistics]:
        _check_holomorphic(problem.model, self.variant)
        unknowns, statistics = solve(problem)
        states, activations = problem.point(unknowns)
        free = typed_for(self.variant, states), typed_for(self.variant, activations)
        nudge = _nudge(cost, *free, target)
        deviations = solve_deviations(problem, solve, free[0], nudge, self.beta, self.variant)
        phases = _phases(problem, free, deviations)
        if stats is None:
            nudged = lambda beta: problem.model + beta * cost.with_target(target)
            inputs = problem, unknowns, nudged, deviations, self.variant
            phases = replace_gradient(phases, differentiable_phases(phase_point, *inputs))
        parameters = problem.model, cost, target, deviations.betas, deviations.weights
        total = _holomorphic_total if self.variant.holomorphic else _total
        value = replace_gradient_at(cost(states, activations, target), total, parameters, phases)
        return reported(value, stats, deviations.statistics), stop_gradient(states), statistics


def _phases(problem: Problem, free: Point, deviations: Deviations) -> tuple[Point, Point]:
    """The points of the nudged phases and their deviations, from drives and activations of the free equilibrium."""
    free = states_at(problem.model, free[0]), free[1]
    changes = deviations.states, deviations.activations
    return jax.vmap(lambda change: add(free, change))(changes), changes


def _nudge(cost: AbstractCost, states: States, activations: States, target: Array) -> Nudge:
    """The cost of deviations from the free equilibrium, whose states have the type of the nudges."""
    shifted = cost.shifted(activations).with_target(target)
    states, activations = jax.tree.map(jnp.real, (states, activations))
    of_layers = lambda g: cost(states, {**activations, **g}, target)
    return Nudge((shifted,), jax.grad(of_layers)({name: activations[name] for name in cost.layers}))


def _total(parameters, phases) -> Scalar:
    """`Σ_i w_i F(p_i)` with `F = E + β C`, for weights that sum to zero."""
    (model, *_, weights), (points, changes) = parameters, phases
    return weighted_differences(model, weights, points, changes) + _weighted_costs(parameters, points)


def _holomorphic_total(parameters, phases) -> Scalar:
    """The real part of `Σ_i w_i F(p_i)`, from the complex energies rather than their differences."""
    (model, *_, weights), (points, _) = parameters, phases
    return jnp.real(weighted_energies(model, weights, points) + _weighted_costs(parameters, points))


def _weighted_costs(parameters, points) -> Array:
    _, cost, target, betas, weights = parameters
    costs = jax.vmap(lambda point: cost(*point, target))(points)
    return jnp.sum(weights * betas * costs)


def _check_holomorphic(model: AbstractNetwork, variant: AbstractVariant) -> None:
    if not variant.holomorphic:
        return
    for name, layer in model.layers.items():
        kind = type(layer.lagrangian).__name__
        if not layer.lagrangian.holomorphic:
            raise ValueError(
                f"`Holomorphic()` needs holomorphic neurons, but {kind!r} of layer {name!r} is not holomorphic. Use "
                "`Centred()`."
            )
        if jax.tree.leaves(eqx.filter(layer.lagrangian, eqx.is_array)):
            raise ValueError(
                f"`Holomorphic()` cannot train the parameters of {kind!r} on layer {name!r}; give them as floats."
            )
