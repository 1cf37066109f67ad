"""Costs of the encoder, what its latents are worth to the decoder's loss; and of a decoder."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar, ScalarLike

from ..costs import AbstractCost
from ..ham import States

VISIBLE, LATENT, LOG_VARIANCE = "visible", "latent", "log_variance"


class MeanCost(AbstractCost):
    """`v·μ + ½ weight |μ|²`: with `v = dL/dz` held fixed, the part of `v·z + weight KL` that is about the mean.

    The target has two rows, `v` and the noise of the sample. Source: [vandermeersch2023]; derived here.
    """

    weight: ScalarLike
    layer: ClassVar[str] = LATENT

    def __call__(self, states: States, activations: States, target: Float[Array, "2 latents"]) -> Scalar:
        mean = activations[self.layer]
        return jnp.sum(target[0] * mean + 0.5 * self.weight * jnp.square(mean))

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def pull(self, activation: Array, target: Array) -> Array:
        return target[0] + self.weight * activation


class LogVarianceCost(AbstractCost):
    """`v·(exp(½ λ) ε) + ½ weight Σ(exp(λ) - 1 - λ)` of the log-variance `λ`; the target has rows `v` and `ε`."""

    weight: ScalarLike
    layer: ClassVar[str] = LOG_VARIANCE

    def __call__(self, states: States, activations: States, target: Float[Array, "2 latents"]) -> Scalar:
        value = activations[self.layer]
        deviation = jnp.exp(0.5 * value)
        divergence = 0.5 * (jnp.square(deviation) - 1 - value)
        return jnp.sum(target[0] * target[1] * deviation + self.weight * divergence)

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def pull(self, activation: Array, target: Array) -> Array:
        deviation = jnp.exp(0.5 * activation)
        divergence = 0.5 * (jnp.square(deviation) - 1)
        return 0.5 * target[0] * target[1] * deviation + self.weight * divergence


class Divided(AbstractCost):
    """`cost / by`: the same nudge at `by` times the `beta`, whose tolerance is then in keeping with the response."""

    layer: str = eqx.field(static=True)
    cost: AbstractCost
    by: float

    def __init__(self, cost: AbstractCost, by: float):
        self.layer, self.cost, self.by = cost.layer, cost, by

    def __call__(self, states: States, activations: States, target: Array) -> Scalar:
        return self.cost(states, activations, target) / self.by

    def scores(self, states: States, activations: States) -> Array:
        return self.cost.scores(states, activations)

    def pull(self, activation: Array, target: Array) -> Array:
        return self.cost.pull(activation, target) / self.by
