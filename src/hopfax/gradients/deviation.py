"""The network of deviations from an equilibrium, which has all digits of a small change of the equilibrium."""

from collections.abc import Callable, Mapping, Set
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Scalar, ScalarLike

from .._internal.tree import rms, subtract, tree_dtype, widest_dtype
from ..lagrangians.base import AbstractLagrangian, State
from ..networks.layers import Layer
from ..networks.network import AbstractNetwork, States
from ..networks.synapses.base import AbstractSynapse, Field, Shape
from ..solvers.equilibrium import Statistics
from ..solvers.loop import Stopping
from ..solvers.plain import Picard
from ..updates.problem import Problem
from .base import Solve
from .nudging import AbstractVariant

DEVIATION_TOLERANCE = 1e-4  # of each layer
MOST_BIAS = 0.03  # above which the nudge is too large
NUDGES = 3  # the most that are tried


def deviation_network(model: AbstractNetwork, drives: States) -> AbstractNetwork:
    """The network of the deviations `d` from an equilibrium: `E(s + d) - E(s)` less what is linear in `d`.

    Its equilibrium without a nudge is `d = 0`. Under a nudge by `β` all its states are of order `β`. In the network
    itself a change of order `β` is a difference of close numbers, of which float32 leaves few digits. If `drives` are
    not quite an equilibrium, the deviations are those of the network in which they are one.

    Args:
        model: a network that has only free layers.
        drives: of all layers, at the equilibrium.
    Source: derived in this project.
    """
    activations = model.activations(drives)
    layers = {name: _shifted_layer(model.layers[name], drives[name], activations[name]) for name in drives}
    synapses = {
        name: _shifted_synapse(synapse, activations)
        for name, synapse in model.synapses.items()
        if synapse.layers
    }
    return model.rebuild(layers, synapses)


class Deviations(eqx.Module):
    """The equilibria under several nudges, as deviations from the equilibrium without one.

    Attributes:
        betas, weights: as `AbstractVariant.nudges` gives them; all others have an axis of the same length in front.
        unknowns: the deviations of the unknown states.
        states, activations: the deviations of all free layers.
        statistics: of the solves.
    """

    betas: Array
    weights: Array
    unknowns: States
    states: States
    activations: States
    statistics: Statistics

    def derivative(self) -> States:
        """The estimate of the derivative of the unknowns with respect to `β` at 0."""
        return jax.tree.map(lambda d: jnp.tensordot(self.weights, d, 1), self.unknowns)


def typed_for(variant: AbstractVariant, states: States) -> States:
    """The states in the type of the nudges: complex for complex ones."""
    dtype = tree_dtype(states)
    dtype = widest_dtype(dtype, jnp.complex64) if variant.holomorphic else dtype
    return {name: state.astype(dtype) for name, state in states.items()}


def solve_deviations(
    problem: Problem,
    solve: Solve,
    unknowns: States,
    nudged: Callable[[AbstractNetwork, Scalar], AbstractNetwork],
    beta: ScalarLike | None,
    variant: AbstractVariant,
) -> Deviations:
    """The deviations from a free equilibrium under the nudges of a variant, solved to `DEVIATION_TOLERANCE` of a layer.

    Args:
        problem: of the free equilibrium.
        solve: how it was solved.
        unknowns: its unknown states, `typed_for` the variant.
        nudged: the deviation network with a nudge `β`.
        beta: as in `EquilibriumPropagation`.
        variant: the nudges.
    """
    network = deviation_network(problem.model, problem.reconstruct(unknowns))
    free, zeros = solve.stopping, jax.tree.map(jnp.zeros_like, unknowns)
    rtol = jnp.minimum(free.rtol, DEVIATION_TOLERANCE)
    atol = DEVIATION_TOLERANCE * free.atol * (_first_nudge(unknowns) if beta is None else jnp.asarray(beta))
    stopping = Stopping(rtol, atol, free.max_steps, free.check_every)
    solve = Solve(Picard() if variant.holomorphic else solve.solver, zeros, stopping)

    moved = lambda beta: Problem(nudged(network, beta), problem.update, by_layer=True)

    def phase(beta):
        deviation, statistics = solve(moved(beta))
        return deviation, *moved(beta).point(deviation), statistics

    def phases(beta):
        betas, weights = (x.astype(tree_dtype(unknowns)) for x in variant.nudges(beta))
        return Deviations(betas, weights, *jax.vmap(phase)(betas))

    if beta is not None:
        return phases(beta)
    image = lambda beta, deviation: moved(beta).image(deviation)
    bias = lambda result: _bias(image, zeros, result.derivative())
    return _with_smaller_nudges(phases, _first_nudge(unknowns), bias)


def _first_nudge(unknowns: States) -> Array:
    """`ε^(1/3)` for the rounding unit `ε`: the best step of a centred difference whose terms are rounded."""
    info = jnp.finfo(tree_dtype(unknowns))
    return jnp.cbrt(jnp.asarray(info.eps, info.dtype))


def _bias(image: Callable[[Scalar, States], States], zeros: States, derivative: States) -> Scalar:
    """How well an estimate `d'` of the derivative at 0 solves `d' = J d' + b`: `|J d' + b - d'| / |b|`.

    `b` is the derivative of the map with respect to `β`. The error of `d'` is the residual times the response to it. In
    a soft direction the response is as large as that to `b`, so this is the relative error of `d'` there.
    """
    zero = jnp.zeros((), tree_dtype(zeros))
    along = lambda beta, change: jax.jvp(image, (zero, zeros), (beta, change))[1]
    residual, scale = rms(subtract(along(zero + 1, derivative), derivative)), rms(along(zero + 1, zeros))
    return residual / jnp.where(scale > 0, scale, 1)


def _with_smaller_nudges(
    phases: Callable[[Array], Deviations], first: Array, bias: Callable[[Deviations], Scalar]
) -> Deviations:
    """The deviations at the first nudge, or one ten or a hundred times smaller where the bias is too large."""
    like = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(phases, first))

    def running(carry):
        tries, deviations = carry
        return (tries == 0) | ((tries < NUDGES) & (bias(deviations) > MOST_BIAS))

    smaller = lambda carry: (carry[0] + 1, phases(first / 10.0 ** carry[0]))
    return jax.lax.while_loop(running, smaller, (jnp.zeros((), jnp.int32), like))[1]


class ShiftedLagrangian(AbstractLagrangian):
    """`L(s + d) - L(s) - g·d` as a function of the deviation `d` from a state `s` of activation `g`.

    Its activation is the change of the activation, `ρ(s + d) - g`.
    """

    lagrangian: AbstractLagrangian
    origin: State
    origin_activation: State

    @property
    def elementwise(self) -> bool:
        return self.lagrangian.elementwise

    @property
    def holomorphic(self) -> bool:
        return self.lagrangian.holomorphic

    @property
    def nonnegative(self) -> bool:
        """Whether the activations of the layer itself are at least 0, on which the synapses depend."""
        return self.lagrangian.nonnegative

    @property
    def linear_gain(self) -> float | None:
        return self.lagrangian.linear_gain

    def __call__(self, state: State) -> Scalar:
        change = self.lagrangian(self.origin + state) - self.lagrangian(self.origin)
        return change - jnp.sum(self.origin_activation * state)

    def activation(self, state: State) -> State:
        return self.lagrangian.activation_change(self.origin, self.origin_activation, state)

    def energy(self, state: State) -> Scalar:
        return jnp.sum(state * self.activation(state)) - self(state)

    def state_at(self, drive: State) -> State:
        return drive


class ShiftedSynapse(AbstractSynapse):
    """`E(g + d) - E(g) + Σ d·drive(g)` as a function of the deviations `d` from activations `g`, of a free synapse."""

    synapse: AbstractSynapse
    origins: States
    drives: States
    vanishes: ClassVar[bool] = False

    def __init__(self, synapse: AbstractSynapse, origins: States, drives: States):
        self.synapse, self.origins, self.drives = synapse, origins, drives

    @property
    def layers(self) -> tuple[str, ...]:
        return self.synapse.layers

    @property
    def clamped(self) -> bool:
        return self.synapse.clamped

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        change = self.synapse(*self._moved(activations)) - self.synapse(*self._moved(None))
        linear = [jnp.sum(self.drives[n] * d) for n, d in zip(self.layers, activations, strict=True)]
        return change + sum(linear[1:], linear[0])

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.synapse.drive(name, *self._moved(activations)) - self.drives[name]

    def _moved(self, deviations: tuple[Array, ...] | None) -> list[Array]:
        origins = [self.origins[name] for name in self.layers]
        return origins if deviations is None else [g + d for g, d in zip(origins, deviations, strict=True)]

    def affine_in(self, name: str) -> bool:
        return self.synapse.affine_in(name)

    def concave_in(self, name: str, nonnegative: Set[str]) -> bool:
        return self.synapse.concave_in(name, nonnegative)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.synapse.check(shapes)

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        raise ValueError(
            f"the deviations of {sorted(known)} cannot be clamped; condition the network before its deviations."
        )


def _shifted_layer(layer: Layer, drive: Array, activation: Array) -> Layer:
    return Layer(layer.shape, ShiftedLagrangian(layer.lagrangian, drive, activation))


def _shifted_synapse(synapse: AbstractSynapse, activations: States) -> AbstractSynapse:
    """The synapse of deviations: a bilinear one is its own, and what is linear in one layer drops out."""
    multilinear = all(map(synapse.affine_in, synapse.layers))
    if multilinear and len(synapse.layers) == 2 and synapse.vanishes:
        return synapse
    origins = {name: activations[name] for name in synapse.layers}
    if multilinear and len(origins) == 1:
        ((name, origin),) = origins.items()
        return Field(name, jnp.zeros_like(origin).reshape(-1))
    drives = {name: synapse.drive(name, *origins.values()) for name in origins}
    return ShiftedSynapse(synapse, origins, drives)
