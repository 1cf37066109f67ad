"""How many neurons are saturated at an equilibrium."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Inexact

from .._internal.checks import require_kind
from ..lagrangians.base import AbstractLagrangian
from ..networks.network import AbstractNetwork

LEAST_SLOPE = 0.01  # relative to the largest of the neuron
STATES = (-10.0, 10.0, 401)  # among which the largest slope is searched for


def saturation(model: AbstractNetwork, states: Mapping[str, ArrayLike]) -> dict[str, Float[Array, ""]]:
    """The fraction of neurons with `g'(s) < max g' / 100`, for each layer of independent, nonlinear neurons.

    Gradients do not pass through such neurons: a network whose layers are all near 1 no longer learns. For rectified
    neurons it is the fraction of silent ones.

    Args:
        states: by name of the layer, with a batch axis or without: `equilibrium.state`. Layers that are not in it are
            left out, and layers of coupled or linear neurons too.
    Raises: `ValueError` for another kind of model, or a name that is not one of its layers.
    """
    require_kind("model", model, AbstractNetwork, "hopfax.chain([64, 32, 10], key=key)")
    unknown = sorted(set(states) - set(model.order))
    if unknown:
        raise ValueError(f"`states` has layers {unknown}; those of the model are {list(model.order)}.")
    lagrangians = {name: model.layers[name].lagrangian for name in model.order if name in states}
    return {
        name: jnp.mean(
            _slope(lagrangian, jnp.asarray(states[name])) < LEAST_SLOPE * _largest_slope(lagrangian)
        )
        for name, lagrangian in lagrangians.items()
        if lagrangian.elementwise and lagrangian.linear_gain is None
    }


def _slope(lagrangian: AbstractLagrangian, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """`g'(s)` of each neuron."""
    return jax.jvp(lagrangian.activation, (state,), (jnp.ones_like(state),))[1]


def _largest_slope(lagrangian: AbstractLagrangian) -> Inexact[Array, ""]:
    return jnp.max(_slope(lagrangian, jnp.linspace(*STATES)))
