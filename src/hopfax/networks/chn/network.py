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
from ..network import AbstractNetwork, States, by_name
from ..synapses.base import AbstractSynapse, named
from .local_minimum import local_minimum
from .neurons import Continuous


class CHN(AbstractNetwork):
    """`E(s) = ½ |s|² + Σ_synapses E(g_1, g_2, ...)` with `g = ρ(s)`: for `Dense` and `Bias`, `½|s|² - ½ρ·Wρ - b·ρ`.

    It descends in the states: an equilibrium is `s = ρ'(s) (W ρ(s) + b)`. Made of the same layers and synapses as a
    `HAM`, of which a layer's Lagrangian counts by its activation `ρ` only: `CHN.like(hopfax.chain(...))`.

    Raises: `ValueError` for a layer whose neurons are not independent, and as `HAM` does.
    Source: [goemaere2024], eq. 1, 2 and 5; [bengio2015].
    """

    layers: OrderedDict[str, Layer]
    synapses: OrderedDict[str, AbstractSynapse]
    descends_in_activations: ClassVar[bool] = False

    def __init__(
        self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse] | Sequence[AbstractSynapse]
    ):
        self.layers, self.synapses = by_name(layers), named(synapses)

    def __check_init__(self):
        for name, layer in self.layers.items():
            if not layer.lagrangian.elementwise:
                raise ValueError(
                    f"layer {name!r} of a `CHN` needs independent neurons, `{type(layer.lagrangian).__name__}` has "
                    "none; use a `HAM`."
                )

    @staticmethod
    def like(network: AbstractNetwork) -> "CHN":
        """The CHN of the same layers and synapses; not the one with the same equilibria."""
        return CHN({name: network.layers[name] for name in network.order}, network.synapses)

    def of(self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse]) -> "CHN":
        return CHN(layers, synapses)

    def layer_energy(self, name: str, state: Array) -> Scalar:
        """`½ |s|²`."""
        return 0.5 * jnp.sum(jnp.square(self.layers[name].lagrangian.state_at(state)))

    def fixed_point_map(self, states: States, drives: States) -> States:
        """`ρ'(s) C`. Source: [goemaere2024], eq. 5."""
        _, pull = jax.vjp(lambda some: self.activations(some), {name: states[name] for name in drives})
        return pull(drives)[0]

    def minimise_layers(self, drives: States) -> States:
        """`argmin_s ½ s² - ρ(s) C`, by safeguarded Newton."""
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

        Its clamps and starts are `ham_states` of ours, its equilibria become ours by `own_states`.
        Raises: `ValueError` where `v` is not a bijection, naming the interval. Source: [goemaere2024], Theorem 3.
        """
        layers = {n: Layer(self.layers[n].shape, _in_drives(self._neurons(n))) for n in self.order}
        return HAM(layers, self.synapses)

    def ham_states(self, states: Mapping[str, Array]) -> States:
        """`u = v(s) = s / ρ'(s)`, state by state."""
        return {name: _mapped(self._neurons(name), state, Continuous.drive) for name, state in states.items()}

    def own_states(self, ham_states: Mapping[str, Array]) -> States:
        """`s = v⁻¹(u)`."""
        return {name: _mapped(self._neurons(name), u, Continuous.own_state) for name, u in ham_states.items()}

    def _neurons(self, name: str) -> AbstractLagrangian:
        return self.layers[name].lagrangian


def _in_drives(neurons: AbstractLagrangian) -> AbstractLagrangian:
    """Linear neurons are the same in both coordinates."""
    return neurons if neurons.linear_gain == 1 else Continuous(neurons)


def _mapped(neurons: AbstractLagrangian, state: Array, by: Callable[[Continuous, Array], Array]) -> Array:
    return state if neurons.linear_gain == 1 else by(Continuous(neurons), jnp.asarray(state))
