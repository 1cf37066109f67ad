"""Updates: which map `z = f(z)` is solved, and which layers are its unknowns.

Eliminating a set of layers that no synapse joins (a colour) is exact: given the others, each has one best
state, its drive. `EvenOdd` eliminates one colour of a bipartite graph, `Synchronous` eliminates nothing.
"""

import abc
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Scalar, ScalarLike

from ._checks import require_kind, require_number
from ._tree import tree_sum
from .network import AbstractNetwork, States


class AbstractUpdate(eqx.Module):
    """A map whose fixed points are the equilibria of a model over its free layers, for one example."""

    @abc.abstractmethod
    def kept(self, model: AbstractNetwork) -> tuple[str, ...]:
        """The layers whose states are the unknowns."""

    @abc.abstractmethod
    def image(self, model: AbstractNetwork, states: States) -> States:
        """`f(z)`: new states of the kept layers."""

    @abc.abstractmethod
    def complete(self, model: AbstractNetwork, states: States) -> States:
        """States of all free layers, the eliminated ones at their best given the kept ones."""

    @abc.abstractmethod
    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        """The energy of `complete(z)`, and the sum of the magnitudes of its parts (its rounding error over eps).

        Shares its products with `image`, so that a solver that watches the energy pays little for it.
        """

    @abc.abstractmethod
    def symmetric(self, model: AbstractNetwork) -> "Eliminate":
        """The update with the same equilibria through which gradients are taken: `∂f/∂g` is symmetric there."""


class Eliminate(AbstractUpdate):
    """The map `z = h(ρ(z))` left when the layers in `names`, no two of them joined, are put at their drive.

    `h` is the gradient of a function of the kept activations, so `K = ∂h/∂g` is symmetric: the structure that
    conjugate gradients use.
    """

    names: tuple[str, ...] = eqx.field(static=True)

    def kept(self, model: AbstractNetwork) -> tuple[str, ...]:
        return tuple(name for name in model.order if name not in self.names)

    def response(self, model: AbstractNetwork, activations: States) -> States:
        """`h(g)`: the drive of the kept layers, the eliminated ones following `g`."""
        eliminated = model.settle(self.drives(model, activations))
        return model.drive({**activations, **model.activations(eliminated)}, self.kept(model))

    def drives(self, model: AbstractNetwork, activations: States) -> States:
        """What the kept activations exert on the eliminated layers."""
        unknown = {name: jnp.zeros(model.layers[name].shape, _dtype(activations)) for name in self.names}
        return model.drive({**activations, **unknown}, self.names)

    def image(self, model: AbstractNetwork, states: States) -> States:
        return model.respond(states, self.response(model, model.activations(states)))

    def complete(self, model: AbstractNetwork, states: States) -> States:
        eliminated = model.settle(self.drives(model, model.activations(states)))
        return _ordered(model, {**states, **eliminated})

    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        """`Σ_kept L*(g) - Σ_eliminated L(drive) + E_synapses(g, 0)`: at its drive, `L*(g) - g·drive = -L(drive)`."""
        activations = model.activations(states)
        kept = [model.layer_energy(name, state) for name, state in states.items()]
        drives = self.drives(model, activations) if self.names else {}
        eliminated = [model.settled_energy(name, drive) for name, drive in drives.items()]
        silent = {name: jnp.zeros_like(drive) for name, drive in drives.items()}
        parts = [*kept, *eliminated, *_synapse_energies(model, {**activations, **silent}, self.names)]
        return tree_sum(parts), tree_sum([jnp.abs(part) for part in parts])

    def symmetric(self, model: AbstractNetwork) -> "Eliminate":
        return self


class AbstractEliminating(AbstractUpdate):
    """An update with the unknowns, the completed states and the energy of its `symmetric` form."""

    def kept(self, model: AbstractNetwork) -> tuple[str, ...]:
        return self.symmetric(model).kept(model)

    def complete(self, model: AbstractNetwork, states: States) -> States:
        return self.symmetric(model).complete(model, states)

    def energy(self, model: AbstractNetwork, states: States) -> tuple[Scalar, Scalar]:
        return self.symmetric(model).energy(model, states)


class Synchronous(AbstractEliminating):
    """`s = W ρ(s) + b` for all free layers at once. Source: [goemaere2024], eq. 6."""

    def image(self, model: AbstractNetwork, states: States) -> States:
        return Eliminate(()).image(model, states)

    def symmetric(self, model: AbstractNetwork) -> Eliminate:
        return Eliminate(())


class EvenOdd(AbstractEliminating):
    """`s_even = W_Pᵀ ρ(W_P ρ(s_even) + b_odd) + b_even`: two exact block minimisations, the energy never rises.

    "Even" are the layers of the last layer's colour. Two synchronous steps for the work of one.
    Raises: `ValueError` where the free graph is not bipartite, naming an odd cycle.
    Source: [goemaere2024], eq. 9.
    """

    def image(self, model: AbstractNetwork, states: States) -> States:
        return model.settle(self.symmetric(model).response(model, model.activations(states)))

    def symmetric(self, model: AbstractNetwork) -> Eliminate:
        if cycle := model.graph.odd_cycle():
            raise ValueError(
                f"`EvenOdd()` needs a bipartite graph of free layers; the odd cycle {' - '.join(cycle)} stands in "
                "the way. Clamp one of these layers, remove a synapse, or use `Coloured()`."
            )
        if curved := _curved(model):
            raise ValueError(
                f"`EvenOdd()` needs synapses that are affine in each activation; {curved} is not (or does not say "
                "so with `affine=True`). Use `Coloured()` or `Synchronous()`."
            )
        return _eliminate_first_colour(model)


class Coloured(AbstractEliminating):
    """One colour of layers after another, each at the drive of the newest activations of the others.

    With two colours this is `EvenOdd`; with more it is still exact block minimisation, so the energy never
    rises. Where a synapse is not affine nothing is eliminated and a step is only a fixed-point step.
    """

    def image(self, model: AbstractNetwork, states: States) -> States:
        newest = self.complete(model, states)
        for names in self._swept(model):
            newest = {**newest, **model.settle(model.drive(model.activations(newest), names))}
        return {name: newest[name] for name in states}

    def symmetric(self, model: AbstractNetwork) -> Eliminate:
        return Eliminate(()) if _curved(model) else _eliminate_first_colour(model)

    def _swept(self, model: AbstractNetwork) -> Sequence[tuple[str, ...]]:
        colours = model.graph.colours()
        return colours if _curved(model) else colours[1:] or colours


class Damped(AbstractEliminating):
    """`z = (1 - step) z + step f(z)`: damping by `1 - step`; on `Synchronous`, a forward Euler step of size `step`.

    Args: `step` in (0, 1]. Source: [goemaere2024], section 2.
    """

    update: AbstractUpdate
    step: ScalarLike = 0.5

    def __check_init__(self):
        require_kind("Damped.update", self.update, AbstractUpdate, "Synchronous()")
        require_number("Damped.step", self.step, lambda x: 0 < x <= 1, "in (0, 1]; 1 is no damping")

    def image(self, model: AbstractNetwork, states: States) -> States:
        step = jnp.asarray(self.step, _dtype(states))
        mix = lambda old, new: (1 - step) * old + step * new
        return jax.tree.map(mix, states, self.update.image(model, states))

    def symmetric(self, model: AbstractNetwork) -> Eliminate:
        return self.update.symmetric(model)


def _synapse_energies(model: AbstractNetwork, activations: States, silent: tuple[str, ...]) -> list[Scalar]:
    """Energies of the synapses, but for those that vanish because a layer in `silent` is at zero."""
    gone = lambda synapse: synapse.vanishes and any(name in silent for name in synapse.layers)
    heard = [synapse for synapse in model.synapses.values() if not gone(synapse)]
    return [synapse(*(activations[name] for name in synapse.layers)) for synapse in heard]


def _eliminate_first_colour(model: AbstractNetwork) -> Eliminate:
    colours = model.graph.colours()
    return Eliminate(colours[0] if len(colours) > 1 else ())


def _curved(model: AbstractNetwork) -> str | None:
    """The name of a synapse that is not affine in each activation, if there is one."""
    return next((repr(name) for name, synapse in model.synapses.items() if not synapse.affine), None)


def _ordered(model: AbstractNetwork, states: States) -> States:
    return {name: states[name] for name in model.order}


def _dtype(states: States) -> jnp.dtype:
    return jnp.result_type(*(x.dtype for x in states.values()))
