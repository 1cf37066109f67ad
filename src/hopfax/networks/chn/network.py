"""Continuous Hopfield networks in the coordinate of their own states."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Scalar

from ...lagrangians import AbstractLagrangian
from ..ham import HAM
from ..layers import Layer
from ..network import AbstractNetwork, States, name_layers
from ..synapses.base import AbstractSynapse, name_synapses
from .lagrangian import CHNLagrangian
from .local_minimum import local_minimum


class CHN(AbstractNetwork):
    """`E(s) = ½ |s|² + Σ_synapses E(g_1, g_2, ...)` with `g = ρ(s)`: for `Dense` and `Bias`, `½|s|² - ½ρ·Wρ - b·ρ`.

    It descends in the states: an equilibrium is `s = ρ'(s) (W ρ(s) + b)`. It has the same layers and synapses as a
    `HAM`, but uses only the activation `ρ` of a layer's Lagrangian: `CHN.like(hopfax.chain(...))`.

    Args:
        layers: name -> `Layer`, in their order.
        synapses: name -> synapse, or a sequence of synapses.
    Raises: `ValueError` for a layer whose neurons are not independent, and as `HAM` does.
    Source: [goemaere2024], eq. 1, 2 and 5; [bengio2015].
    """

    layers: OrderedDict[str, Layer]
    synapses: OrderedDict[str, AbstractSynapse]
    descends_in_activations: ClassVar[bool] = False

    def __init__(
        self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse] | Sequence[AbstractSynapse]
    ):
        self.layers, self.synapses = name_layers(layers), name_synapses(synapses)

    def __check_init__(self):
        for name, layer in self.layers.items():
            if not layer.lagrangian.elementwise:
                raise ValueError(
                    f"layer {name!r} of a `CHN` needs independent neurons, but those of "
                    f"`{type(layer.lagrangian).__name__}` are not; use a `HAM`."
                )

    @staticmethod
    def like(network: AbstractNetwork) -> "CHN":
        """The CHN of the same layers and synapses. Its equilibria are not those of `network`."""
        return CHN({name: network.layers[name] for name in network.order}, network.synapses)

    def rebuild(self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse]) -> "CHN":
        return CHN(layers, synapses)

    def layer_energy(self, name: str, state: Array) -> Scalar:
        """`½ |s|²`."""
        return 0.5 * jnp.sum(jnp.square(self.layers[name].lagrangian.state_at(state)))

    def fixed_point_map(self, states: States, drives: States) -> States:
        """`ρ'(s) C`. Source: [goemaere2024], eq. 5."""
        _, vjp = jax.vjp(lambda s: self.activations(s), {name: states[name] for name in drives})
        return vjp(drives)[0]

    def minimise_layers(self, drives: States) -> States:
        """`argmin_s ½ s² - ρ(s) C`, by safeguarded Newton steps."""
        return {name: local_minimum(self._neurons(name), drive) for name, drive in drives.items()}

    def minimum_energy(self, name: str, drive: Array) -> Scalar:
        state = self.minimise_layers({name: drive})[name]
        return self.layer_energy(name, state) - jnp.sum(self._neurons(name).activation(state) * drive)

    def linearise(self, response: Callable[[States], States], states: States):
        """`D` the identity and `K = ∂f/∂s`, one minus the Hessian of the energy."""
        image = lambda s: self.fixed_point_map(s, response(self.activations(s)))
        return lambda direction: direction, jax.linearize(image, states)[1]

    def to_ham(self) -> HAM:
        """The HAM with the same equilibria in the coordinate `u = s / ρ'(s)`, and activations `ρ ∘ v⁻¹`.

        Its clamps and starts are given by `ham_states`, and `chn_states` takes its equilibria back.
        Raises: `ValueError` where `v` is not a bijection, naming the interval. Source: [goemaere2024], Theorem 3.
        """
        layers = {
            name: Layer(self.layers[name].shape, _ham_lagrangian(self._neurons(name))) for name in self.order
        }
        return HAM(layers, self.synapses)

    def ham_states(self, states: Mapping[str, Array]) -> States:
        """`u = v(s) = s / ρ'(s)` of each layer."""
        return {name: _convert(self._neurons(name), s, CHNLagrangian.ham_state) for name, s in states.items()}

    def chn_states(self, states: Mapping[str, Array]) -> States:
        """`s = v⁻¹(u)` of each layer."""
        return {name: _convert(self._neurons(name), u, CHNLagrangian.chn_state) for name, u in states.items()}

    def _neurons(self, name: str) -> AbstractLagrangian:
        return self.layers[name].lagrangian


def _ham_lagrangian(neurons: AbstractLagrangian) -> AbstractLagrangian:
    """Linear neurons of gain 1 are the same in both coordinates."""
    return neurons if neurons.linear_gain == 1 else CHNLagrangian(neurons)


def _convert(
    neurons: AbstractLagrangian, state: Array, conversion: Callable[[CHNLagrangian, Array], Array]
) -> Array:
    return state if neurons.linear_gain == 1 else conversion(CHNLagrangian(neurons), jnp.asarray(state))
