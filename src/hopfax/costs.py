"""Costs: what a read-out of the equilibrium is worth, given a target, for one example."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Scalar

from ._tree import tree_sum
from .network import States


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
        return 0.5 * jnp.sum(jnp.square(activations[self.layer] - _alike(activations[self.layer], target)))

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def pull(self, activation: Array, target: Array) -> Array:
        return activation - _alike(activation, target)


class CrossEntropy(AbstractCost):
    """`C = -Σ target log softmax(g)` on the activation of `layer`, which should be an identity layer.

    With an identity output the nudge `softmax(g) - target` is exact.
    """

    layer: str = eqx.field(static=True, default="output")

    def __call__(self, states: States, activations: States, target: Float[Array, " classes"]) -> Scalar:
        return -jnp.sum(_alike(activations[self.layer], target) * jax.nn.log_softmax(activations[self.layer]))

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def pull(self, activation: Array, target: Array) -> Array:
        target = _alike(activation, target)
        return jnp.sum(target) * jax.nn.softmax(activation) - target


class BinaryCrossEntropy(AbstractCost):
    """`C = Σ softplus(u) - target u`, `u = slope g - offset`: minus the Bernoulli log-likelihood of `target` in [0, 1].

    `g` is the activation of `layer`, which should be an identity layer: then the nudge
    `slope (sigmoid(u) - target)` is exact. A larger slope needs smaller weights, so feeds back less.
    """

    layer: str = eqx.field(static=True, default="output")
    slope: float = 1.0
    offset: float = 0.0

    def __check_init__(self):
        if not self.slope > 0:
            raise ValueError(
                f"`BinaryCrossEntropy(slope={self.slope})` must be positive; 1 reads plain logits."
            )

    def __call__(self, states: States, activations: States, target: Float[Array, "..."]) -> Scalar:
        logits, target = self._logits(activations[self.layer]), _alike(activations[self.layer], target)
        return jnp.sum(jnp.logaddexp(logits, jnp.zeros_like(logits)) - target * logits)

    def scores(self, states: States, activations: States) -> Array:
        return jax.nn.sigmoid(self._logits(activations[self.layer]))

    def pull(self, activation: Array, target: Array) -> Array:
        return self.slope * (jax.nn.sigmoid(self._logits(activation)) - _alike(activation, target))

    def _logits(self, activation: Array) -> Array:
        return self.slope * activation - self.offset


class Several(AbstractCost):
    """`C = Σ_i C_i` of costs on different layers, all given the same target; each nudges its own layer."""

    layer: str = eqx.field(static=True)
    parts: tuple[AbstractCost, ...]

    def __init__(self, parts: tuple[AbstractCost, ...]):
        layers = [part.layer for part in parts]
        if not layers or len(set(layers)) < len(layers):
            raise ValueError(
                f"`Several(parts=...)` has layers {layers}; give at least one cost, one a layer."
            )
        self.layer, self.parts = layers[0], parts

    def __call__(self, states: States, activations: States, target: Array) -> Scalar:
        return tree_sum([part(states, activations, target) for part in self.parts])

    def scores(self, states: States, activations: States) -> Array:
        return self.parts[0].scores(states, activations)

    def pull(self, activation: Array, target: Array) -> Array:
        raise ValueError("`Several` pulls at several layers; ask one of its `parts`.")


class StateSquaredError(AbstractCost):
    """`C = ½ |s - target|²` on the raw state of `layer`: the papers' loss, for reproduction.

    Not for equilibrium propagation on a saturating layer: there the right nudge is `∂C/∂s` divided by `ρ'(s)`,
    which blows up. Source: [goemaere2024], code.
    """

    layer: str = eqx.field(static=True, default="output")

    def __call__(self, states: States, activations: States, target: Inexact[Array, "..."]) -> Scalar:
        return 0.5 * jnp.sum(jnp.square(states[self.layer] - _alike(states[self.layer], target)))

    def scores(self, states: States, activations: States) -> Array:
        return states[self.layer]

    def pull(self, activation: Array, target: Array) -> Array:
        raise ValueError(
            "`StateSquaredError` is a cost of the state and cannot nudge an activation; use `SquaredError` with an "
            "identity output layer, where the two are the same."
        )


def _alike(values: Array, target: Array) -> Array:
    """`target`. Raises: `ValueError` where it would be broadcast: a class is not a target, its one-hot vector is."""
    if jnp.shape(target) != values.shape:
        raise ValueError(
            f"`target` has shape {jnp.shape(target)} for one example, the layer that is read {values.shape}; "
            "make a class a vector by `jax.nn.one_hot(label, classes)`."
        )
    return target
