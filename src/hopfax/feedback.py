"""Layers whose energies weigh differently, so that little comes back from a layer to the one before it."""

from collections.abc import Mapping

import equinox as eqx
from jaxtyping import Array, Inexact, Scalar

from .ham import HAM
from .lagrangians import AbstractElementwise
from .layers import Layer
from .synapses import AbstractSynapse, Shape


class Weighted(AbstractElementwise):
    """`L_w(s) = w L(s)`, `g = w ρ(s)`, `L_w* = w L*`: neurons whose energy counts `w`-fold.

    States stay as they are, so that the residuals of all layers remain comparable; activations are `w` times larger.
    Raises: `ValueError` where `weight` is not positive.
    """

    lagrangian: AbstractElementwise
    weight: float

    def __init__(self, lagrangian: AbstractElementwise, weight: float):
        self.lagrangian, self.weight = lagrangian, weight

    def __check_init__(self):
        _require_positive("Weighted", "weight", self.weight)

    @property
    def analytic(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.lagrangian.analytic

    def elements(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.weight * self.lagrangian.elements(state)

    def activation(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.weight * self.lagrangian.activation(state)

    def conjugate(self, state: Inexact[Array, "..."]) -> Scalar:
        return self.weight * self.lagrangian.conjugate(state)


class Scaled(AbstractSynapse):
    """`E = factor E_synapse(g_1, g_2, ...)`. Raises: `ValueError` where `factor` is not positive."""

    synapse: AbstractSynapse
    factor: float
    layers: tuple[str, ...] = eqx.field(static=True)
    affine: bool = eqx.field(static=True)
    clamped: bool = eqx.field(static=True)
    vanishes: bool = eqx.field(static=True)

    def __init__(self, synapse: AbstractSynapse, factor: float):
        self.synapse, self.factor, self.layers = synapse, factor, synapse.layers
        self.affine, self.clamped, self.vanishes = synapse.affine, synapse.clamped, synapse.vanishes

    def __check_init__(self):
        _require_positive("Scaled", "factor", self.factor)

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        return self.factor * self.synapse(*activations)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.factor * self.synapse.drive(name, *activations)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        self.synapse.check(shapes)

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        return Scaled(self.synapse.condition(known), self.factor)


def with_feedback(model: HAM, feedback: float) -> HAM:
    """`s_l = W_lᵀ ρ(s_{l-1}) + b_l + feedback W_{l+1} ρ(s_{l+1})`: a chain that hears little from the layers behind.

    Still an exact energy: with layer `l` of `0 ... n` in order, `w_l = feedback^(l - n)` weighs all energy of the
    layer, that of its bias and of the synapse from the layer before it, so the last layer weighs 1. Fewer sweeps
    reach equilibrium, and every gradient stays exact. `feedback=1` gives `model` itself.
    Args: `model` of layers in a row, elementwise, none weighted yet; `feedback` in (0, 1].
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
    layers = {name: _weighted(name, model.layers[name], weights[name]) for name in model.order}
    synapses = {label: _scaled(label, each, model.order, weights) for label, each in model.synapses.items()}
    return HAM(layers, synapses)


def _weighted(name: str, layer: Layer, weight: float) -> Layer:
    if not isinstance(layer.lagrangian, AbstractElementwise) or isinstance(layer.lagrangian, Weighted):
        kind = type(layer.lagrangian).__name__
        raise ValueError(f"`with_feedback` weighs plain elementwise neurons; layer {name!r} has {kind}.")
    return layer if weight == 1 else Layer(layer.shape, Weighted(layer.lagrangian, weight))


def _scaled(
    label: str, synapse: AbstractSynapse, order: tuple[str, ...], weights: Mapping[str, float]
) -> AbstractSynapse:
    """`w_l g_{l-1}ᵀ W g_l` in activations that are weighted already: divided by `w_{l-1}`; a bias as it is."""
    places = sorted(order.index(name) for name in synapse.layers)
    if len(places) == 1:
        return synapse
    if len(places) != 2 or places[1] - places[0] != 1:
        raise ValueError(f"`with_feedback` needs layers in a row; synapse {label!r} joins {synapse.layers}.")
    before = weights[order[places[0]]]
    return synapse if before == 1 else Scaled(synapse, 1 / before)


def _require_positive(owner: str, name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"`{owner}({name}={value})` must be positive.")
