"""What all energy networks have in common: named layers joined by synapses, whatever the coordinate of their states."""

import abc
from collections.abc import Callable, Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Scalar

from ._tree import subtract, tree_sum
from .graph import Graph
from .lagrangians import AbstractElementwise
from .layers import Held, Known, Layer
from .synapses import AbstractSynapse, Constant

States = dict[str, Array]
Clamp = Mapping[str, Array | Known]


class AbstractNetwork(eqx.Module):
    """`E(s) = Σ_layers E_layer(s) + Σ_synapses E(g_1, g_2, ...)`, with activations `g = ρ(s)`.

    What a state is, and so the energy of a layer and how it answers to what the others exert on it, is for the
    final classes to say: `HAM` and `CHN`.
    """

    layers: eqx.AbstractVar[dict[str, Layer]]
    synapses: eqx.AbstractVar[dict[str, AbstractSynapse]]
    order: eqx.AbstractVar[tuple[str, ...]]  # of the layers: JAX sorts dictionaries by key

    @abc.abstractmethod
    def of(self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse]) -> "AbstractNetwork":
        """A network of the same kind."""

    @abc.abstractmethod
    def layer_energy(self, name: str, state: Array) -> Scalar:
        """The energy of the neurons of one layer."""

    @abc.abstractmethod
    def respond(self, states: States, drives: States) -> States:
        """`s - ∂E/∂x` at the given drives, `x` the coordinate in which the network descends: the fixed-point map."""

    @abc.abstractmethod
    def settle(self, drives: States) -> States:
        """The states of least energy under fixed drives."""

    @abc.abstractmethod
    def settled_energy(self, name: str, drive: Array) -> Scalar:
        """`min_s E_layer(s) - ρ(s)·drive`: what is left of a layer that has settled under its drive."""

    @abc.abstractmethod
    def linearise(
        self, response: Callable[[States], States], states: States
    ) -> tuple[Callable[[States], States], Callable[[States], States]]:
        """Symmetric `D` and `K` with `∂f/∂s = K D` for the map `f(s) = respond(s, response(ρ(s)))`, as products.

        `response` must itself be the gradient of a function of the activations.
        """

    def __check_init__(self):
        _check_layers(self)
        _check_names(self)
        for synapse in self.synapses.values():
            synapse.check({name: self.layers[name].shape for name in synapse.layers})
        _check_connected(self)

    @property
    def graph(self) -> Graph:
        return Graph(self.order, tuple(s.layers for s in self.synapses.values() if len(s.layers) > 1))

    def zeros(self, dtype=jnp.float32) -> States:
        """The state from which relaxing starts unless told otherwise."""
        return {name: jnp.zeros(self.layers[name].shape, dtype) for name in self.order}

    def activations(self, states: Mapping[str, Array]) -> States:
        """`g = ρ(s)` of each layer given. Raises: `ValueError` for a layer that is not there."""
        if unknown := [name for name in states if name not in self.layers]:
            raise ValueError(
                f"`states` names an unknown layer {unknown[0]!r}; the layers are {list(self.order)}."
            )
        return {name: self.layers[name].lagrangian.activation(state) for name, state in states.items()}

    def interaction(self, activations: Mapping[str, Array]) -> Scalar:
        """`Σ_synapses E(g_1, g_2, ...)`."""
        return tree_sum(
            [synapse(*(activations[n] for n in synapse.layers)) for synapse in self.synapses.values()]
        )

    def drive(self, activations: Mapping[str, Array], names: Sequence[str]) -> States:
        """`-∂/∂g` of the interaction for the layers in `names`: `W ρ(s) + b`, what the others exert on them."""
        return {name: self._drive_of(name, activations) for name in names}

    def _drive_of(self, name: str, activations: Mapping[str, Array]) -> Array:
        touching = [each for each in self.synapses.values() if name in each.layers]
        parts = [each.drive(name, *(activations[n] for n in each.layers)) for each in touching]
        return sum(parts[1:], parts[0]) if parts else jnp.zeros_like(activations[name])

    def energy_tree(self, states: Mapping[str, Array]) -> dict[str, dict[str, Scalar]]:
        """The energy of one example, one entry for each layer and each synapse.

        Raises: `ValueError` for a layer that is missing or not there, or a state of another shape.
        """
        _check_states(self, states)
        activations = self.activations(states)
        neurons = {name: self.layer_energy(name, state) for name, state in states.items()}
        synapses = {name: s(*(activations[n] for n in s.layers)) for name, s in self.synapses.items()}
        return {"layers": neurons, "synapses": synapses}

    def energy(self, states: Mapping[str, Array]) -> Scalar:
        """The sum of `energy_tree`."""
        return tree_sum(self.energy_tree(states))

    def residual(self, states: States) -> States:
        """`s - f(s)` of each layer for its own fixed-point map, zero at an equilibrium; minus it is the flow."""
        drives = self.drive(self.activations(states), tuple(states))
        return subtract(states, self.respond(states, drives))

    def condition(self, clamp: Clamp) -> "AbstractNetwork":
        """The network over the free layers that is left when those in `clamp` are fixed at the given states.

        A clamped layer becomes a constant field on its neighbours, computed once and differentiable.
        """
        whole = {name: state for name, state in clamp.items() if not isinstance(state, Known)}
        known = self.activations(whole)
        constant = {
            f"clamped {name}": Constant(self.layer_energy(name, state)) for name, state in whole.items()
        }
        touched = lambda synapse: any(name in known for name in synapse.layers)
        synapses = {n: s.condition(known) if touched(s) else s for n, s in self.synapses.items()}
        layers = {n: _hold(n, self.layers[n], clamp.get(n)) for n in self.order if n not in whole}
        return self.of(layers, {**synapses, **constant})


def _check_states(network: AbstractNetwork, states: Mapping[str, Array]) -> None:
    if missing := [name for name in network.order if name not in states]:
        raise ValueError(f"`states` has none for {missing}; give one for each of {list(network.order)}.")
    for name in network.order:
        if jnp.shape(states[name]) != network.layers[name].shape:
            raise ValueError(
                f"the state of layer {name!r} has shape {jnp.shape(states[name])}, the layer "
                f"{network.layers[name].shape}; batch with `jax.vmap`."
            )


def _hold(name: str, layer: Layer, known: Array | Known | None) -> Layer:
    if not isinstance(known, Known):
        return layer
    if not isinstance(layer.lagrangian, AbstractElementwise):
        raise ValueError(
            f"layer {name!r} cannot be clamped in part: the neurons of `{type(layer.lagrangian).__name__}` are not "
            "independent; clamp the whole layer."
        )
    return Layer(layer.shape, Held(layer.lagrangian, known.state, known.mask))


def by_name(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """As a dictionary. Raises: `ValueError` where they have no names."""
    if not isinstance(layers, Mapping):
        raise ValueError(
            f"`layers` must be {{name: layer}}, got {type(layers).__name__}; give each layer a name."
        )
    return dict(layers)


def _check_layers(network: AbstractNetwork) -> None:
    if not network.layers and not network.synapses:
        raise ValueError("`layers` is empty; give at least one, as {name: Layer(size, lagrangian)}.")
    for name, layer in network.layers.items():
        if not isinstance(layer, Layer):
            raise ValueError(f"layer {name!r} is {layer!r:.60}; give `Layer(size, lagrangian)`.")


def _check_names(network: AbstractNetwork) -> None:
    for label, synapse in network.synapses.items():
        for name in synapse.layers:
            if name not in network.layers:
                raise ValueError(
                    f"synapse {label!r} names an unknown layer {name!r}; the layers are {list(network.order)}."
                )
        if len(set(synapse.layers)) < len(synapse.layers):
            raise ValueError(
                f"synapse {label!r} joins a layer to itself: {synapse.layers}; split the layer in two."
            )


def _check_connected(network: AbstractNetwork) -> None:
    """One component, where layers that feel a clamped layer hang together through it."""
    components = network.graph.components()
    anchored = {name for synapse in network.synapses.values() if synapse.clamped for name in synapse.layers}
    adrift = [names for names in components if not anchored & set(names)]
    if len(adrift) > 1 or (adrift and anchored):
        lonely = min(adrift, key=len)
        raise ValueError(
            f"layers {list(lonely)} are disconnected from the rest; join them by a synapse or leave them out."
        )
