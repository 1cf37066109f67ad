"""Updates: which map `z = f(z)` is solved, and which layers are its unknowns.

Eliminating a set of layers that no synapse joins (a colour) is exact: given the others, each has one best
state, its drive. `EvenOdd` eliminates one colour of a bipartite graph, `Synchronous` eliminates nothing.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from .._internal.checks import require_kind, require_number
from ..networks.network import AbstractNetwork, States
from .base import AbstractBlockUpdate, AbstractUpdate, BlockElimination, dtype_of


class Synchronous(AbstractBlockUpdate):
    """`s = W ρ(s) + b` for all free layers at once. Source: [goemaere2024], eq. 6."""

    def image(self, model: AbstractNetwork, states: States) -> States:
        return BlockElimination(()).image(model, states)

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        return BlockElimination(())


class EvenOdd(AbstractBlockUpdate):
    """`s_even = W_Pᵀ ρ(W_P ρ(s_even) + b_odd) + b_even`: two exact block minimisations, the energy never rises.

    "Even" are the layers of the last layer's colour. Two synchronous steps for the work of one.
    Raises: `ValueError` where the free graph is not bipartite, naming an odd cycle.
    Source: [goemaere2024], eq. 9.
    """

    def image(self, model: AbstractNetwork, states: States) -> States:
        return model.minimise_layers(self.eliminated(model).response(model, model.activations(states)))

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
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


class Coloured(AbstractBlockUpdate):
    """One colour of layers after another, each at the drive of the newest activations of the others.

    With two colours this is `EvenOdd`; with more it is still exact block minimisation, so the energy never
    rises. Where a synapse is not affine nothing is eliminated and a step is only a fixed-point step.
    """

    def image(self, model: AbstractNetwork, states: States) -> States:
        newest = self.reconstruct(model, states)
        for names in self._swept(model):
            newest = {**newest, **model.minimise_layers(model.drive(model.activations(newest), names))}
        return {name: newest[name] for name in states}

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        return BlockElimination(()) if _curved(model) else _eliminate_first_colour(model)

    def _swept(self, model: AbstractNetwork) -> Sequence[tuple[str, ...]]:
        colours = model.graph.colours()
        return colours if _curved(model) else colours[1:] or colours


class Damped(AbstractBlockUpdate):
    """`z = (1 - step) z + step f(z)`: damping by `1 - step`; on `Synchronous`, a forward Euler step of size `step`.

    Args: `step` in (0, 1]. Source: [goemaere2024], section 2.
    """

    update: AbstractUpdate
    step: ScalarLike = 0.5

    def __check_init__(self):
        require_kind("Damped.update", self.update, AbstractUpdate, "Synchronous()")
        require_number("Damped.step", self.step, lambda x: 0 < x <= 1, "in (0, 1]; 1 is no damping")

    def image(self, model: AbstractNetwork, states: States) -> States:
        step = jnp.asarray(self.step, dtype_of(states))
        mix = lambda old, new: (1 - step) * old + step * new
        return jax.tree.map(mix, states, self.update.image(model, states))

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        return self.update.eliminated(model)


def _eliminate_first_colour(model: AbstractNetwork) -> BlockElimination:
    colours = model.graph.colours()
    return BlockElimination(colours[0] if len(colours) > 1 else ())


def _curved(model: AbstractNetwork) -> str | None:
    """The name of a synapse that is not affine in each activation, if there is one."""
    return next((repr(name) for name, synapse in model.synapses.items() if not synapse.affine), None)
