"""What an update is, and the exact elimination of layers."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Scalar

from .._internal.tree import tree_dtype, tree_sum
from ..networks.network import AbstractNetwork, States


class AbstractUpdate(eqx.Module):
    """A map `f` whose fixed points are the equilibria of a model over its free layers, for one example."""

    @abc.abstractmethod
    def unknowns(self, model: AbstractNetwork) -> tuple[str, ...]:
        """The layers whose states are the unknowns `z`. The other layers are eliminated."""

    @abc.abstractmethod
    def image(self, model: AbstractNetwork, states: States) -> States:
        """`f(z)`: new states of the unknown layers."""

    @abc.abstractmethod
    def reconstruct(self, model: AbstractNetwork, states: States) -> States:
        """The states of all free layers: eliminated layers are at the states of least energy given the unknowns."""

    @abc.abstractmethod
    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        """The energy of `reconstruct(z)`, and the sum of the magnitudes of its terms.

        The latter times eps is the rounding error. The matrix products are those of `image`, and XLA shares them, so
        the energy costs little more than the image.
        """

    def descends(self, model: AbstractNetwork) -> bool:
        """Whether the energy of `f(z)` is never above that of `z`. If not, guarded solvers also guard plain steps."""
        return False

    def gives_slope(self, model: AbstractNetwork) -> bool:
        """Whether the image gives the slope of the energy: where it is the response of the eliminated form of a HAM."""
        return False

    @abc.abstractmethod
    def eliminated(self, model: AbstractNetwork) -> "BlockElimination":
        """The elimination with the same equilibria through which gradients are taken: there `∂f/∂g` is symmetric."""


class BlockElimination(AbstractUpdate):
    """`z = h(ρ(z))`: the layers in `names`, no two of which share a synapse, are eliminated at their minimum.

    `h` is the gradient of a function of the unknown activations, so `K = ∂h/∂g` is symmetric. Conjugate gradients use
    this structure.
    """

    names: tuple[str, ...] = eqx.field(static=True)

    def unknowns(self, model: AbstractNetwork) -> tuple[str, ...]:
        return tuple(name for name in model.order if name not in self.names)

    def response(self, model: AbstractNetwork, activations: States) -> States:
        """`h(g)`: the drives of the unknown layers, with the eliminated layers at their minimum given `g`."""
        minima = model.minimise_layers(self.drives(model, activations))
        return model.drive({**activations, **model.activations(minima)}, self.unknowns(model))

    def drives(self, model: AbstractNetwork, activations: States) -> States:
        """The drives of the eliminated layers, given the unknown activations."""
        # No synapse joins two eliminated layers, so any value serves for their activations.
        placeholders = {
            name: jnp.zeros(model.layers[name].shape, tree_dtype(activations)) for name in self.names
        }
        return model.drive({**activations, **placeholders}, self.names)

    def image(self, model: AbstractNetwork, states: States) -> States:
        return model.fixed_point_map(states, self.response(model, model.activations(states)))

    def reconstruct(self, model: AbstractNetwork, states: States) -> States:
        minima = model.minimise_layers(self.drives(model, model.activations(states)))
        everything = {**states, **minima}
        return {name: everything[name] for name in model.order}

    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        """`Σ_unknown L*(g) - Σ_eliminated L(drive) + E_synapses(g, 0)`: `L*(g) - g·drive = -L(drive)` at the drive."""
        activations = model.activations(states)
        drives = self.drives(model, activations) if self.names else {}
        zeros = {name: jnp.zeros_like(drive) for name, drive in drives.items()}
        terms = [
            *(model.layer_energy(name, state) for name, state in states.items()),
            *(model.minimum_energy(name, drive) for name, drive in drives.items()),
            *_synapse_energies(model, {**activations, **zeros}, self.names),
        ]
        return tree_sum(terms), tree_sum([jnp.abs(term) for term in terms])

    def eliminated(self, model: AbstractNetwork) -> "BlockElimination":
        return self


class AbstractBlockUpdate(AbstractUpdate):
    """An update with the unknowns, the reconstruction and the energy of its `eliminated` form."""

    def unknowns(self, model: AbstractNetwork) -> tuple[str, ...]:
        return self.eliminated(model).unknowns(model)

    def reconstruct(self, model: AbstractNetwork, states: States) -> States:
        return self.eliminated(model).reconstruct(model, states)

    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        return self.eliminated(model).energy(model, states)


def _synapse_energies(model: AbstractNetwork, activations: States, zero: tuple[str, ...]) -> list[Scalar]:
    """The energies of the synapses, except those that vanish because the activation of a layer in `zero` is zero."""
    vanishes = lambda synapse: synapse.vanishes and any(name in zero for name in synapse.layers)
    synapses = [synapse for synapse in model.synapses.values() if not vanishes(synapse)]
    return [synapse(*(activations[name] for name in synapse.layers)) for synapse in synapses]
