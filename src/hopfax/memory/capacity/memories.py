"""Memories of all kinds as functions, so that one measurement serves all: patterns -> (queries -> states)."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, ArrayLike, Bool, Float, Key

from ..._internal.checks import as_integer, check_positive
from ...costs import SquaredError
from ...lagrangians import AbstractLagrangian, Softmax, Tanh
from ...lagrangians.separations import Polynomial
from ...method import Method
from ...networks.ham import HAM
from ...networks.layers import Layer, PartialClamp
from ...networks.synapses.dense import Dense
from ...objective import objective
from ...relax import relax
from ...solvers import Picard
from ..binary import AbstractSchedule, BinaryHopfield, SequentialSchedule
from ..memory import Memory
from ..modern import MEMORY, VISIBLE, ModernHopfield
from ..storage_rules import hebb

BATCH = 64  # patterns in one training step, each drawn at random

Patterns = Float[Array, "patterns neurons"]
RecallFunction = Callable[[Patterns], Patterns]
Store = Callable[[Patterns], RecallFunction]


def binary(
    rule: Callable[[Patterns], Array] = hebb, schedule: AbstractSchedule = SequentialSchedule()
) -> Store:
    """Classical networks with one of the rules of `memory.storage_rules`: `hebb`, `projection` or `storkey`."""

    def store(patterns: Patterns) -> RecallFunction:
        network = BinaryHopfield.store(patterns, rule)
        return lambda queries: network.recall(queries, schedule=schedule).state

    return store


def continuous(build: Callable[[Patterns], HAM], layer: str = VISIBLE, *, max_steps: int = 50) -> Store:
    """Any HAM: the queries are the initial states of `layer`, and its activations at equilibrium are recalled.

    `build` makes the network from the patterns. For a network that is trained already, it returns this network and
    ignores the patterns.
    """

    def store(patterns: Patterns) -> RecallFunction:
        model, method = build(patterns), Method(solver=Picard(), max_steps=max_steps)
        return lambda queries: relax(model, start={layer: queries}, method=method).activation[layer]

    return store


def modern(
    beta: ArrayLike | Callable[[Patterns], ArrayLike],
    *,
    separation: Callable[[ArrayLike], AbstractLagrangian] = Softmax,
    max_steps: int = 50,
) -> Store:
    """Modern Hopfield networks with one `beta`, or with one that is a function of the patterns."""
    choose = beta if callable(beta) else lambda patterns: beta
    build = lambda patterns: ModernHopfield(patterns, choose(patterns), separation=separation).ham()
    return continuous(build, max_steps=max_steps)


def of_memory(build: Callable[[Patterns], Memory], *, max_steps: int = 50) -> Store:
    """Memories of two patterns or more, such as `lambda patterns: Memory.store(patterns, separation=Epanechnikov)`."""

    def store(patterns: Patterns) -> RecallFunction:
        memory = build(patterns)
        return lambda queries: jnp.asarray(memory.recall(queries, max_steps=max_steps).state)

    return store


def polynomial(degree: int, *, slope: float = 20.0, max_steps: int = 50) -> Store:
    """Dense memories of signs: `x' = Xᵀ max(m, 0)^(degree-1)` with overlaps `m`, and `g = tanh(slope x)`.

    At the default slope a neuron with a tenth of the drive of a pattern is saturated to 4 %.

    Source: [krotov2016], eq. 3, with continuous in place of binary neurons.
    """

    def build(patterns: Patterns) -> HAM:
        separation = lambda beta: Polynomial(degree, beta)
        beta = 1 / patterns.shape[1]
        return ModernHopfield(patterns, beta, separation=separation, visible=Tanh(slope)).ham()

    return continuous(build, max_steps=max_steps)


def trained(
    hidden: int | Callable[[int], int], key: Key[Array, ""], *, steps: int = 300, learning_rate: float = 0.02
) -> Store:
    """HAMs of tanh neurons, visible and hidden, trained by gradients through the equilibrium to complete the patterns.

    In each of `steps` steps of Adam, half of the elements of each of 64 patterns are clamped, the others relax from
    zero, and the cost is `½ |g - pattern|²` at the equilibrium. Initial weights are drawn from N(0, 1 / (4 visible)).

    Args:
        hidden: the number of hidden neurons, or a function from the number of visible ones to it.
    Raises: `ValueError` for `steps < 1`, a `learning_rate` that is not positive, or fewer than one hidden neuron.
    """
    steps = as_integer("steps", steps, 1)
    check_positive("learning_rate", learning_rate)

    def build(patterns: Patterns) -> HAM:
        visible = patterns.shape[1]
        size = as_integer("hidden", hidden(visible) if callable(hidden) else hidden, 1)
        weights_key, batch_key, mask_key = jr.split(key, 3)
        rows = jr.randint(batch_key, (steps, BATCH), 0, patterns.shape[0])
        known = jr.bernoulli(mask_key, 0.5, (steps, BATCH, visible))
        weights = jr.normal(weights_key, (size, visible), patterns.dtype) / (2 * visible**0.5)
        return _fit(_two_layers(weights), patterns[rows], known, learning_rate)

    return continuous(build)


def _two_layers(weights: Float[Array, "hidden visible"]) -> HAM:
    hidden, visible = weights.shape
    layers = {MEMORY: Layer(hidden, Tanh(1.0)), VISIBLE: Layer(visible, Tanh(1.0))}
    return HAM(layers, [Dense((MEMORY, VISIBLE), weights)])


@eqx.filter_jit
def _fit(
    model: HAM,
    patterns: Float[Array, "steps batch neurons"],
    known: Bool[Array, "steps batch neurons"],
    learning_rate: float,
) -> HAM:
    optimiser, cost, method = optax.adam(learning_rate), SquaredError(VISIBLE), Method(max_steps=50)
    weights, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(weights, targets, mask):
        clamp = {VISIBLE: PartialClamp(targets, mask)}
        costs, _ = objective(eqx.combine(weights, static), clamp, cost, targets, method=method)
        return jnp.mean(costs)

    def step(carry, batch):
        weights, state = carry
        updates, state = optimiser.update(jax.grad(loss)(weights, *batch), state, weights)
        return (eqx.apply_updates(weights, updates), state), None

    (weights, _), _ = jax.lax.scan(step, (weights, optimiser.init(weights)), (patterns, known))
    return eqx.combine(weights, static)
