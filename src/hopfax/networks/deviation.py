"""The network of deviations from an equilibrium, which has all digits of a small change of the equilibrium."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Scalar

from ..lagrangians.base import AbstractLagrangian, AbstractWrappedLagrangian, State
from .layers import Layer
from .network import AbstractNetwork, States
from .synapses.base import AbstractSynapse, AbstractWrappedSynapse, Field, Shape


def deviation_network(model: AbstractNetwork, drives: States, small: bool = False) -> AbstractNetwork:
    """The network of the deviations `d` from an equilibrium: `E(s + d) - E(s)` less what is linear in `d`.

    Its equilibrium without a nudge is `d = 0`. Under a nudge by `β` all its states are of order `β`. In the network
    itself a change of order `β` is a difference of close numbers, of which float32 leaves few digits. If `drives` are
    not quite an equilibrium, the deviations are those of the network in which they are one.

    Args:
        model: a network that has only free layers.
        drives: of all layers, at the equilibrium; those of other layers are ignored.
        small: whether changes of the drives of synapses that are not bilinear are computed from the slope halfway,
            which has all digits of small deviations, rather than as a difference, which is exact for large ones.
    Raises: `ValueError` where the drive of a layer is missing.
    Source: derived in this project.
    """
    if missing := [name for name in model.order if name not in drives]:
        raise ValueError(f"`drives` lacks {missing}; give the drives of all layers {list(model.order)}.")
    drives = {name: drives[name] for name in model.order}
    activations = model.activations(drives)
    shifted = lambda name: ShiftedLagrangian(model.layers[name].lagrangian, drives[name], activations[name])
    layers = {name: Layer(model.layers[name].shape, shifted(name)) for name in model.order}
    synapses = {
        name: _shifted_synapse(synapse, activations, small)
        for name, synapse in model.synapses.items()
        if synapse.layers
    }
    return model.rebuild(layers, synapses)


class ShiftedLagrangian(AbstractWrappedLagrangian):
    """`L(s + d) - L(s) - g·d` as a function of the deviation `d` from a state `s` of activation `g`.

    Its activation is the change of the activation, `ρ(s + d) - g`. Its properties, such as `nonnegative`, are those of
    the activations of the layer itself, on which the synapses depend.
    """

    lagrangian: AbstractLagrangian
    origin: State
    origin_activation: State

    def __call__(self, state: State) -> Scalar:
        change = self.lagrangian(self.origin + state) - self.lagrangian(self.origin)
        return change - jnp.sum(self.origin_activation * state)

    def activation(self, state: State) -> State:
        return self.lagrangian.activation_change(self.origin, self.origin_activation, state)

    def energy(self, state: State) -> Scalar:
        return jnp.sum(state * self.activation(state)) - self(state)

    def state_at(self, drive: State) -> State:
        return self.lagrangian.state_change(self.origin, drive)


class ShiftedSynapse(AbstractWrappedSynapse):
    """`E(g + d) - E(g) + Σ d·drive(g)` of a free synapse, as a function of the deviations `d` from activations `g`."""

    synapse: AbstractSynapse
    origins: States
    drives: States
    small: bool = eqx.field(static=True)
    vanishes: ClassVar[bool] = False

    def __init__(self, synapse: AbstractSynapse, origins: States, drives: States, small: bool):
        self.synapse, self.origins, self.drives, self.small = synapse, origins, drives, small

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        change = self.synapse(*self._moved(activations)) - self.synapse(*self._moved(None))
        linear = [jnp.sum(self.drives[n] * d) for n, d in zip(self.layers, activations, strict=True)]
        return change + sum(linear[1:], linear[0])

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        if self.small:
            halfway = tuple(self._moved([d / 2 for d in activations]))
            return jax.jvp(lambda *g: self.synapse.drive(name, *g), halfway, activations)[1]
        return self.synapse.drive(name, *self._moved(activations)) - self.drives[name]

    def _moved(self, deviations: Sequence[Array] | None) -> list[Array]:
        origins = [self.origins[name] for name in self.layers]
        return origins if deviations is None else [g + d for g, d in zip(origins, deviations, strict=True)]

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        raise ValueError(
            f"the deviations of {sorted(known)} cannot be clamped; condition the network before its deviations."
        )


def _shifted_synapse(synapse: AbstractSynapse, activations: States, small: bool) -> AbstractSynapse:
    """The synapse of deviations: a bilinear synapse stays as it is, and one that is linear in one layer drops out."""
    multilinear = all(map(synapse.affine_in, synapse.layers))
    if multilinear and len(synapse.layers) == 2 and synapse.vanishes:
        return synapse
    origins = {name: activations[name] for name in synapse.layers}
    if multilinear and len(origins) == 1:
        ((name, origin),) = origins.items()
        return Field(name, jnp.zeros_like(origin).reshape(-1))
    drives = {name: synapse.drive(name, *origins.values()) for name in origins}
    return ShiftedSynapse(synapse, origins, drives, small)
