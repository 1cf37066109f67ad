"""Equilibrium propagation: the gradient as a difference of equilibria."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Scalar, ScalarLike

from .._internal.checks import require_kind, require_number
from .._internal.tree import subtract, tree_dtype, tree_sum
from ..costs import AbstractCost
from ..networks.network import AbstractNetwork, States
from ..networks.synapses.base import AbstractSynapse
from ..solvers.equilibrium import Statistics, Status
from ..solvers.loop import Stopping
from ..solvers.plain import Picard
from ..updates.problem import Problem
from .adjoints import ConjugateGradient
from .base import (
    AbstractGradient,
    AdjointStats,
    Solve,
    at_fixed_point,
    replace_gradient,
    report_stats,
    stop_gradient,
)
from .implicit import implicit_point
from .nudging import AbstractVariant, Centred

Connect = Callable[[Problem, States], tuple[Problem, States]]
PHASE_TOLERANCE = (
    1e-4  # of a nudged phase, times `β`: the difference of two phases is about `β` times their size
)


class EquilibriumPropagation(AbstractGradient):
    """`dC/dθ = d/dβ ∂F/∂θ` at `β = 0` with `F = E + β C`, by a finite difference between nudged equilibria.

    All nudged phases are one batched solve from the free equilibrium, to a relative tolerance of at most `1e-4 β`.
    The gradient is autodiff of the energy at fixed states, so it holds for any energy, and for weights, Lagrangian
    parameters and the clamp alike. At finite `β` it is the exact gradient of `[F*(β) - F*(-β)] / 2β`. It works through
    `hopfax.objective`, which knows the cost. The gradient may be differentiated again, by implicit differentiation of
    the nudged equilibria; with complex nudges (`Holomorphic`) a second derivative is NaN.

    Args:
        beta: the nudge `β`, in (0, 1). Best are 0.01 to 0.1 in float32, and less than a tenth of
            `hopfax.diagnostics.critical_nudge`; 0.1 in deep networks of feedback below 0.1.
        variant: the finite difference.
    Raises: `ValueError` for another `beta`, a variant of another kind, or where it differentiates a state.
    Source: [scellier2017]; [laborieux2021]; the gradient with respect to the input follows [vandermeersch2023].
    """

    beta: ScalarLike = 0.05
    variant: AbstractVariant = Centred()

    def __check_init__(self):
        rule = "a number in (0, 1); try 0.05"
        require_number("EquilibriumPropagation.beta", self.beta, lambda x: 0 < x < 1, rule)
        require_kind("EquilibriumPropagation.variant", self.variant, AbstractVariant, "Centred()")

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, Statistics]:
        raise ValueError(
            "`EquilibriumPropagation` differentiates a cost, not a state; use `hopfax.objective` with a cost, or "
            "another gradient in `relax`."
        )

    def value(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None, cost: AbstractCost, target: Array
    ) -> tuple[Scalar, States, Statistics]:
        unknowns, statistics = solve(problem)
        free = problem.reconstruct(unknowns)
        connect = self._connect if stats is None else _fixed
        estimate, phases = self._estimate(problem, solve, unknowns, cost, target, connect)
        value = stop_gradient(cost(free, problem.model.activations(free), target))
        value = replace_gradient(value, estimate.astype(value.dtype))
        if stats is not None:
            value = report_stats(value, stats, phase_stats(phases))
        return value, stop_gradient(unknowns), statistics

    def _connect(self, problem: Problem, unknowns: States) -> tuple[Problem, States]:
        """The problem, and its solution as a function of it: for second derivatives only."""
        if self.variant.holomorphic:
            return problem, _unknown_derivative(problem, unknowns)
        return problem, implicit_point(problem.eliminated(), unknowns, ConjugateGradient())

    def _estimate(
        self,
        problem: Problem,
        solve: Solve,
        unknowns: States,
        cost: AbstractCost,
        target: Array,
        connect: Connect,
    ) -> tuple[Scalar, Statistics]:
        """A scalar whose gradient is the estimate, and the statistics of all nudged phases."""
        _check_holomorphic(problem.model, self.variant)
        solve = self._nudged_solve(solve, unknowns)
        dtype = tree_dtype(solve.start)
        betas, weights, free_weight = self.variant.nudges(self.beta)
        betas, weights = betas.astype(dtype), weights.astype(dtype)

        def phase(beta):
            nudged = Problem(problem.model + beta * cost.with_target(target), problem.update)
            unknowns, statistics = solve(nudged)
            return _point(*connect(nudged, unknowns)), statistics

        points, phases = jax.vmap(phase)(betas)
        if not (isinstance(free_weight, int | float) and free_weight == 0):
            free = _point(*connect(problem, unknowns))
            points = jax.tree.map(lambda x, y: jnp.concatenate([x, y[None]]), points, free)
            append = lambda values, last: jnp.append(values, jnp.asarray(last, dtype))
            betas, weights = append(betas, 0), append(weights, free_weight)
        parameters = problem.model, cost, target, betas, weights
        total = _weighted_energies if self.variant.holomorphic else _weighted_differences
        return at_fixed_point(total, parameters, points), phases

    def _nudged_solve(self, solve: Solve, unknowns: States) -> Solve:
        """The same solve from the free equilibrium, with a tolerance that is small beside the difference of phases."""
        eps = jnp.finfo(tree_dtype(unknowns)).eps
        free, factor = solve.stopping, PHASE_TOLERANCE * jnp.asarray(self.beta)
        rtol = jnp.minimum(free.rtol, jnp.maximum(factor, 4 * eps))
        stopping = Stopping(rtol, factor * free.atol, free.max_steps, free.check_every)
        if not self.variant.holomorphic:
            return Solve(solve.solver, unknowns, stopping)
        complex_start = jax.tree.map(lambda x: jax.lax.complex(x, jnp.zeros_like(x)), unknowns)
        return Solve(Picard(), complex_start, stopping)


def energy_at(model: AbstractNetwork, states: States, activations: States) -> Scalar:
    """The energy as a function of independent states and activations: `Σ s·g - L(s)` plus the synapses.

    At fixed states and activations its gradient with respect to any parameter is that of the energy at equilibrium,
    including parameters of Lagrangians.
    """
    neurons = [_neuron_energy(model, name, states[name], activations[name]) for name in states]
    synapses = [s(*(activations[n] for n in s.layers)) for s in model.synapses.values() if s.layers]
    return tree_sum(neurons) + tree_sum(synapses)


def energy_change(model: AbstractNetwork, end: tuple[States, States], start: tuple[States, States]) -> Scalar:
    """`E(end) - E(start)` for states and activations as in `energy_at`, without the difference of large numbers.

    The change of the energy of a synapse is the integral of its slope from start to end. The midpoint rule is exact
    for a synapse that is affine in each of at most two activations. Simpson's rule, of error `O(|end - start|⁵)`,
    serves for the others.
    """
    (_, end_activations), (_, start_activations) = end, start
    change = subtract(end_activations, start_activations)
    at = lambda t: jax.tree.map(lambda a, d: a + t * d, start_activations, change)

    def slope(synapse: AbstractSynapse, t: float) -> Scalar:
        energy = lambda g: synapse(*(g[name] for name in synapse.layers))
        return jax.jvp(energy, (at(t),), (change,))[1]

    def integral(synapse: AbstractSynapse) -> Scalar:
        if len(synapse.layers) <= 2 and all(map(synapse.affine_in, synapse.layers)):
            return slope(synapse, 0.5)
        return (slope(synapse, 0.0) + 4 * slope(synapse, 0.5) + slope(synapse, 1.0)) / 6

    synapses = [integral(synapse) for synapse in model.synapses.values() if synapse.layers]
    neurons = [
        _neuron_energy(model, name, end[0][name], end[1][name])
        - _neuron_energy(model, name, start[0][name], start[1][name])
        for name in start[0]
    ]
    return tree_sum(neurons) + tree_sum(synapses)


def _neuron_energy(model: AbstractNetwork, name: str, state: Array, activation: Array) -> Scalar:
    if jnp.iscomplexobj(state):
        return jnp.sum(state * activation)  # Lagrangian parameters are refused there
    return jnp.sum(state * activation) - model.layers[name].lagrangian(state)


def _fixed(problem: Problem, unknowns: States) -> tuple[Problem, States]:
    return stop_gradient((problem, unknowns))


@eqx.filter_custom_jvp
def _unknown_derivative(problem: Problem, unknowns: States) -> States:
    """`unknowns`, whose derivative is NaN where the problem moves."""
    return unknowns


@_unknown_derivative.def_jvp
def _unknown_derivative_jvp(primals, tangents):
    leaves = jax.tree.leaves(tangents[0])
    infect = lambda x: sum(
        (jnp.sum(jnp.real(t)).astype(x.dtype) * jnp.nan for t in leaves), jnp.zeros_like(x)
    )
    tangent = jax.tree.map(infect, primals[1])
    return _unknown_derivative(*primals), tangent


def _point(problem: Problem, unknowns: States) -> tuple[States, States]:
    """States and activations of all free layers."""
    drives = problem.reconstruct(unknowns)
    layers = problem.model.layers
    states = {name: layers[name].lagrangian.state_at(drive) for name, drive in drives.items()}
    return states, problem.model.activations(drives)


def _weighted_energies(parameters, points: tuple[States, States]) -> Scalar:
    """`Σ_i w_i (E(p_i) + β_i C(p_i))`, real."""
    model, cost, target, betas, weights = parameters
    total = lambda point, beta: energy_at(model, *point) + beta * cost(*point, target)
    return jnp.real(jnp.sum(weights * jax.vmap(total)(points, betas)))


def _weighted_differences(parameters, points: tuple[States, States]) -> Scalar:
    """The same for weights that sum to zero, as `Σ_i w_i [E(p_i) - E(p_n)] + ...`.

    In float32 the energies of phases that are close have few digits left when they are subtracted. With weak feedback
    they are close in all but the last layers.
    """
    model, cost, target, betas, weights = parameters
    last = jax.tree.map(lambda x: x[-1], points)
    others = jax.tree.map(lambda x: x[:-1], points)
    changes = jax.vmap(lambda point: energy_change(model, point, last))(others)
    costs = jax.vmap(lambda point: cost(*point, target))(points)
    return jnp.sum(weights[:-1] * changes) + jnp.sum(weights * betas * costs)


def phase_stats(phases: Statistics) -> AdjointStats:
    """The largest residual, all sweeps, and whether any phase missed its tolerance."""
    residual = jnp.max(phases.relative_residual).astype(jnp.float32)
    sweeps = jnp.sum(phases.evaluations).astype(jnp.float32)
    return AdjointStats(residual, sweeps, jnp.any(phases.status != Status.converged).astype(jnp.float32))


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
