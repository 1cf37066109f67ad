"""The task of training a VAE: the ELBO, by any gradient, with images that may be drawn anew at each step."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from ..training.task import AbstractTask, check_pixels
from .diagnosis import nonfinite_layer
from .loss import PHASES, AbstractLossGradient, Loss
from .model import AbstractVAE


class ELBO(AbstractTask):
    """The mean of `cost + scale weight KL` over a batch, see `hopfax.vae.negative_elbo`.

    Args:
        loss_gradient: `EPGradient` or `ImplicitGradient`.
        binarise: draw each pixel 0 or 1 with its grey level as probability, again at each step.
        kl_weight, kl_warmup: the weight of the KL term, and the steps in which it rises to that from zero.
    """

    loss_gradient: AbstractLossGradient
    binarise: bool = eqx.field(static=True, default=False)
    kl_weight: float = 1.0
    kl_warmup: float = 0.0

    def zero(self) -> Loss:
        zero = lambda: jnp.zeros((), jnp.float32)
        return Loss(zero(), zero(), zero(), jnp.zeros((len(PHASES),), jnp.int32))

    def check(self, model: AbstractVAE, images: Any, labels: Any) -> None:
        check_pixels(images, model.pixels)

    def draw(
        self, model: AbstractVAE, images: Array, labels: Array, key: Key[Array, ""]
    ) -> tuple[Array, Array]:
        """The images, binarised if asked for, and the noise of the samples."""
        pixels, noise = jr.split(key)
        images = jr.bernoulli(pixels, images).astype(images.dtype) if self.binarise else images
        return images, jr.normal(noise, (len(images), model.latents), images.dtype)

    def weight(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The weight of the KL term at `step`, from 0."""
        return jnp.asarray(self.kl_weight, jnp.float32) * jnp.minimum(1, (step + 1) / max(self.kl_warmup, 1))

    def gradient(
        self, model: AbstractVAE, examples: tuple[Array, Array], step: Int[Array, ""]
    ) -> tuple[PyTree, Loss]:
        loss, gradient = self.loss_gradient(model, *examples, self.weight(step))
        return gradient, loss

    def means(self, sums: Loss, batches: int, batch_size: int) -> dict[str, Any]:
        means = {
            "loss": float(sums.total) / batches,
            "cost": float(sums.cost) / batches,
            "kl": float(sums.kl) / batches,
        }
        failed = dict(zip(PHASES, np.asarray(sums.unconverged).tolist(), strict=True))
        return {**means, **{f"unconverged {phase}": count for phase, count in failed.items()}}

    def saturation(self, model, images, labels) -> dict[str, Array]:
        return {}

    def explain_failure(self, before, after, examples, step) -> str:
        images, noise = examples
        return nonfinite_layer(before, self.loss_gradient, images, noise, self.weight(step))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ELBOMetrics:
    """Means over the batches of one epoch, each seen by the model as it was at that time.

    Attributes:
        epoch: from 1. step: batches since the beginning. seconds: spent on training.
        loss: `cost + scale weight KL`. cost: of the reconstruction. kl: of the posterior from the prior, in nats.
        did_not_converge: examples whose solve did not converge, by phase.
    """

    epoch: int
    step: int
    loss: float
    cost: float
    kl: float
    did_not_converge: dict[str, int]
    seconds: float
