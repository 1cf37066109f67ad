"""Costs: what a read-out of the equilibrium is worth, given a target, for one example."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Scalar

from .ham import States


class AbstractCost(eqx.Module):
    """A cost `C` of the layer named `layer`.

    Costs are written on activations, where a nudge enters the drive directly (`s = drive - β ∂C/∂g`).
    """

    layer: eqx.AbstractVar[str]

    @abc.abstractmethod
    def __call__(self, states: States, activations: States, target: Array) -> Scalar:
        """The cost of one example."""

    @abc.abstractmethod
    def scores(self, states: States, activations: States) -> Array:
        """What the network says, comparable with the target: for classes, the largest entry wins."""

    @abc.abstractmethod
    def pull(self, activation: Array, target: Array) -> Array:
        """`∂C/∂g` of the layer. Raises `ValueError` if the cost is not a function of the activation."""


class SquaredError(AbstractCost):
    """`C = ½ |g - target|²` on the activation of `layer`."""

    layer: str = eqx.field(static=True, default="output")

    def __call__(self, states: States, activations: States, target: Inexact[Array, "..."]) -> Scalar:
        return 0.5 * jnp.sum(jnp.square(activations[self.layer] - target))

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def pull(self, activation: Array, target: Array) -> Array:
        return activation - target


class CrossEntropy(AbstractCost):
    """`C = -Σ target log softmax(g)` on the activation of `layer`, which should be an identity layer.

    With an identity output the nudge `softmax(g) - target` is exact.
    """

    layer: str = eqx.field(static=True, default="output")

    def __call__(self, states: States, activations: States, target: Float[Array, " classes"]) -> Scalar:
        return -jnp.sum(target * jax.nn.log_softmax(activations[self.layer]))

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def pull(self, activation: Array, target: Array) -> Array:
        return jnp.sum(target) * jax.nn.softmax(activation) - target


class StateSquaredError(AbstractCost):
    """`C = ½ |s - target|²` on the raw state of `layer`: the papers' loss, for reproduction.

    Not for equilibrium propagation on a saturating layer: there the right nudge is `∂C/∂s` divided by `ρ'(s)`,
    which blows up. Source: [goemaere2024], code.
    """

    layer: str = eqx.field(static=True, default="output")

    def __call__(self, states: States, activations: States, target: Inexact[Array, "..."]) -> Scalar:
        return 0.5 * jnp.sum(jnp.square(states[self.layer] - target))

    def scores(self, states: States, activations: States) -> Array:
        return states[self.layer]

    def pull(self, activation: Array, target: Array) -> Array:
        raise ValueError(
            "`StateSquaredError` is a cost of the state and cannot nudge an activation; use `SquaredError` with an "
            "identity output layer, where the two are the same."
        )
