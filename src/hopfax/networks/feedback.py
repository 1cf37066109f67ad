"""Feedback: how much a layer of a chain hears of the layer behind it."""

from .ham import HAM
from .layers import Layer
from .synapses.base import AbstractSynapse


def with_feedback(model: HAM, feedback: float) -> HAM:
    """`s_l = W_lᵀ ρ(s_{l-1}) + b_l + feedback W_{l+1} ρ(s_{l+1})`: a chain that hears little from the layers behind.

    Still an exact energy: with layer `l` of `0 ... n` in order, `w_l = feedback^(l - n)` weighs all energy of the
    layer, that of its bias and of the synapse from the layer before it, so the last layer weighs 1. Fewer sweeps
    reach equilibrium, and every gradient stays exact. `feedback=1` gives `model` itself.
    Args: `model` of layers in a row; `feedback` in (0, 1].
    Raises: `ValueError` for a network or a feedback that is not so.
    Source: derived in this project.
    """
    if not 0 < feedback <= 1:
        raise ValueError(
            f"`with_feedback(feedback={feedback})` must lie in (0, 1]; 0 would be no energy model."
        )
    if feedback == 1:
        return model
    weights = {name: feedback ** (depth - len(model.order) + 1) for depth, name in enumerate(model.order)}
    layers = {name: _scaled_layer(model.layers[name], weights[name]) for name in model.order}
    synapses = {label: _scaled_synapse(label, synapse, weights) for label, synapse in model.synapses.items()}
    return HAM(layers, synapses)


def _scaled_layer(layer: Layer, weight: float) -> Layer:
    return layer if weight == 1 else Layer(layer.shape, weight * layer.lagrangian)


def _scaled_synapse(label: str, synapse: AbstractSynapse, weights: dict[str, float]) -> AbstractSynapse:
    """`w_l g_{l-1}ᵀ W g_l` in activations that are weighted already: divided by `w_{l-1}`; a bias as it is."""
    order = list(weights)
    places = sorted(order.index(name) for name in synapse.layers)
    if len(places) == 1:
        return synapse
    if len(places) != 2 or places[1] - places[0] != 1:
        raise ValueError(f"`with_feedback` needs layers in a row; synapse {label!r} joins {synapse.layers}.")
    before = weights[order[places[0]]]
    return synapse if before == 1 else (1 / before) * synapse
