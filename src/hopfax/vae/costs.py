"""Costs of the encoder, what its latents are worth to the decoder's loss; and of a decoder."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar, ScalarLike

from ..costs import AbstractActivationCost
from ..networks.ham import States

VISIBLE, LATENT, LOG_VARIANCE = "visible", "latent", "log_variance"


class MeanCost(AbstractActivationCost):
    """`v·μ + ½ weight |μ|²`: with `v = dL/dz` held fixed, the part of `v·z + weight KL` that is about the mean.

    The target has two rows, `v` and the noise of the sample. Source: [vandermeersch2023]; derived here.
    """

    weight: ScalarLike
    layer: ClassVar[str] = LATENT

    @property
    def curvature(self) -> ScalarLike | None:
        return self.weight

    def of_activation(self, activation: Array, target: Float[Array, "2 latents"]) -> Scalar:
        return jnp.sum(target[0] * activation + 0.5 * self.weight * jnp.square(activation))

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def grad(self, activation: Array, target: Array) -> Array:
        return target[0] + self.weight * activation


class LogVarianceCost(AbstractActivationCost):
    """`v·(exp(½ λ) ε) + ½ weight Σ(exp(λ) - 1 - λ)` of the log-variance `λ`; the target has rows `v` and `ε`."""

    weight: ScalarLike
    layer: ClassVar[str] = LOG_VARIANCE

    @property
    def curvature(self) -> ScalarLike | None:
        return None

    def of_activation(self, activation: Array, target: Float[Array, "2 latents"]) -> Scalar:
        deviation = jnp.exp(0.5 * activation)
        divergence = 0.5 * (jnp.square(deviation) - 1 - activation)
        return jnp.sum(target[0] * target[1] * deviation + self.weight * divergence)

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def grad(self, activation: Array, target: Array) -> Array:
        deviation = jnp.exp(0.5 * activation)
        divergence = 0.5 * (jnp.square(deviation) - 1)
        return 0.5 * target[0] * target[1] * deviation + self.weight * divergence
