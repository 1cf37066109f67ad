"""The gradient of the loss by equilibrium propagation through encoder, sample and decoder."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, PyTree, ScalarLike

from ..diagnostics.spectra import critical_nudge, warn_of_large_nudge
from ..gradients.base import AdjointStats, stop_gradient
from ..gradients.ep import EquilibriumPropagation
from ..gradients.nudging import AbstractVariant, Centred
from ..method import Method
from ..objective import objective_example
from ..solvers.equilibrium import Equilibrium
from .loss import AbstractLossGradient, Loss
from .model import HopfieldVAE


class EPGradient(AbstractLossGradient[HopfieldVAE]):
    """Two free phases and two pairs of nudged phases:

    1. Clamp the images on the encoder; its equilibrium gives `μ`, `log σ²` and `z = μ + σ noise`.
    2. Clamp `z` on the decoder and nudge by `± beta` with the reconstruction cost. The difference of the equilibria
       gives the decoder's gradient and `v = dL/dz = [∂E/∂z(β) - ∂E/∂z(-β)] / 2β` of the clamped latents.
    3. Nudge the encoder with the cost `(v·z + scale weight KL) / c` and multiply its gradient by `c`, where
       `c = max(1, √gain |v|)`. The cost is linear in `z` with slope `v`, so this bounds the nudge of an example with a
       large `v`.

    If encoder and decoder are one network, their gradients are added.

    Args:
        beta: the nudge, as in `EquilibriumPropagation`; None to have it chosen.
        encoder_beta: the nudge of the encoder; None for `beta`.
        variant: as in `EquilibriumPropagation`.
    Raises: `ValueError` when called with a model without an energy.

    Source: [vandermeersch2023], from the abstract; derived in this project.
    """

    beta: ScalarLike | None = None
    encoder_beta: ScalarLike | None = None
    variant: AbstractVariant = Centred()

    def __call__(self, vae, images, noise, weight):
        if not vae.has_energy:
            raise ValueError(
                f"`EPGradient` needs a `HopfieldVAE`, got `{type(vae).__name__}`, which has no equilibria; use "
                "`ImplicitGradient()`."
            )
        encoded = stop_gradient(jax.vmap(vae.relax_encoder)(images))
        posterior = vae.variance.posterior(encoded.activation)
        decoding = self._decode(vae, images, posterior.sample(noise))
        target = jnp.stack([decoding.latent_gradient, noise], axis=1)
        encoder_gradient, flagged = self._encode(vae, images, encoded, target, weight)
        gradient = jax.tree.map(lambda a, b: (a + b) / len(images), decoding.gradient, encoder_gradient)
        cost, kl = jnp.mean(decoding.costs), jnp.mean(posterior.kl())
        failures = [~encoded.converged, decoding.unconverged, decoding.flagged, flagged]
        unconverged = jnp.stack([jnp.sum(failed).astype(jnp.int32) for failed in failures])
        total = cost + vae.likelihood.scale * weight * kl
        return Loss(total, cost, kl, unconverged), gradient

    def check_start(self, vae, images):
        """Warns where `beta` is above a tenth of the decoder's critical nudge at the reconstructions of `images`."""
        if self.beta is not None:
            warn_of_large_nudge(self.beta, decoder_critical_nudge(vae, images))

    def _decode(
        self, vae: HopfieldVAE, images: Float[Array, "batch pixels"], latents: Float[Array, "batch latents"]
    ) -> "_Decoding":
        """The gradient of the summed cost in the model and in the latents of each example."""
        curvature = vae.likelihood.max_curvature
        method, cost = self._method(vae, self.beta), (1 / curvature) * vae.likelihood.cost

        def total(inputs):
            vae, latents, stats = inputs
            decoder = vae.decoder
            example = lambda latent, image, stats: objective_example(
                decoder, vae.decoder_clamp(latent), {}, cost, image, method, stats
            )
            costs, equilibria = jax.vmap(example)(latents, images, stats)
            return curvature * jnp.sum(costs), (curvature * costs, ~equilibria.converged)

        inputs = (vae, latents, AdjointStats.blank(len(images)))
        (_, (costs, unconverged)), gradient = eqx.filter_value_and_grad(total, has_aux=True)(inputs)
        return _Decoding(gradient[0], gradient[1], costs, unconverged, gradient[2].flagged > 0)

    def _encode(
        self,
        vae: HopfieldVAE,
        images: Float[Array, "batch pixels"],
        encoded: Equilibrium,
        target: Float[Array, "batch 2 latents"],
        weight: ScalarLike,
    ) -> tuple[PyTree, Bool[Array, " batch"]]:
        """The gradient of the summed `v·z + scale weight KL`, and which examples' nudged phases did not converge."""
        method = self._method(vae, self.beta if self.encoder_beta is None else self.encoder_beta)
        slopes = jnp.maximum(1, vae.latent_scale * jnp.linalg.norm(target[:, 0], axis=-1))
        weight = vae.likelihood.scale * weight

        def example(vae, image, start, target, slope, stats):
            clamp = vae.encoder_clamp(image)
            cost, target = vae.variance.cost(weight / slope), target.at[0].divide(slope)
            value, _ = objective_example(vae.encoder, clamp, start, cost, target, method, stats)
            return slope * value

        def total(inputs):
            vae, stats = inputs
            examples = jax.vmap(example, in_axes=(None, 0, 0, 0, 0, 0))
            return jnp.sum(examples(vae, images, encoded.state, target, slopes, stats))

        gradient, stats = eqx.filter_grad(total)((vae, AdjointStats.blank(len(images))))
        return gradient, stats.flagged > 0

    def _method(self, vae: HopfieldVAE, beta: ScalarLike | None) -> Method:
        return dataclasses.replace(vae.method, gradient=EquilibriumPropagation(beta, self.variant))


class _Decoding(eqx.Module):
    """Results of the decoder's phases: `gradient` summed over the batch, the others for each example."""

    gradient: HopfieldVAE
    latent_gradient: Float[Array, "batch latents"]
    costs: Float[Array, " batch"]
    unconverged: Bool[Array, " batch"]
    flagged: Bool[Array, " batch"]


def decoder_critical_nudge(vae: HopfieldVAE, images: Float[Array, "batch pixels"]) -> Float[Array, " batch"]:
    """`hopfax.diagnostics.critical_nudge` of the decoder at the reconstruction of each image."""

    def example(image):
        latent = vae.encode(image)[0].mean
        states = vae.relax_decoder(latent).state
        cost = (1 / vae.likelihood.max_curvature) * vae.likelihood.cost
        return critical_nudge(vae.decoder, vae.decoder_clamp(latent), states, cost, image, key=jr.key(0))

    return jax.jit(jax.vmap(example))(images)
