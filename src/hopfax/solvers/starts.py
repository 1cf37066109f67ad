"""Where a solve starts if it is given no states."""

import abc

import equinox as eqx
import jax.numpy as jnp

from ..networks.network import AbstractNetwork, States


class AbstractStart(eqx.Module):
    """The states of all free layers before the first step."""

    @abc.abstractmethod
    def states(self, model: AbstractNetwork, dtype: jnp.dtype) -> States:
        """The states for one example; `model` has free layers only."""


class Zeros(AbstractStart):
    """Zero in every layer, as in the papers."""

    def states(self, model: AbstractNetwork, dtype: jnp.dtype) -> States:
        return model.zeros(dtype)


class FeedForward(AbstractStart):
    """One pass through the layers in their order: each at its drive by the layers before it.

    With weak feedback the equilibrium is near, so that one or two steps are enough.
    """

    def states(self, model: AbstractNetwork, dtype: jnp.dtype) -> States:
        states = model.zeros(dtype)
        activations = {name: jnp.zeros_like(state) for name, state in states.items()}
        for name in model.order:
            state = model.minimise_layers({name: model.feed_forward_drive(name, activations)})
            states = {**states, **state}
            activations = {**activations, **model.activations(state)}
        return states
