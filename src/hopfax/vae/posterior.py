"""The approximate posterior `q(z | x)`, a Gaussian with independent latents, and the costs that nudge the encoder."""

import abc
import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar, ScalarLike

from ..costs import AbstractActivationCost, AbstractCost
from ..networks.network import States

LATENT, LOG_VARIANCE = "latent", "log_variance"  # names of layers


class Posterior(eqx.Module):
    """`q(z | x) = N(mean, exp(log_variance))`, for one example or a batch."""

    mean: Float[Array, "*batch latents"]
    log_variance: Float[Array, "*batch latents"]

    def sample(self, noise: Float[Array, "*shape latents"]) -> Float[Array, "*shape latents"]:
        """`z = mean + exp(½ log_variance) noise`."""
        return self.mean + jnp.exp(0.5 * self.log_variance) * noise

    def kl(self) -> Float[Array, "*batch"]:
        """`KL(q | N(0, I)) = ½ Σ mean² + σ² - 1 - log σ²`, in nats."""
        terms = jnp.square(self.mean) + jnp.exp(self.log_variance) - 1 - self.log_variance
        return 0.5 * jnp.sum(terms, axis=-1)

    def log_density(self, noise: Float[Array, " latents"]) -> Scalar:
        """`log q(z | x)` at `z = sample(noise)`, for one example."""
        return -0.5 * jnp.sum(jnp.square(noise) + self.log_variance + math.log(2 * math.pi))


class AbstractVariance(eqx.Module):
    """How the encoder determines the variance of `q(z | x)`."""

    layers: eqx.AbstractClassVar[tuple[str, ...]]
    """Layers that the encoder has for the variance and the decoder has not."""

    @abc.abstractmethod
    def posterior(self, activations: States) -> Posterior:
        """`q(z | x)` from the encoder's equilibrium, for one example or a batch."""

    @abc.abstractmethod
    def cost(self, weight: ScalarLike) -> AbstractCost:
        """`v·z + weight KL` as a cost of the encoder's equilibrium, with `v = dL/dz` held fixed.

        The target has two rows, `v` and the noise of the sample `z`.
        """


class FixedVariance(AbstractVariance):
    """All latents have the same fixed standard deviation `sigma`. Raises: `ValueError` unless it is positive."""

    sigma: float = 0.3
    layers: ClassVar[tuple[str, ...]] = ()

    def __check_init__(self):
        if not self.sigma > 0:
            raise ValueError(f"`FixedVariance(sigma={self.sigma})` must be positive; try 0.3.")

    def posterior(self, activations: States) -> Posterior:
        mean = activations[LATENT]
        return Posterior(mean, jnp.full_like(mean, 2 * math.log(self.sigma)))

    def cost(self, weight: ScalarLike) -> AbstractCost:
        return MeanCost(weight)


class LearnedVariance(AbstractVariance):
    """`log σ²` is the state of a second layer of identity neurons, which the decoder does not have."""

    layers: ClassVar[tuple[str, ...]] = (LOG_VARIANCE,)

    def posterior(self, activations: States) -> Posterior:
        return Posterior(activations[LATENT], activations[LOG_VARIANCE])

    def cost(self, weight: ScalarLike) -> AbstractCost:
        return MeanCost(weight) + LogVarianceCost(weight)


class MeanCost(AbstractActivationCost):
    """`v·μ + ½ weight |μ|²`: the terms of `v·z + weight KL` that depend on the mean `μ`.

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
    """`v·(exp(½ λ) ε) + ½ weight Σ(exp(λ) - 1 - λ)`: the terms that depend on the log-variance `λ`.

    The target has two rows, `v` and the noise `ε`. Source: [vandermeersch2023]; derived here.
    """

    weight: ScalarLike
    layer: ClassVar[str] = LOG_VARIANCE

    @property
    def curvature(self) -> ScalarLike | None:
        return None

    def of_activation(self, activation: Array, target: Float[Array, "2 latents"]) -> Scalar:
        deviation = jnp.exp(0.5 * activation)
        kl = 0.5 * (jnp.square(deviation) - 1 - activation)
        return jnp.sum(target[0] * target[1] * deviation + self.weight * kl)

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def grad(self, activation: Array, target: Array) -> Array:
        deviation = jnp.exp(0.5 * activation)
        kl_gradient = 0.5 * (jnp.square(deviation) - 1)
        return 0.5 * target[0] * target[1] * deviation + self.weight * kl_gradient
