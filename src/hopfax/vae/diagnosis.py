"""Where in a VAE a number stopped being finite."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from ..networks.ham import HAM
from .likelihoods import VISIBLE
from .loss import AbstractLossGradient
from .model import AbstractVAE, HopfieldVAE

SWEEPS = 3  # of all layers: enough for a signal to cross a network and to come back


def nonfinite_layer(
    vae: AbstractVAE,
    gradient: AbstractLossGradient,
    images: Float[Array, "batch pixels"],
    noise: Float[Array, "batch latents"],
    weight: ScalarLike = 1.0,
) -> str:
    """The first layer, in the order in which a step computes, at which a NaN or infinity arises, for people.

    Weights first, then the encoder layer by layer, the decoder, and the gradient of each synapse.
    """
    if isinstance(vae, HopfieldVAE):
        found = _in_networks(vae, images, noise)
        if found:
            return found
    loss, slope = eqx.filter_jit(gradient)(vae, images, noise, weight)
    where = _first_nonfinite(slope) or _first_nonfinite(loss)
    return f"the gradient of {where}" if where else "the update of the weights"


def _in_networks(vae: HopfieldVAE, images, noise) -> str | None:
    """In the states of either network."""
    at = _in_network(vae.networks.encoder, {VISIBLE: jax.vmap(vae.likelihood.state)(images)})
    if at:
        return f"layer {at!r} of the encoder"
    posterior, _ = jax.vmap(vae.encode)(images)
    at = _in_network(vae.decoder, vae.held(posterior.sample(noise)))
    return f"layer {at!r} of the decoder" if at else None


def _in_network(network: HAM, clamp: dict[str, Array]) -> str | None:
    """The first layer that is not finite as each in turn is put at its drive, starting from zero."""
    given = next(iter(clamp.values()))
    zero = network.zeros(given.dtype)
    states = {name: jnp.broadcast_to(zero[name], (len(given), *zero[name].shape)) for name in network.order}
    states = {**states, **clamp}
    for name in [*clamp, *[n for n in network.order if n not in clamp] * SWEEPS]:
        if name not in clamp:
            states[name] = _driven(network, name)(states)
        if not bool(jnp.all(jnp.isfinite(states[name]))):
            return name
    return None


def _driven(network: HAM, name: str):
    """A layer's drive from the states of all, for a batch."""
    return jax.vmap(lambda states: network.drive(network.activations(states), (name,))[name])


def _first_nonfinite(tree) -> str | None:
    """The path of the first array in `tree` that is not finite."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_inexact_array))
    bad = [path for path, leaf in leaves if not bool(jnp.all(jnp.isfinite(leaf)))]
    return jax.tree_util.keystr(bad[0], simple=True, separator=".") if bad else None
