"""What an update is, and exact elimination of layers."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Scalar

from .._internal.tree import tree_sum
from ..networks.network import AbstractNetwork, States


class AbstractUpdate(eqx.Module):
    """A map whose fixed points are the equilibria of a model over its free layers, for one example."""

    @abc.abstractmethod
    def unknowns(self, model: AbstractNetwork) -> tuple[str, ...]:
        """The layers whose states are the unknowns."""

    @abc.abstractmethod
    def image(self, model: AbstractNetwork, states: States) -> States:
        """`f(z)`: new states of the kept layers."""

    @abc.abstractmethod
    def reconstruct(self, model: AbstractNetwork, states: States) -> States:
        """States of all free layers, the eliminated ones at their best given the kept ones."""

    @abc.abstractmethod
    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        """The energy of `complete(z)`, and the sum of the magnitudes of its parts (its rounding error over eps).

        Shares its products with `image`, so that a solver that watches the energy pays little for it.
        """

    @abc.abstractmethod
    def eliminated(self, model: AbstractNetwork) -> "BlockElimination":
        """The update with the same equilibria through which gradients are taken: `∂f/∂g` is symmetric there."""


class BlockElimination(AbstractUpdate):
    """The map `z = h(ρ(z))` left when the layers in `names`, no two of them joined, are put at their drive.

    `h` is the gradient of a function of the kept activations, so `K = ∂h/∂g` is symmetric: the structure that
    conjugate gradients use.
    """

    names: tuple[str, ...] = eqx.field(static=True)

    def unknowns(self, model: AbstractNetwork) -> tuple[str, ...]:
        return tuple(name for name in model.order if name not in self.names)

    def response(self, model: AbstractNetwork, activations: States) -> States:
        """`h(g)`: the drive of the kept layers, the eliminated ones following `g`."""
        eliminated = model.minimise_layers(self.drives(model, activations))
        return model.drive({**activations, **model.activations(eliminated)}, self.unknowns(model))

    def drives(self, model: AbstractNetwork, activations: States) -> States:
        """What the kept activations exert on the eliminated layers."""
        unknown = {name: jnp.zeros(model.layers[name].shape, dtype_of(activations)) for name in self.names}
        return model.drive({**activations, **unknown}, self.names)

    def image(self, model: AbstractNetwork, states: States) -> States:
        return model.fixed_point_map(states, self.response(model, model.activations(states)))

    def reconstruct(self, model: AbstractNetwork, states: States) -> States:
        eliminated = model.minimise_layers(self.drives(model, model.activations(states)))
        return _ordered(model, {**states, **eliminated})

    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        """`Σ_kept L*(g) - Σ_eliminated L(drive) + E_synapses(g, 0)`: at its drive, `L*(g) - g·drive = -L(drive)`."""
        activations = model.activations(states)
        kept = [model.layer_energy(name, state) for name, state in states.items()]
        drives = self.drives(model, activations) if self.names else {}
        eliminated = [model.minimum_energy(name, drive) for name, drive in drives.items()]
        silent = {name: jnp.zeros_like(drive) for name, drive in drives.items()}
        parts = [*kept, *eliminated, *_synapse_energies(model, {**activations, **silent}, self.names)]
        return tree_sum(parts), tree_sum([jnp.abs(part) for part in parts])

    def eliminated(self, model: AbstractNetwork) -> "BlockElimination":
        return self


class AbstractBlockUpdate(AbstractUpdate):
    """An update with the unknowns, the completed states and the energy of its `symmetric` form."""

    def unknowns(self, model: AbstractNetwork) -> tuple[str, ...]:
        return self.eliminated(model).unknowns(model)

    def reconstruct(self, model: AbstractNetwork, states: States) -> States:
        return self.eliminated(model).reconstruct(model, states)

    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        return self.eliminated(model).energy(model, states)


def _synapse_energies(model: AbstractNetwork, activations: States, silent: tuple[str, ...]) -> list[Scalar]:
    """Energies of the synapses, but for those that vanish because a layer in `silent` is at zero."""
    gone = lambda synapse: synapse.vanishes and any(name in silent for name in synapse.layers)
    heard = [synapse for synapse in model.synapses.values() if not gone(synapse)]
    return [synapse(*(activations[name] for name in synapse.layers)) for synapse in heard]


def _ordered(model: AbstractNetwork, states: States) -> States:
    return {name: states[name] for name in model.order}


def dtype_of(states: States) -> jnp.dtype:
    return jnp.result_type(*(x.dtype for x in states.values()))
