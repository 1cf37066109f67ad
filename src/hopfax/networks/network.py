"""What all energy networks have in common: named layers joined by synapses, whatever the coordinate of their states."""

import abc
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Scalar

from .._internal.tree import subtract, tree_sum
from .graph import Graph
from .layers import Clamp, Layer, split_clamp
from .synapses.base import AbstractSynapse
from .synapses.conditioned import Constant

States = dict[str, Array]


class AbstractNetwork(eqx.Module):
    """`E(s) = Σ_layers E_layer(s) + Σ_synapses E(g_1, g_2, ...)`, with activations `g = ρ(s)`.

    What a state is, and so the energy of a layer and how it answers to what the others exert on it, is for the
    final classes to say: `HAM` and `CHN`.
    """

    layers: eqx.AbstractVar[OrderedDict[str, Layer]]
    synapses: eqx.AbstractVar[OrderedDict[str, AbstractSynapse]]
    descends_in_activations: eqx.AbstractClassVar[bool]  # so that a cost of an activation can nudge it

    @abc.abstractmethod
    def of(self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse]) -> "AbstractNetwork":
        """A network of the same kind."""

    @abc.abstractmethod
    def layer_energy(self, name: str, state: Array) -> Scalar:
        """The energy of the neurons of one layer."""

    @abc.abstractmethod
    def fixed_point_map(self, states: States, drives: States) -> States:
        """`s - ∂E/∂x` at the given drives, `x` the coordinate in which the network descends: the fixed-point map."""

    @abc.abstractmethod
    def minimise_layers(self, drives: States) -> States:
        """The states of least energy under fixed drives."""

    @abc.abstractmethod
    def minimum_energy(self, name: str, drive: Array) -> Scalar:
        """`min_s E_layer(s) - ρ(s)·drive`: what is left of a layer that has settled under its drive."""

    @abc.abstractmethod
    def linearise(
        self, response: Callable[[States], States], states: States
    ) -> tuple[Callable[[States], States], Callable[[States], States]]:
        """Symmetric `D` and `K` with `∂f/∂s = K D` for the map `f(s) = fixed_point_map(s, response(ρ(s)))`, as products.

        `response` must itself be the gradient of a function of the activations.
        """

    def __check_init__(self):
        _check_layers(self)
        _check_names(self)
        for synapse in self.synapses.values():
            synapse.check({name: self.layers[name].shape for name in synapse.layers})
        _check_connected(self)

    @property
    def order(self) -> tuple[str, ...]:
        """The names of the layers in order."""
        return tuple(self.layers)

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
        return subtract(states, self.fixed_point_map(states, drives))

    def condition(self, clamp: Clamp) -> "AbstractNetwork":
        """The network over the free layers that is left when those in `clamp` are fixed at the given states.

        A clamped layer becomes a constant field on its neighbours, computed once and differentiable.
        """
        whole, partial = split_clamp(clamp)
        known = self.activations(whole)
        constant = {
            f"clamped {name}": Constant(self.layer_energy(name, state)) for name, state in whole.items()
        }
        touched = lambda synapse: any(name in known for name in synapse.layers)
        synapses = {n: s.condition(known) if touched(s) else s for n, s in self.synapses.items()}
        layers = {
            name: self.layers[name].clamped(name, partial[name]) if name in partial else self.layers[name]
            for name in self.order
            if name not in whole
        }
        return self.of(layers, {**synapses, **constant})

    def __add__(self, cost) -> "AbstractNetwork":
        """The network of `E + C`, for a cost with its target: `model + beta * cost.with_target(target)`."""
        return cost.added_to(self)


def _check_states(network: AbstractNetwork, states: Mapping[str, Array]) -> None:
    if missing := [name for name in network.order if name not in states]:
        raise ValueError(f"`states` has none for {missing}; give one for each of {list(network.order)}.")
    for name in network.order:
        if jnp.shape(states[name]) != network.layers[name].shape:
            raise ValueError(
                f"the state of layer {name!r} has shape {jnp.shape(states[name])}, the layer "
                f"{network.layers[name].shape}; batch with `jax.vmap`."
            )


def by_name(layers: Mapping[str, Layer]) -> OrderedDict[str, Layer]:
    """As a dictionary that keeps its order in JAX's transformations. Raises: `ValueError` where they have no names."""
    if not isinstance(layers, Mapping):
        raise ValueError(
            f"`layers` must be {{name: layer}}, got {type(layers).__name__}; give each layer a name."
        )
    return OrderedDict(layers)


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
