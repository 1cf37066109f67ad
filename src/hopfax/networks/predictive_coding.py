"""Predictive coding networks: layers of which each predicts the next."""

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from .._internal.checks import require_key
from ..lagrangians import AbstractLagrangian, Identity, Tanh
from ..lagrangians.base import require_lagrangian
from .ham import HAM, chain_names, xavier
from .layers import Layer
from .synapses import Prediction, SharedDense


def predictive_coding(
    sizes: Sequence[int], activation: AbstractLagrangian = Tanh(), *, key: Key[Array, ""]
) -> HAM:
    """`E = ½ |s_0|² + Σ_k ½ |s_k - f_k(s_{k-1})|²`, with `f_1(s) = W_1ᵀ s + b_1` and `f_k(s) = W_kᵀ φ(s) + b_k`.

    The layers are named as those of `chain`, and all are linear: `φ` is a part of the prediction. With the input
    clamped, the equilibrium is the feed-forward pass of the network, and all errors `s_k - f_k(s_{k-1})` are zero. With
    the output clamped too, the errors are spread over the layers. A free input has a standard normal prior.
    Weights are Xavier uniform, biases zero.

    Args:
        sizes: neurons of each layer, at least two layers.
        activation: the Lagrangian whose activation is `φ`, of the hidden layers.
        key: for the weights.
    Raises: `ValueError` for other sizes, another activation or key.
    Source: [whittington2017].
    """
    if not isinstance(sizes, Sequence) or isinstance(sizes, str) or len(sizes) < 2:
        raise ValueError(
            f"`predictive_coding(sizes={sizes!r})` needs at least two layers; give an input and an output size."
        )
    require_lagrangian("predictive_coding(activation=...)", activation)
    require_key("predictive_coding", key)
    names = chain_names(len(sizes))
    layers = {name: Layer(size, Identity()) for name, size in zip(names, sizes, strict=True)}
    activations = [Identity(), *[activation] * (len(sizes) - 2)]
    keys = jr.split(key, len(activations))
    synapses = [
        Prediction(SharedDense(pair, xavier(k, *fans)), jnp.zeros(fans[1], jnp.float32), phi)
        for pair, fans, phi, k in zip(
            itertools.pairwise(names), itertools.pairwise(sizes), activations, keys, strict=True
        )
    ]
    return HAM(layers, synapses)
