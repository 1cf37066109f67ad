"""The approximate posterior `q(z | x)`: a Gaussian in independent latents."""

import abc
import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar, ScalarLike

from ..costs import AbstractCost
from ..networks.ham import States
from .costs import LATENT, LOG_VARIANCE, LogVarianceCost, MeanCost


class Posterior(eqx.Module):
    """`q(z | x) = N(mean, exp(log_variance))`, one example or a batch of them."""

    mean: Float[Array, "*batch latents"]
    log_variance: Float[Array, "*batch latents"]

    def sample(self, noise: Float[Array, "*shape latents"]) -> Float[Array, "*shape latents"]:
        """`z = mean + exp(½ log_variance) noise`."""
        return self.mean + jnp.exp(0.5 * self.log_variance) * noise

    def divergence(self) -> Float[Array, "*batch"]:
        """`KL(q | N(0, I)) = ½ Σ mean² + σ² - 1 - log σ²`, in nats."""
        each = jnp.square(self.mean) + jnp.exp(self.log_variance) - 1 - self.log_variance
        return 0.5 * jnp.sum(each, axis=-1)

    def log_density(self, noise: Float[Array, " latents"]) -> Scalar:
        """`log q(z | x)` at `z = sample(noise)`, of one example."""
        return -0.5 * jnp.sum(jnp.square(noise) + self.log_variance + math.log(2 * math.pi))


class AbstractVariance(eqx.Module):
    """Where the encoder's variance comes from."""

    layers: eqx.AbstractClassVar[tuple[str, ...]]  # that only the encoder has

    @abc.abstractmethod
    def posterior(self, activations: States) -> Posterior:
        """`q(z | x)` of one example or a batch, from the encoder's equilibrium."""

    @abc.abstractmethod
    def cost(self, weight: ScalarLike) -> AbstractCost:
        """`v·z + weight KL` as a cost of the encoder's equilibrium; the target has the rows `v` and `noise`."""


class FixedVariance(AbstractVariance):
    """Every latent has standard deviation `sigma`."""

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
    """`log σ²` is the state of a second layer of identity neurons, left out of the network that decodes."""

    layers: ClassVar[tuple[str, ...]] = (LOG_VARIANCE,)

    def posterior(self, activations: States) -> Posterior:
        return Posterior(activations[LATENT], activations[LOG_VARIANCE])

    def cost(self, weight: ScalarLike) -> AbstractCost:
        return MeanCost(weight) + LogVarianceCost(weight)
