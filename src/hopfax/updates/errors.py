"""Error optimisation: gradient descent in the prediction errors of a network instead of its states."""

import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from .._internal.checks import require_number
from .._internal.tree import axpy, subtract
from ..networks.network import AbstractNetwork, States
from .base import AbstractBlockUpdate, BlockElimination
from .block import STEP_RULE


class ErrorOptimisation(AbstractBlockUpdate):
    """`e ← e - step ∂E/∂e`, where `s_k = f_k(s_{k-1}) + e_k`: gradient descent in the errors of the layers.

    `f_k` is the drive of layer k by the layers before it. One feed-forward pass computes the states from the errors,
    and one backward pass the gradient, so a signal crosses the whole network in one step. With gradient descent in the
    states, it fades from layer to layer. The equilibria are the same, as the change of coordinates is invertible.
    The last layer is eliminated where its synapses are affine in its activation.

    With a step of 1, a weak nudge of the output is followed in one step. With a clamped output, plain steps converge
    below `2 / (1 + |J|²)`, where `J` is the derivative of the output in the errors. Guarded solvers shorten a step
    that raises the energy.

    Args:
        step: in (0, 1].
    Raises: `ValueError` for another step, and where an unknown layer is not linear.
    Source: [goemaere2025]; there with plain gradient descent.
    """

    step: ScalarLike = 0.2

    def __check_init__(self):
        require_number("ErrorOptimisation.step", self.step, lambda x: 0 < x <= 1, STEP_RULE)

    def image(self, model: AbstractNetwork, states: States) -> States:
        require_linear("ErrorOptimisation()", model, self.unknowns(model))
        errors = subtract(states, _predictions(model, states))
        _, transpose = jax.vjp(lambda errors: _feed_forward(model, errors), errors)
        slope = subtract(states, self.eliminated(model).image(model, states))
        return _feed_forward(model, axpy(-jnp.asarray(self.step), transpose(slope)[0], errors))

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        last = model.order[-1]
        return BlockElimination(model.graph.independent_set(set() if model.not_affine_in(last) else {last}))


def require_linear(label: str, model: AbstractNetwork, names: tuple[str, ...]) -> None:
    """Raises: `ValueError` where a layer in `names` is not linear; `label` says what needs it."""
    for name in names:
        lagrangian = model.layers[name].lagrangian
        if lagrangian.linear_gain is None:
            raise ValueError(
                f"`{label}` needs linear layers, as those of `predictive_coding`, but layer {name!r} has "
                f"`{type(lagrangian).__name__}`."
            )


def _predictions(model: AbstractNetwork, states: States) -> States:
    """`f_k(s_{k-1})` for each of the layers in `states`."""
    activations = model.activations(states)
    return {name: model.feed_forward_drive(name, activations) for name in states}


def _feed_forward(model: AbstractNetwork, errors: States) -> States:
    """`s_k = f_k(s_{k-1}) + e_k`, layer after layer."""
    states = {name: jnp.zeros_like(error) for name, error in errors.items()}
    for name in (name for name in model.order if name in errors):
        drive = model.feed_forward_drive(name, model.activations(states))
        states = {**states, name: drive + errors[name]}
    return states
