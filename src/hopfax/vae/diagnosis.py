"""Where in a training step of a VAE a number stopped being finite."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, ScalarLike

from ..networks import HAM
from ..networks.network import States
from .loss import AbstractLossGradient
from .model import AbstractVAE

SWEEPS = 3  # over all layers: enough for a signal to cross a network and come back


def nonfinite_layer(
    vae: AbstractVAE,
    gradient: AbstractLossGradient,
    images: Float[Array, "batch pixels"],
    noise: Float[Array, "batch latents"],
    weight: ScalarLike = 1.0,
) -> str:
    """The first place in a training step where a NaN or an infinity occurs, in words for an error message.

    In the order of the computation: the layers of the encoder, the layers of the decoder, the gradient of each
    parameter, the update of the weights.
    """
    for name, network, clamp in vae.relaxations(images, noise):
        if layer := _nonfinite_state(network, clamp):
            return f"layer {layer!r} of the {name}"
    loss, loss_gradient = eqx.filter_jit(gradient)(vae, images, noise, weight)
    path = _first_nonfinite(loss_gradient) or _first_nonfinite(loss)
    return f"the gradient of {path}" if path else "the update of the weights"


def _nonfinite_state(network: HAM, clamp: Mapping[str, Array]) -> str | None:
    """The first layer that is not finite when each layer in turn is set to its drive, starting from zero."""
    clamped = next(iter(clamp.values()))
    zero = network.zeros(clamped.dtype)
    states = {name: jnp.broadcast_to(zero[name], (len(clamped), *zero[name].shape)) for name in network.order}
    states = {**states, **clamp}
    free = [name for name in network.order if name not in clamp]
    for name in [*clamp, *free * SWEEPS]:
        if name in free:
            states[name] = _drive(network, name)(states)
        if not bool(jnp.all(jnp.isfinite(states[name]))):
            return name
    return None


def _drive(network: HAM, name: str) -> Callable[[States], Array]:
    """The drive of a layer as a function of the states of all layers, for a batch."""
    return jax.vmap(lambda states: network.drive(network.activations(states), (name,))[name])


def _first_nonfinite(tree: PyTree) -> str | None:
    """The path of the first array in `tree` that is not finite."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_inexact_array))
    paths = [path for path, leaf in leaves if not bool(jnp.all(jnp.isfinite(leaf)))]
    return jax.tree_util.keystr(paths[0], simple=True, separator=".") if paths else None
