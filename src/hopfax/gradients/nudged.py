"""Nudged phases, solved as deviations from the free equilibrium."""

import dataclasses
from collections.abc import Callable, Collection, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree, Scalar, ScalarLike

from .._internal.tree import add, rms, select, subtract, tree_dtype, widest_dtype, with_batch_axis_of
from ..costs import TargetedCost
from ..networks.deviation import deviation_network
from ..networks.network import AbstractNetwork, States
from ..solvers.equilibrium import Statistics, Status
from ..solvers.loop import Stopping
from ..solvers.plain import Picard
from ..solvers.starts import FeedForward
from ..updates.problem import Problem
from .base import Solve, stop_gradient
from .nudging import AbstractVariant
from .phases import connection, states_at

DEVIATION_TOLERANCE = 1e-3  # the largest relative tolerance of a layer
FEEDBACK = 3.0  # to the nudged layers, in units of the nudge, above which smaller nudges are tried
AGREEMENT = 0.03  # the largest relative difference of two derivatives that agree
GROWTH = 3.0  # of the estimate, as the nudge is made ten times smaller, above which there is no derivative
NUDGES = 3  # the most nudges that are tried


class Deviations(eqx.Module):
    """The equilibria under several nudges, as deviations from the equilibrium without one.

    Attributes:
        betas, weights: as `AbstractVariant.nudges` gives them; all other arrays have an axis of this length in front.
        unknowns: the deviations of the unknown states.
        drives, states, activations: the deviations of all free layers.
        statistics: of the solves.
    """

    betas: Array
    weights: Array
    unknowns: States
    drives: States
    states: States
    activations: States
    statistics: Statistics

    def reported(self, settled: Bool[Array, ""], lost: Bool[Array, ""]) -> "Deviations":
        """These deviations, zero where they are lost, with a status that says whether the derivative has settled."""
        status = jnp.where(settled, self.statistics.status, Status.max_steps)
        zero = lambda states: select(lost, jax.tree.map(jnp.zeros_like, states), states)
        return dataclasses.replace(
            self,
            unknowns=zero(self.unknowns),
            drives=zero(self.drives),
            states=zero(self.states),
            activations=zero(self.activations),
            statistics=dataclasses.replace(self.statistics, status=status),
        )

    def derivative(self, layers: Iterable[str]) -> States:
        """The estimate of the derivative of the drives of `layers` with respect to `β` at 0."""
        return {name: jnp.tensordot(self.weights, self.drives[name], 1) for name in layers}


class Nudge(eqx.Module):
    """A cost of deviations at its target, to be added to the network of deviations.

    Args:
        terms: the costs of some layers with their targets.
        slope: the derivative of their sum in the activations of these layers, at a deviation of zero.
    """

    terms: tuple[TargetedCost, ...]
    slope: States

    def added_to(self, network: AbstractNetwork, beta: Scalar) -> AbstractNetwork:
        """The network of `E + β C`."""
        for term in self.terms:
            network = network + beta * term
        return network


def typed_for(variant: AbstractVariant, states: States) -> States:
    """The states in the type of the nudges: complex for complex ones."""
    dtype = tree_dtype(states)
    dtype = widest_dtype(dtype, jnp.complex64) if variant.holomorphic else dtype
    return {name: state.astype(dtype) for name, state in states.items()}


def solve_deviations(
    problem: Problem,
    solve: Solve,
    drives: States,
    nudge: Nudge,
    beta: ScalarLike | None,
    variant: AbstractVariant,
) -> Deviations:
    """The deviations from a free equilibrium under the nudges of a variant, which are not differentiable.

    The first solve starts from a pass through the layers in reverse order, and each later one from the deviation before
    it, scaled by the ratio of the nudges. They are solved to the relative tolerance of the free solve in each layer, at
    most `DEVIATION_TOLERANCE`.

    Args:
        problem: of the free equilibrium.
        solve: how it was solved.
        drives: of all layers at that equilibrium, `typed_for` the variant.
        nudge: of the deviation network.
        beta: as in `EquilibriumPropagation`.
        variant: the nudges.
    """
    problem, drives, nudge = stop_gradient((problem, drives, nudge))
    network = deviation_network(problem.model, drives, small=beta is None)
    free, dtype = solve.stopping, tree_dtype(drives)
    first = _first_nudge(dtype) if beta is None else jnp.asarray(beta)
    rtol, atol = jnp.minimum(free.rtol, DEVIATION_TOLERANCE), DEVIATION_TOLERANCE * first * free.atol
    solver = Picard() if variant.holomorphic else solve.solver

    def phases(beta, most):
        betas, weights = (x.astype(dtype) for x in variant.nudges(beta))
        stopping = Stopping(rtol, atol, most, free.check_every)

        def nudged(beta):
            return Problem(nudge.added_to(network, beta), problem.update, deviations=True)

        def phase(last, beta):
            start, moved = jax.tree.map(lambda d: (beta / last[0]) * d, last[1]), nudged(beta)
            deviation, statistics = Solve(solver, start, stopping)(moved)
            drives, activations = moved.point(deviation)
            states = states_at(moved.model, drives)
            return (beta, deviation), (deviation, drives, states, activations, statistics)

        start = nudged(betas[0]).restrict(_backward_pass(nudged(betas[0]).model, nudge.slope, dtype))
        solved = betas[:-1] if variant.one_sided else betas
        results: Any = jax.lax.scan(phase, (betas[0], start), solved)[1]
        return Deviations(betas, weights, *(_with_zero(results) if variant.one_sided else results))

    if beta is not None:
        return phases(first, free.max_steps)
    return _with_smaller_nudges(phases, first, free.max_steps, nudge.slope)


def differentiable_phases(
    read: Callable[[Problem, States], PyTree],
    problem: Problem,
    unknowns: States,
    nudged: Callable[[Scalar], AbstractNetwork],
    deviations: Deviations,
    variant: AbstractVariant,
) -> tuple[PyTree, PyTree]:
    """What `read` gives of each nudged phase, and its deviation from the free one, as functions of the problem.

    For second derivatives; `nudged` gives the network at a nudge.
    """
    connect, unknowns = connection(None, variant.holomorphic), typed_for(variant, unknowns)
    free = read(*connect(problem, unknowns))

    def phase(beta, deviation):
        point = read(*connect(Problem(nudged(beta), problem.update), add(unknowns, deviation)))
        return point, subtract(point, free)

    return jax.vmap(phase)(deviations.betas, deviations.unknowns)


def _with_zero(results: PyTree) -> PyTree:
    """`results`, and at the end of their axis the results of a nudge of zero: no deviation, and nothing to solve."""
    return jax.tree.map(lambda x: jnp.concatenate([x, jnp.zeros_like(x[:1])]), results)


def _first_nudge(dtype) -> Array:
    """`ε^(1/2)` for the rounding unit `ε`."""
    info = jnp.finfo(dtype)
    return jnp.sqrt(jnp.asarray(info.eps, info.dtype))


def _backward_pass(network: AbstractNetwork, nudged: Collection[str], dtype) -> States:
    """One pass through the layers in reverse order, each at its drive by the layers after it; then `nudged` again.

    The feedback to the nudged layers is most of what the pass leaves out.
    """
    layers = {name: network.layers[name] for name in reversed(network.order)}
    states = FeedForward().states(network.rebuild(layers, network.synapses), dtype)
    drives = network.drive(network.activations(states), [name for name in states if name in nudged])
    return {**states, **network.minimise_layers(drives)}


def _with_smaller_nudges(
    phases: Callable[[Array, ScalarLike], Deviations], first: Array, max_steps: ScalarLike, slope: States
) -> Deviations:
    """The deviations at the first nudge if feedback to the nudged layers is moderate, else at a smaller nudge.

    With strong feedback, there may be an equilibrium nearby that turns or vanishes under such a nudge. Nudges ten times
    smaller are tried until two derivatives of the nudged layers agree to `AGREEMENT`; where none do, the phases are
    reported as not converged. Deviations that do not shrink with the nudge have left for another equilibrium, as they
    do from a point that is unstable or is no equilibrium. There is no derivative then, and they are replaced by zero.
    """
    phases = jax.jit(phases)  # traced once, for its shapes and for the loop

    def smaller(carry):
        tries, settled, _, old = carry
        new = phases(first * 10.0 ** -tries.astype(first.dtype), jnp.where(settled, 0, max_steps))
        derivative, before = new.derivative(slope), old.derivative(slope)
        moderate = rms(derivative) <= FEEDBACK * rms(slope)
        agree = rms(subtract(derivative, before)) <= AGREEMENT * rms(derivative)
        lost = (tries > 0) & (rms(derivative) > GROWTH * rms(before))
        return tries + 1, jnp.where(tries == 0, moderate, agree), lost, new

    like = jax.eval_shape(phases, first, max_steps)
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    running = lambda carry: (carry[0] == 0) | ((carry[0] < NUDGES) & ~carry[1])
    begin = jnp.zeros((), jnp.int32), jnp.array(False), jnp.array(False), nothing
    _, settled, lost, result = jax.lax.while_loop(running, smaller, with_batch_axis_of(slope, begin))
    return result.reported(settled, lost)
