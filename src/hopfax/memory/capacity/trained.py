"""Trained memories: HAMs whose weights are learned, by gradients through the equilibrium, from the patterns alone."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Bool, Float, Key

from ..._internal.checks import check_positive, as_integer
from ...costs import SquaredError
from ...lagrangians import Tanh
from ...method import Method
from ...networks.ham import HAM
from ...networks.layers import Layer, PartialClamp
from ...networks.synapses.dense import Dense
from ...objective import objective
from ..modern import MEMORY, VISIBLE
from .memories import Patterns, Store, continuous

BATCH = 64  # patterns, each drawn at random, in one step


def trained(
    hidden: int | Callable[[int], int], key: Key[Array, ""], *, steps: int = 300, rate: float = 0.02
) -> Store:
    """HAMs of tanh neurons, visible ones and `hidden` others, trained to complete patterns of signs.

    In each of `steps` steps of Adam at `rate`, half of the values of each of 64 patterns are held, the rest relaxes
    from zero, and the cost is `½ |g - pattern|²` of the equilibrium. Weights start from N(0, 1 / (4 visible)).

    Args: `hidden` a number, or a function of the number of visible neurons.
    Raises: `ValueError` for `steps < 1`, a `rate` that is not positive, or fewer than one hidden neuron.
    """
    steps = as_integer("steps", steps, 1)
    check_positive("rate", rate)

    def build(patterns: Patterns) -> HAM:
        visible = patterns.shape[1]
        size = as_integer("hidden", hidden(visible) if callable(hidden) else hidden, 1)
        weights, draw, mask = jr.split(key, 3)
        rows = jr.randint(draw, (steps, BATCH), 0, patterns.shape[0])
        held = jr.bernoulli(mask, 0.5, (steps, BATCH, visible))
        start = jr.normal(weights, (size, visible), patterns.dtype) / (2 * visible**0.5)
        return _fit(_network(start), patterns[rows], held, rate)

    return continuous(build)


def _network(weights: Float[Array, "hidden visible"]) -> HAM:
    hidden, visible = weights.shape
    layers = {MEMORY: Layer(hidden, Tanh(1.0)), VISIBLE: Layer(visible, Tanh(1.0))}
    return HAM(layers, [Dense((MEMORY, VISIBLE), weights)])


@eqx.filter_jit
def _fit(
    model: HAM, patterns: Float[Array, "steps batch neurons"], held: Bool[Array, "steps batch neurons"], rate
) -> HAM:
    optimiser, cost = optax.adam(rate), SquaredError(VISIBLE)
    weights, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(weights, wanted, mask):
        clamp = {VISIBLE: PartialClamp(wanted, mask)}
        found = objective(eqx.combine(weights, static), clamp, cost, wanted, method=Method(max_steps=50))
        return jnp.mean(found[0])

    def step(carry, batch):
        weights, state = carry
        updates, state = optimiser.update(jax.grad(loss)(weights, *batch), state, weights)
        return (eqx.apply_updates(weights, updates), state), None

    (weights, _), _ = jax.lax.scan(step, (weights, optimiser.init(weights)), (patterns, held))
    return eqx.combine(weights, static)
