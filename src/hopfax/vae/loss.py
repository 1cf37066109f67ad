"""The negative evidence lower bound with its noise given, and its gradient by autodiff."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree, Scalar, ScalarLike

from .model import AbstractVAE, Image, Latent

PHASES = ("encoder free", "decoder free", "decoder nudged", "encoder nudged")


class Loss(eqx.Module):
    """Means over a batch, but for the count: `total = cost + scale weight KL`, in units of the cost."""

    total: Float[Array, ""]
    cost: Float[Array, ""]  # of the reconstruction from the sample
    divergence: Float[Array, ""]  # KL, in nats
    unconverged: Int[Array, " phases"]  # examples, in each of `PHASES`


def negative_elbo(
    vae: AbstractVAE, image: Image, noise: Latent, weight: ScalarLike = 1.0
) -> tuple[Scalar, tuple]:
    """`cost(x̂, x) + scale weight KL` of one example, `x̂` decoded from `z = μ + σ noise`.

    With weight 1 it is `scale` times the one-sample negative evidence lower bound, up to the likelihood's constant.
    Returns the parts beside it: cost, divergence, and whether encoder and decoder converged.
    """
    posterior, encoded = vae.encode(image)
    activation, decoded = vae.decode(posterior.sample(noise))
    cost = vae.likelihood.cost({}, {vae.likelihood.cost.layer: activation}, image)
    divergence = posterior.divergence()
    total = cost + vae.likelihood.scale * weight * divergence
    return total, (cost, divergence, encoded, decoded)


class AbstractLossGradient(eqx.Module):
    """The mean loss of a batch and its gradient in all that is trained."""

    @abc.abstractmethod
    def __call__(
        self,
        vae: AbstractVAE,
        images: Float[Array, "batch pixels"],
        noise: Float[Array, "batch latents"],
        weight: ScalarLike,
    ) -> tuple[Loss, PyTree]:
        """The loss, and its gradient in the shape of `vae` with None where nothing is trained."""


class ImplicitGradient(AbstractLossGradient):
    """Backpropagation, through equilibria by the gradient in `HopfieldVAE.method` (implicit differentiation)."""

    def __call__(self, vae, images, noise, weight):
        (total, parts), gradient = eqx.filter_value_and_grad(_mean_loss, has_aux=True)(
            vae, images, noise, weight
        )
        cost, divergence, encoded, decoded = parts
        failures = [jnp.sum(~encoded), jnp.sum(~decoded), jnp.zeros((), int), jnp.zeros((), int)]
        unconverged = jnp.stack([count.astype(jnp.int32) for count in failures])
        return Loss(total, jnp.mean(cost), jnp.mean(divergence), unconverged), gradient


def _mean_loss(vae: AbstractVAE, images, noise, weight) -> tuple[Scalar, tuple]:
    one = lambda image, noise: negative_elbo(vae, image, noise, weight)
    totals, parts = jax.vmap(one)(images, noise)
    return jnp.mean(totals), parts
