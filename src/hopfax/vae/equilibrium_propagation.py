"""The gradient of the loss by equilibrium propagation alone, through encoder, sample and decoder."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, ScalarLike

from ..gradients.base import AdjointStats, stop_gradient
from ..gradients.ep import EquilibriumPropagation
from ..gradients.nudging import AbstractVariant, Centred
from ..method import Method
from ..objective import objective_example
from ..solvers.equilibrium import Equilibrium
from .likelihoods import VISIBLE
from .loss import AbstractLossGradient, Loss
from .model import HopfieldVAE


class EPGradient(AbstractLossGradient):
    """Two free phases and two pairs of nudged ones:

    1. clamp the images on the encoder: `μ`, `log σ²`, and `z = μ + σ noise`;
    2. clamp `z` on the decoder, nudge by `± beta` with the reconstruction cost: the decoder's gradient, and
       `v = dL/dz = [∂E/∂z(β) - ∂E/∂z(-β)] / 2β`, what the clamped units feel of the nudge;
    3. nudge the encoder with `(v·z + scale weight KL) / c`, times `c` in the gradient, `c = max(1, √gain |v|)`: the
       cost is linear with slope `v`, so this keeps the nudge of a steep example small.

    Where encoder and decoder are one network the gradients add.
    Args: `beta`, `variant` as in `EquilibriumPropagation`; `encoder_beta` is `beta` if None.
    Source: [vandermeersch2023], by the abstract; derived in this project.
    """

    beta: ScalarLike = 0.02
    encoder_beta: ScalarLike | None = None
    variant: AbstractVariant = Centred()

    def __call__(self, vae, images, noise, weight):
        if not isinstance(vae, HopfieldVAE):
            raise ValueError(
                f"`EPGradient` needs a `HopfieldVAE`, got `{type(vae).__name__}`, which has no equilibria; use "
                "`ImplicitGradient()`."
            )
        encoded = stop_gradient(jax.vmap(vae.relax_encoder)(images))
        posterior = vae.variance.posterior(encoded.activation)
        decoding = self._decode(vae, images, posterior.sample(noise))
        encoding = self._encode(vae, images, encoded, jnp.stack([decoding.pull, noise], axis=1), weight)
        gradient = jax.tree.map(lambda a, b: (a + b) / len(images), decoding.gradient, encoding[0])
        cost, divergence = jnp.mean(decoding.costs), jnp.mean(posterior.divergence())
        flags = [~encoded.converged, decoding.unconverged, decoding.flagged, encoding[1]]
        unconverged = jnp.stack([jnp.sum(each).astype(jnp.int32) for each in flags])
        total = cost + vae.likelihood.scale * weight * divergence
        return Loss(total, cost, divergence, unconverged), gradient

    def _decode(self, vae: HopfieldVAE, images: Array, latents: Array) -> "_Decoding":
        """The summed cost's gradient in the model and in each example's latents."""
        by = vae.likelihood.steepness
        method, cost = self._method(vae, self.beta), (1 / by) * vae.likelihood.cost

        def total(wanted):
            vae, latents, stats = wanted
            decoder = vae.decoder
            one = lambda z, image, stats: objective_example(
                decoder, vae.held(z), {}, cost, image, method, stats
            )
            costs, found = jax.vmap(one)(latents, images, stats)
            return by * jnp.sum(costs), (by * costs, ~found.converged)

        wanted = (vae, latents, AdjointStats.blank(len(images)))
        (_, account), gradient = eqx.filter_value_and_grad(total, has_aux=True)(wanted)
        return _Decoding(gradient[0], gradient[1], *account, gradient[2].flagged > 0)

    def _encode(self, vae: HopfieldVAE, images, encoded: Equilibrium, target, weight):
        """The gradient of the summed `v·z + scale weight KL`, and which examples' nudged phases failed."""
        method = self._method(vae, self.beta if self.encoder_beta is None else self.encoder_beta)
        steepness = jnp.maximum(1, vae.latent_scale * jnp.linalg.norm(target[:, 0], axis=-1))
        weight = vae.likelihood.scale * weight

        def one(vae, image, start, target, steep, stats):
            clamp = {VISIBLE: vae.likelihood.state(image)}
            cost, target = vae.variance.cost(weight / steep), target.at[0].divide(steep)
            value, _ = objective_example(vae.networks.encoder, clamp, start, cost, target, method, stats)
            return steep * value

        def total(wanted):
            many = jax.vmap(one, in_axes=(None, 0, 0, 0, 0, 0))
            return jnp.sum(many(wanted[0], images, encoded.state, target, steepness, wanted[1]))

        gradient = eqx.filter_grad(total)((vae, AdjointStats.blank(len(images))))
        return gradient[0], gradient[1].flagged > 0

    def _method(self, vae: HopfieldVAE, beta: ScalarLike) -> Method:
        return dataclasses.replace(vae.method, gradient=EquilibriumPropagation(beta, self.variant))


class _Decoding(eqx.Module):
    """What the decoder's phases give: sums in the model, the rest for each example."""

    gradient: HopfieldVAE
    pull: Float[Array, "batch latents"]
    costs: Float[Array, " batch"]
    unconverged: Bool[Array, " batch"]
    flagged: Bool[Array, " batch"]
