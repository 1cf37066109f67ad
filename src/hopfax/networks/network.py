"""What all energy networks have in common: named layers joined by synapses."""

import abc
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Scalar

from .._internal.tree import subtract, tree_sum
from .graph import Graph
from .layers import Clamp, Layer, split_clamp
from .synapses.base import AbstractSynapse, Constant

States = dict[str, Array]


class AbstractNetwork(eqx.Module):
    """`E(s) = Σ_layers E_layer(s) + Σ_synapses E(g_1, g_2, ...)`, with activations `g = ρ(s)`.

    The subclasses `HAM` and `CHN` define the energy of a layer, and the fixed-point map of its state under a drive. A
    drive `C = -∂/∂g Σ_synapses E` is what the other layers exert on a layer. All methods are for one example.
    """

    layers: eqx.AbstractVar[OrderedDict[str, Layer]]
    synapses: eqx.AbstractVar[OrderedDict[str, AbstractSynapse]]

    descends_in_activations: eqx.AbstractClassVar[bool]
    """Whether the flow is `-∂E/∂g`. Then a cost of an activation can nudge the network."""

    @abc.abstractmethod
    def rebuild(
        self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse]
    ) -> "AbstractNetwork":
        """A network of the same class with other layers and synapses."""

    @abc.abstractmethod
    def layer_energy(self, name: str, state: Array) -> Scalar:
        """The energy `E_layer(s)` of one layer."""

    @abc.abstractmethod
    def fixed_point_map(self, states: States, drives: States) -> States:
        """`s - ∂E/∂x` at fixed drives, where `x` is the coordinate in which the network descends."""

    @abc.abstractmethod
    def minimise_layers(self, drives: States) -> States:
        """`argmin_s E_layer(s) - ρ(s)·C`: the states of least energy at fixed drives `C`."""

    @abc.abstractmethod
    def minimum_energy(self, name: str, drive: Array) -> Scalar:
        """`min_s E_layer(s) - ρ(s)·C` of one layer at a fixed drive `C`."""

    @abc.abstractmethod
    def linearise(
        self, response: Callable[[States], States], states: States
    ) -> tuple[Callable[[States], States], Callable[[States], States]]:
        """Products with symmetric `D` and `K`: `∂f/∂s = K D` for `f(s) = fixed_point_map(s, response(ρ(s)))`.

        `response` must be the gradient of a function of the activations.
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
        """The graph of the layers that synapses join."""
        return Graph(self.order, tuple(s.layers for s in self.synapses.values() if len(s.layers) > 1))

    def zeros(self, dtype=jnp.float32) -> States:
        """Zero states of all layers, from which relaxing starts by default."""
        return {name: jnp.zeros(self.layers[name].shape, dtype) for name in self.order}

    def activations(self, states: Mapping[str, Array]) -> States:
        """`g = ρ(s)` of the layers in `states`. Raises: `ValueError` for an unknown layer."""
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
        """The drives `-∂/∂g Σ_synapses E` of the layers in `names`: `W ρ(s) + b`."""
        return {name: self._drive_of(name, activations) for name in names}

    def feed_forward_drive(self, name: str, activations: Mapping[str, Array]) -> Array:
        """The drive of `name` by the layers before it, without feedback from later layers.

        Synapses with clamped layers that are not affine in the activation of `name` are left out too.
        """
        later = set(self.order[self.order.index(name) + 1 :])
        forward = lambda synapse: (
            not later & set(synapse.layers) and (synapse.affine_in(name) or not synapse.clamped)
        )
        return self._drive_by(name, activations, filter(forward, self._synapses_of(name).values()))

    def _synapses_of(self, name: str) -> dict[str, AbstractSynapse]:
        return {label: synapse for label, synapse in self.synapses.items() if name in synapse.layers}

    def _drive_of(self, name: str, activations: Mapping[str, Array]) -> Array:
        return self._drive_by(name, activations, self._synapses_of(name).values())

    def _drive_by(
        self, name: str, activations: Mapping[str, Array], synapses: Iterable[AbstractSynapse]
    ) -> Array:
        drives = [synapse.drive(name, *(activations[n] for n in synapse.layers)) for synapse in synapses]
        return sum(drives[1:], drives[0]) if drives else jnp.zeros_like(activations[name])

    def not_affine_in(self, name: str) -> str | None:
        """The name of a synapse that is not affine in the activation of the layer `name`, if there is one."""
        synapses = self._synapses_of(name).items()
        return next((label for label, synapse in synapses if not synapse.affine_in(name)), None)

    def not_concave_in(self, name: str) -> str | None:
        """The name of a synapse that may not be concave in the activation of the layer `name`, if there is one."""
        nonnegative = {other for other, layer in self.layers.items() if layer.lagrangian.nonnegative}
        synapses = self._synapses_of(name).items()
        return next((label for label, synapse in synapses if not synapse.concave_in(name, nonnegative)), None)

    def energy_tree(self, states: Mapping[str, Array]) -> dict[str, dict[str, Scalar]]:
        """`{"layers": {name: energy}, "synapses": {name: energy}}` of one example.

        Raises: `ValueError` for a missing or unknown layer, or a state of another shape.
        """
        _check_states(self, states)
        activations = self.activations(states)
        neurons = {name: self.layer_energy(name, state) for name, state in states.items()}
        synapses = {name: s(*(activations[n] for n in s.layers)) for name, s in self.synapses.items()}
        return {"layers": neurons, "synapses": synapses}

    def energy(self, states: Mapping[str, Array]) -> Scalar:
        """`E(s)` of one example. Raises: `ValueError` as `energy_tree`."""
        return tree_sum(self.energy_tree(states))

    def residual(self, states: States) -> States:
        """`s - f(s)` of each layer for the fixed-point map `f`: zero at an equilibrium, and minus the flow."""
        drives = self.drive(self.activations(states), tuple(states))
        return subtract(states, self.fixed_point_map(states, drives))

    def condition(self, clamp: Clamp) -> "AbstractNetwork":
        """The network over the free layers that is left when the layers in `clamp` are fixed at the given states.

        A clamped layer becomes a constant field on its neighbours, which is computed once and is differentiable. A
        layer that is clamped in part remains a layer. Raises: `ValueError` for an unknown layer.
        """
        whole, partial = split_clamp(clamp)
        known = self.activations(whole)
        energies = {
            f"clamped {name}": Constant(self.layer_energy(name, state)) for name, state in whole.items()
        }
        has_known = lambda synapse: any(name in known for name in synapse.layers)
        shapes = {name: layer.shape for name, layer in self.layers.items()}
        synapses = {n: s.condition(known, shapes) if has_known(s) else s for n, s in self.synapses.items()}
        layers = {
            name: self.layers[name].clamped(name, partial[name]) if name in partial else self.layers[name]
            for name in self.order
            if name not in whole
        }
        return self.rebuild(layers, {**synapses, **energies})

    def __add__(self, cost) -> "AbstractNetwork":
        """The network of `E + C`, for a cost with its target: `model + beta * cost.with_target(target)`."""
        return cost.added_to(self)


def name_layers(layers: Mapping[str, Layer]) -> OrderedDict[str, Layer]:
    """The layers in an ordered dictionary, whose order JAX's transformations keep.

    Raises: `ValueError` where they have no names.
    """
    if not isinstance(layers, Mapping):
        raise ValueError(
            f"`layers` must be {{name: layer}}, got {type(layers).__name__}; give each layer a name."
        )
    return OrderedDict(layers)


def _check_states(network: AbstractNetwork, states: Mapping[str, Array]) -> None:
    if missing := [name for name in network.order if name not in states]:
        raise ValueError(f"`states` lacks {missing}; give a state for each of {list(network.order)}.")
    for name in network.order:
        if jnp.shape(states[name]) != network.layers[name].shape:
            raise ValueError(
                f"the state of layer {name!r} has shape {jnp.shape(states[name])}, but the layer has "
                f"{network.layers[name].shape}; batch with `jax.vmap`."
            )


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
    """One connected component, where the neighbours of clamped layers count as connected."""
    components = network.graph.components()
    driven = {name for synapse in network.synapses.values() if synapse.clamped for name in synapse.layers}
    undriven = [names for names in components if not driven & set(names)]
    if len(undriven) > 1 or (undriven and driven):
        smallest = min(undriven, key=len)
        raise ValueError(
            f"layers {list(smallest)} are disconnected from the rest; join them by a synapse or leave them out."
        )
