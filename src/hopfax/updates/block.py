"""The updates: synchronous, even-odd, colour by colour, damped, and the paper's local steps.

Eliminating a set of layers that share no synapse (a colour) is exact: given the other layers, each has one state of
least energy. In a HAM that is its drive.
"""

import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from .._internal.checks import require_integer, require_kind, require_number
from .._internal.tree import tree_dtype
from ..networks.network import AbstractNetwork, States
from .base import AbstractBlockUpdate, AbstractUpdate, BlockElimination

STEP_RULE = "in (0, 1]; 1 is no damping"


class Synchronous(AbstractBlockUpdate):
    """`s = W ρ(s) + b`: all free layers at once. Source: [goemaere2024], eq. 6."""

    def image(self, model: AbstractNetwork, states: States) -> States:
        return BlockElimination(()).image(model, states)

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        return BlockElimination(())


class EvenOdd(AbstractBlockUpdate):
    """`s_even = W_Pᵀ ρ(W_P ρ(s_even) + b_odd) + b_even`: two exact block minimisations, so the energy never rises.

    Even layers are those of the last layer's colour. One step does the work of one synchronous step and advances as far
    as two.

    Raises: `ValueError` where the graph of free layers is not bipartite, naming an odd cycle, or where a synapse is not
        affine in each activation.
    Source: [goemaere2024], eq. 9.
    """

    def image(self, model: AbstractNetwork, states: States) -> States:
        return model.minimise_layers(self.eliminated(model).response(model, model.activations(states)))

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        if cycle := model.graph.odd_cycle():
            raise ValueError(
                f"`EvenOdd()` needs a bipartite graph of free layers, but {' - '.join(cycle)} is an odd cycle. Clamp "
                "one of these layers, remove a synapse, or use `Coloured()`."
            )
        for name in model.order:
            if label := model.not_affine_in(name):
                raise ValueError(
                    f"`EvenOdd()` needs synapses that are affine in each activation, but {label!r} is not affine in "
                    f"that of {name!r}, or does not say so. Use `Coloured()` or `Synchronous()`."
                )
        return BlockElimination(model.graph.independent_set(set(model.order)))

    def descends(self, model: AbstractNetwork) -> bool:
        return True

    def gives_slope(self, model: AbstractNetwork) -> bool:
        return model.descends_in_activations


class Coloured(AbstractBlockUpdate):
    """One colour of layers after the other, each at its drive given the newest activations of the others.

    A layer in which all of its synapses are affine is thereby minimised exactly, and a colour of such layers is
    eliminated. If all layers are of this kind, the energy never rises, and with two colours this is `EvenOdd()`.
    A layer in which a synapse is concave takes a step that minimises an upper bound of the energy, as in a
    majorise-minimise algorithm; the energy does not rise either. If any layer is of a third kind, the layers that are
    not eliminated take their steps together, along minus the gradient of the energy. The energy may rise then, and
    guarded solvers shorten the step.
    Source: derived in this project.
    """

    def image(self, model: AbstractNetwork, states: States) -> States:
        if not self.descends(model):
            return self.eliminated(model).image(model, states)
        newest = self.reconstruct(model, states)
        for names in model.graph.without(set(newest) - set(states)).colours():
            newest = {**newest, **model.minimise_layers(model.drive(model.activations(newest), names))}
        return {name: newest[name] for name in states}

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        exact = {name for name in model.order if not model.not_affine_in(name)}
        return BlockElimination(model.graph.independent_set(exact))

    def descends(self, model: AbstractNetwork) -> bool:
        return not any(model.not_concave_in(name) for name in model.order)

    def gives_slope(self, model: AbstractNetwork) -> bool:
        unknowns = model.graph.without(set(self.eliminated(model).names))
        return model.descends_in_activations and self.descends(model) and len(unknowns.colours()) == 1


class Damped(AbstractBlockUpdate):
    """`z = (1 - step) z + step f(z)`. With `Synchronous()` this is forward Euler integration with that step.

    Args:
        update: the update `f`.
        step: in (0, 1].
    Raises: `ValueError` for another `step`.
    Source: [goemaere2024], section 2.
    """

    update: AbstractUpdate
    step: ScalarLike = 0.5

    def __check_init__(self):
        require_kind("Damped.update", self.update, AbstractUpdate, "Synchronous()")
        require_number("Damped.step", self.step, lambda x: 0 < x <= 1, STEP_RULE)

    def image(self, model: AbstractNetwork, states: States) -> States:
        step = jnp.asarray(self.step, tree_dtype(states))
        mix = lambda old, new: (1 - step) * old + step * new
        return jax.tree.map(mix, states, self.update.image(model, states))

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        return self.update.eliminated(model)


class LocalSteps(AbstractBlockUpdate):
    """Even-odd splitting of a CHN as in the paper: each colour takes a few steps `s ← (1 - step) s + step f(s)`.

    The drives of a colour are fixed during its steps. In a `CHN` the state of least energy of a layer is itself a fixed
    point, `s = ρ'(s) C`, which these steps approach. `EvenOdd` and `Coloured` solve for it. With `step=½` a
    sigmoid(4s - 2) neuron is stable only below `s = 0.9928`.

    Args:
        steps: steps of each colour, at least 1.
        step: in (0, 1].
    Raises: `ValueError` for other values.
    Source: [goemaere2024], section 4 and code.
    """

    steps: int = 10
    step: float = 0.5

    def __check_init__(self):
        require_integer("LocalSteps.steps", self.steps, 1)
        require_number("LocalSteps.step", self.step, lambda x: 0 < x <= 1, STEP_RULE)

    def image(self, model: AbstractNetwork, states: States) -> States:
        for names in model.graph.colours():
            drives = model.drive(model.activations(states), names)
            states = {**states, **self._step_colour(model, {n: states[n] for n in names}, drives)}
        return states

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        return BlockElimination(())

    def _step_colour(self, model: AbstractNetwork, states: States, drives: States) -> States:
        mix = lambda old, new: old + jnp.asarray(self.step, old.dtype) * (new - old)
        step = lambda states, _: (jax.tree.map(mix, states, model.fixed_point_map(states, drives)), None)
        return jax.lax.scan(step, states, None, length=self.steps, unroll=True)[0]
