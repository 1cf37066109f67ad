"""Weighted sums of the energies of phases, whose gradients are the estimates of contrastive learning rules."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Scalar

from .._internal.tree import tree_dtype, tree_sum
from ..networks.network import AbstractNetwork, States
from ..networks.synapses.base import AbstractSynapse


def energy_at(model: AbstractNetwork, states: States, activations: States) -> Scalar:
    """The energy as a function of independent states and activations: `Σ s·g - L(s)` plus the synapses.

    At fixed states and activations its gradient with respect to any parameter is that of the energy at equilibrium,
    including parameters of Lagrangians.
    """
    neurons = [_neuron_energy(model, name, states[name], activations[name]) for name in states]
    synapses = [s(*(activations[n] for n in s.layers)) for s in model.synapses.values() if s.layers]
    return tree_sum(neurons) + tree_sum(synapses)


def energy_change(
    model: AbstractNetwork,
    end: tuple[States, States],
    start: tuple[States, States],
    change: tuple[States, States],
) -> Scalar:
    """`E(end) - E(start)` for states and activations as in `energy_at`, without the difference of large numbers.

    `change` is the change from start to end. The change of the energy of a synapse, and of a Lagrangian, is the
    integral of its slope. The midpoint rule is exact for a synapse that is affine in each of at most two activations.
    Simpson's rule, of error `O(|change|⁵)`, serves for the others.
    """

    def synapse_change(synapse: AbstractSynapse) -> Scalar:
        names = synapse.layers
        at = lambda t: [start[1][n] + t * change[1][n] for n in names]
        slope = lambda t: -tree_sum([jnp.sum(change[1][n] * synapse.drive(n, *at(t))) for n in names])
        bilinear = len(names) <= 2 and all(map(synapse.affine_in, names))
        return slope(0.5) if bilinear else _integral(slope, tree_dtype(change[1]))

    def neuron_change(name: str) -> Scalar:
        state, difference, lagrangian = start[0][name], change[0][name], model.layers[name].lagrangian
        slope = lambda t: jnp.sum(lagrangian.activation(state + t * difference) * difference)
        product = jnp.sum(end[0][name] * end[1][name]) - jnp.sum(state * start[1][name])
        return product - _integral(slope, state.dtype)

    synapses = [synapse_change(synapse) for synapse in model.synapses.values() if synapse.layers]
    return tree_sum([neuron_change(name) for name in start[0]]) + tree_sum(synapses)


def _integral(slope: Callable[[Scalar], Scalar], dtype) -> Scalar:
    """From 0 to 1, by Simpson's rule."""
    nodes, weights = jnp.array([0, 0.5, 1], dtype), jnp.array([1 / 6, 4 / 6, 1 / 6], dtype)
    return jnp.sum(weights * jax.vmap(slope)(nodes))


def _neuron_energy(model: AbstractNetwork, name: str, state: Array, activation: Array) -> Scalar:
    if jnp.iscomplexobj(state):
        return jnp.sum(state * activation)  # Lagrangian parameters are refused there
    return jnp.sum(state * activation) - model.layers[name].lagrangian(state)


def weighted_energies(model: AbstractNetwork, weights: Array, points: tuple[States, States]) -> Scalar:
    """`Σ_i w_i E(p_i)` for points along a leading axis, complex where the points are."""
    return jnp.sum(weights * jax.vmap(lambda point: energy_at(model, *point))(points))


def weighted_differences(
    model: AbstractNetwork, weights: Array, points: tuple[States, States], deviations: tuple[States, States]
) -> Scalar:
    """`Σ_i w_i E(p_i)` for weights that sum to zero, as `Σ_i w_i [E(p_i) - E(p_n)]` with the last point `p_n`.

    In float32 the energies of phases that are close have few digits left when they are subtracted. `deviations` are
    the points themselves, or their deviations from any one point, which have all their digits.
    """
    last = jax.tree.map(lambda x: x[-1], points)
    others = jax.tree.map(lambda x: x[:-1], points)
    changes = jax.tree.map(lambda x: x[:-1] - x[-1:], deviations)
    change_of = jax.vmap(lambda point, change: energy_change(model, point, last, change))
    return jnp.sum(weights[:-1] * change_of(others, changes))
