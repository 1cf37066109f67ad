"""Equilibrium propagation: the gradient as a difference of equilibria."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Scalar, ScalarLike

from .._checks import require_kind, require_number
from .._tree import tree_sum
from ..costs import AbstractCost
from ..equilibrium import Statistics, Status
from ..network import AbstractNetwork, States
from ..problem import Problem
from ..solvers.loop import Stopping
from ..solvers.picard import Picard
from .base import AbstractGradient, Report, Solve, stop_gradient
from .nudging import AbstractVariant, Centred, nudge, unpulled


class EquilibriumPropagation(AbstractGradient):
    """`dC/dθ = d/dβ ∂F/∂θ` at `β = 0`, `F = E + β C`, by a finite difference between nudged equilibria.

    All nudged phases are one batched solve from the shared free state, to a relative tolerance of at most
    `1e-4 β`; the gradient is autodiff of the energy at stopped states, so it holds for any energy, for weights,
    Lagrangian parameters and the clamp alike. At finite `β` it is the exact gradient of `[F*(β) - F*(-β)] / 2β`.
    Works through `hopfax.objective`, which knows the cost.
    Args: `beta` > 0, best 0.01 to 0.1 in float32 and below a tenth of `beta_critical`.
    Source: [scellier2017]; [laborieux2021]; the input gradient follows [vandermeersch2023].
    """

    beta: ScalarLike = 0.05
    variant: AbstractVariant = Centred()

    def __check_init__(self):
        rule = "a number in (0, 1); try 0.05"
        require_number("EquilibriumPropagation.beta", self.beta, lambda x: 0 < x < 1, rule)
        require_kind("EquilibriumPropagation.variant", self.variant, AbstractVariant, "Centred()")

    def connect(self, problem: Problem, solve: Solve, report: Report) -> tuple[States, Statistics]:
        raise ValueError(
            "`EquilibriumPropagation` differentiates a cost, not a state; use `hopfax.objective` with a cost, or "
            "another gradient in `relax`."
        )

    def value(
        self, problem: Problem, solve: Solve, report: Report, cost: AbstractCost, target: Array
    ) -> tuple[Scalar, States, Statistics]:
        kept, statistics = solve(problem)
        free = problem.complete(kept)
        estimate, phases = self._estimate(problem, solve, kept, cost, target)
        told = _told(report, phases)
        value = cost(free, problem.model.activations(free), target)
        connected = estimate - jax.lax.stop_gradient(estimate)
        return stop_gradient(value) + connected.astype(value.dtype) + told, stop_gradient(kept), statistics

    def _estimate(
        self, problem: Problem, solve: Solve, kept: States, cost: AbstractCost, target: Array
    ) -> tuple[Scalar, Statistics]:
        """A scalar whose gradient is the estimate, and how the nudged phases went, one entry for each."""
        _check_analytic(problem.model, self.variant)
        betas, weights, free_weight = self.variant.points(self.beta)
        phase = lambda beta: _phase(problem, self._tight(solve, kept), cost, target, beta)
        states, activations, phases = jax.vmap(phase)(betas)
        total = lambda s, g, beta: energy_at(problem.model, s, g) + beta * cost(s, g, target)
        estimate = jnp.real(jnp.sum(weights * jax.vmap(total)(states, activations, betas)))
        if isinstance(free_weight, int | float) and free_weight == 0:
            return estimate, phases
        free = stop_gradient(problem.complete(kept))
        at_free = energy_at(problem.model, free, stop_gradient(problem.model.activations(free)))
        return estimate + free_weight * at_free, phases

    def _tight(self, solve: Solve, kept: States) -> Solve:
        """The same solve, started at the free state, with a tolerance that the difference can bear."""
        eps = jnp.finfo(jnp.result_type(*jax.tree.leaves(kept))).eps
        rtol = jnp.minimum(solve.stopping.rtol, jnp.maximum(1e-4 * self.beta, 4 * eps))
        loose = solve.stopping
        stopping = Stopping(rtol, 1e-4 * self.beta * loose.atol, loose.max_steps, loose.check_every)
        start = (
            jax.tree.map(lambda x: x.astype(jnp.result_type(x, 1j)), kept) if self.variant.analytic else kept
        )
        return Solve(Picard() if self.variant.analytic else solve.solver, start, stopping)


def energy_at(model: AbstractNetwork, states: States, activations: States) -> Scalar:
    """The energy as a function of independent states and activations: `Σ s·g - L(s)` plus the synapses.

    With both stopped its gradient in any parameter, of a Lagrangian too, is the right one.
    """
    neurons = [_neurons(model, name, states[name], activations[name]) for name in states]
    synapses = [s(*(activations[n] for n in s.layers)) for s in model.synapses.values() if s.layers]
    return tree_sum(neurons) + tree_sum(synapses)


def _neurons(model: AbstractNetwork, name: str, state: Array, activation: Array) -> Scalar:
    if jnp.iscomplexobj(state):
        return jnp.sum(state * activation)  # Lagrangian parameters are refused there
    return jnp.sum(state * activation) - model.layers[name].lagrangian(state)


def _phase(problem: Problem, solve: Solve, cost: AbstractCost, target: Array, beta: Array):
    """Stopped states and activations of all free layers at the equilibrium of `E + β C`."""
    nudged = stop_gradient(Problem(nudge(problem.model, cost, target, beta), problem.update))
    kept, statistics = solve(nudged)
    drives = nudged.complete(kept)
    states = unpulled(nudged.model, drives)
    return stop_gradient((states, nudged.model.activations(drives), statistics))


def _told(report: Report, phases: Statistics) -> Scalar:
    """Zero, with the account of the nudged phases as its gradient with respect to `report`."""
    residual = jnp.max(phases.relative_residual).astype(jnp.float32)
    products = jnp.sum(phases.evaluations).astype(jnp.float32)
    flagged = jnp.any(phases.status != Status.converged).astype(jnp.float32)
    told = report.residual * residual + report.products * products + report.flagged * flagged
    return told - jax.lax.stop_gradient(told)


def _check_analytic(model: AbstractNetwork, variant: AbstractVariant) -> None:
    if not variant.analytic:
        return
    for name, layer in model.layers.items():
        kind = type(layer.lagrangian).__name__
        if not layer.lagrangian.analytic:
            raise ValueError(
                f"`Holomorphic` needs analytic neurons; {kind!r} of layer {name!r} is not. Use `Centred()`."
            )
        if jax.tree.leaves(eqx.filter(layer.lagrangian, eqx.is_array)):
            raise ValueError(
                f"`Holomorphic` cannot train the parameters of {kind!r} on layer {name!r}; give floats."
            )
