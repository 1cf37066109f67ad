"""The negative evidence lower bound of a given sample, and its gradient by automatic differentiation."""

import abc
from typing import Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree, Scalar, ScalarLike

from .likelihoods import VISIBLE
from .model import AbstractVAE, Image, Latent

PHASES = ("free encoder", "free decoder", "nudged decoder", "nudged encoder")

Model = TypeVar("Model", bound=AbstractVAE)


class Loss(eqx.Module):
    """Means over a batch, in units of the cost: `total = cost + scale weight KL`."""

    total: Float[Array, ""]
    cost: Float[Array, ""]  # of the reconstruction from the sample
    kl: Float[Array, ""]  # in nats
    unconverged: Int[Array, " phases"]  # the number of examples that did not converge in each of `PHASES`


def negative_elbo(
    vae: AbstractVAE, image: Image, noise: Latent, weight: ScalarLike = 1.0
) -> tuple[Scalar, tuple]:
    """`cost(x̂, x) + scale weight KL` for one example, `x̂` decoded from `z = μ + σ noise`.

    With weight 1 it is `scale` times the one-sample negative evidence lower bound, up to the likelihood's constant.
    Returns: that, and a tuple of cost, KL, and whether encoder and decoder converged.
    """
    posterior, encoded = vae.encode(image)
    activation, decoded = vae.decode(posterior.sample(noise))
    cost = vae.likelihood.cost({}, {VISIBLE: activation}, image)
    kl = posterior.kl()
    total = cost + vae.likelihood.scale * weight * kl
    return total, (cost, kl, encoded, decoded)


class AbstractLossGradient(eqx.Module, Generic[Model]):
    """The mean loss of a batch and its gradient with respect to all trained parameters."""

    @abc.abstractmethod
    def __call__(
        self,
        vae: Model,
        images: Float[Array, "batch pixels"],
        noise: Float[Array, "batch latents"],
        weight: ScalarLike,
    ) -> tuple[Loss, PyTree]:
        """The loss, and its gradient in the form of `vae` with None for what is not trained."""

    @abc.abstractmethod
    def check_start(self, vae: Model, images: Float[Array, "batch pixels"]) -> None:
        """Warns where the settings of the gradient do not suit the untrained `vae`."""


class ImplicitGradient(AbstractLossGradient[AbstractVAE]):
    """Backpropagation; through equilibria by the gradient of `HopfieldVAE.method`, implicit differentiation."""

    def __call__(self, vae, images, noise, weight):
        (total, terms), gradient = eqx.filter_value_and_grad(_mean_loss, has_aux=True)(
            vae, images, noise, weight
        )
        cost, kl, encoded, decoded = terms
        no_failures = jnp.zeros((), int)  # there are no nudged phases
        failures = [jnp.sum(~encoded), jnp.sum(~decoded), no_failures, no_failures]
        unconverged = jnp.stack([count.astype(jnp.int32) for count in failures])
        return Loss(total, jnp.mean(cost), jnp.mean(kl), unconverged), gradient

    def check_start(self, vae, images):
        pass


def _mean_loss(vae: AbstractVAE, images, noise, weight) -> tuple[Scalar, tuple]:
    example = lambda image, noise: negative_elbo(vae, image, noise, weight)
    totals, terms = jax.vmap(example)(images, noise)
    return jnp.mean(totals), terms
