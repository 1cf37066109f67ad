"""Costs: how far an equilibrium is from a target, for one example.

Costs can be added and scaled: `cost_a + cost_b` and `2 * cost` are costs. `model + beta * cost.with_target(target)` is
the network of the nudged energy `E + β C`.
"""

import abc
from collections.abc import Collection

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Scalar, ScalarLike

from ._internal.checks import require_number
from ._internal.tree import accumulation_dtype, tree_sum, widest_dtype
from .lagrangians.nudged import NudgedLagrangian
from .networks.layers import Layer
from .networks.network import AbstractNetwork, States
from .networks.synapses.base import Field


class AbstractCost(eqx.Module):
    """A cost `C` of the equilibrium of a network, compared with a target.

    Costs are functions of activations, so that a nudge enters the drive directly: `s = drive - β ∂C/∂g`.
    """

    @property
    @abc.abstractmethod
    def layers(self) -> tuple[str, ...]:
        """The layers that the cost reads. `scores` reads the first."""

    @abc.abstractmethod
    def __call__(self, states: States, activations: States, target: Array) -> Scalar:
        """The cost of one example."""

    @abc.abstractmethod
    def scores(self, states: States, activations: States) -> Array:
        """The output of the network, in the shape of the target. The largest entry is the predicted class."""

    @abc.abstractmethod
    def nudge(self, model: AbstractNetwork, target: Array, beta: ScalarLike) -> AbstractNetwork:
        """The network of `E + β C`.

        Raises: `ValueError` where the cost is not a function of activations, one of its layers is not free, or the
            network does not descend in its activations.
        """

    def shifted(self, activations: States) -> "AbstractCost":
        """`C(g + d)` as a cost of the deviation `d` from the given activations `g`, up to a constant."""
        raise ValueError(
            f"`{type(self).__name__}` does not say how it depends on a deviation; define `shifted(activations)`."
        )

    def clamp(self, model: AbstractNetwork, target: Array) -> States:
        """The states of its layers at which the cost is least: the clamp that a nudge tends to as it grows.

        Raises: `ValueError` where there are no such states, or one of the layers is not free or not linear.
        """
        raise ValueError(
            f"`{type(self).__name__}` has no clamp of its layers at the target; use `SquaredError` with a linear layer."
        )

    def with_target(self, target: Array) -> "TargetedCost":
        """The cost at that target, which can be added to a network."""
        return TargetedCost(self, target, 1.0)

    def __add__(self, other: "AbstractCost") -> "SumCost":
        return SumCost((self, other))

    def __rmul__(self, factor: float) -> "ScaledCost":
        return ScaledCost(self, factor)


class AbstractLayerCost(AbstractCost):
    """A cost of one layer."""

    layer: eqx.AbstractVar[str]

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)


class AbstractActivationCost(AbstractLayerCost):
    """A cost `C(g)` of the activation `g` of one layer."""

    @property
    @abc.abstractmethod
    def curvature(self) -> ScalarLike | None:
        """The factor of `½ |g|²` in `C` where `C` is quadratic in `g`, else None."""

    @abc.abstractmethod
    def of_activation(self, activation: Array, target: Array) -> Scalar:
        """`C(g)`."""

    @abc.abstractmethod
    def grad(self, activation: Array, target: Array) -> Array:
        """`∂C/∂g`."""

    def __call__(self, states: States, activations: States, target: Array) -> Scalar:
        return self.of_activation(activations[self.layer], target)

    def shifted(self, activations: States) -> AbstractCost:
        _check_free(self.layer, activations)
        return _ShiftedCost(self, activations[self.layer])

    def nudge(self, model: AbstractNetwork, target: Array, beta: ScalarLike) -> AbstractNetwork:
        layer = _free_layer(model, self.layer)
        nudged = Layer(layer.shape, NudgedLagrangian(layer.lagrangian, self, target, beta))
        layers = {name: nudged if name == self.layer else model.layers[name] for name in model.order}
        return model.rebuild(layers, model.synapses)


class _ShiftedCost(AbstractActivationCost):
    """`C(origin + g)` for a cost `C` of the activation of one layer."""

    cost: AbstractActivationCost
    origin: Array

    def __init__(self, cost: AbstractActivationCost, origin: Array):
        self.cost, self.origin = cost, origin

    @property
    def layer(self) -> str:
        return self.cost.layer

    @property
    def curvature(self) -> ScalarLike | None:
        return self.cost.curvature

    def of_activation(self, activation: Array, target: Array) -> Scalar:
        return self.cost.of_activation(self.origin + activation, target)

    def scores(self, states: States, activations: States) -> Array:
        moved = {**activations, self.layer: self.origin + activations[self.layer]}
        return self.cost.scores(states, moved)

    def grad(self, activation: Array, target: Array) -> Array:
        return self.cost.grad(self.origin + activation, target)


class SquaredError(AbstractActivationCost):
    """`C = ½ |g - target|²`, with the activation `g` of `layer`; the target has its shape."""

    layer: str = eqx.field(static=True, default="output")

    @property
    def curvature(self) -> ScalarLike | None:
        return 1.0

    def of_activation(self, activation: Array, target: Inexact[Array, "..."]) -> Scalar:
        return 0.5 * jnp.sum(jnp.square(activation - _as_target(target, activation)))

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def clamp(self, model: AbstractNetwork, target: Array) -> States:
        layer = _free_layer(model, self.layer)
        gain = layer.lagrangian.linear_gain
        if gain is None:
            raise ValueError(
                f"`SquaredError(layer={self.layer!r})` clamps an activation at the target, which needs a linear layer, "
                f"but this one has `{type(layer.lagrangian).__name__}`."
            )
        return {
            self.layer: _as_target(target, jnp.zeros(layer.shape, accumulation_dtype(target.dtype))) / gain
        }

    def grad(self, activation: Array, target: Array) -> Array:
        return activation - _as_target(target, activation)


class CrossEntropy(AbstractActivationCost):
    """`C = -Σ target log softmax(g)`, with the activation `g` of `layer`; the target has its shape.

    `layer` should have identity neurons, on which the nudge is `softmax(g) - target`.
    """

    layer: str = eqx.field(static=True, default="output")

    @property
    def curvature(self) -> ScalarLike | None:
        return None

    def of_activation(self, activation: Array, target: Float[Array, " classes"]) -> Scalar:
        return -jnp.sum(_as_target(target, activation) * jax.nn.log_softmax(activation))

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def grad(self, activation: Array, target: Array) -> Array:
        target = _as_target(target, activation)
        return jnp.sum(target) * jax.nn.softmax(activation) - target


class BinaryCrossEntropy(AbstractActivationCost):
    """`C = Σ softplus(u) - target u`, `u = slope g - offset`: minus the Bernoulli log-likelihood of targets in [0, 1].

    `g` is the activation of `layer`, whose shape the target has. The layer should have identity neurons, on which the
    nudge is `slope (sigmoid(u) - target)`. A larger slope needs smaller weights, so the layer feeds back less.

    Args:
        layer: the layer that is read.
        slope: positive.
        offset: the logits where `g` is 0, negated.
    Raises: `ValueError` for a `slope` that is not positive.
    """

    layer: str = eqx.field(static=True, default="output")
    slope: float = 1.0
    offset: float = 0.0

    def __check_init__(self):
        rule = "positive; with 1 the activations are the logits"
        require_number("BinaryCrossEntropy.slope", self.slope, lambda x: x > 0, rule)

    @property
    def curvature(self) -> ScalarLike | None:
        return None

    def of_activation(self, activation: Array, target: Float[Array, "..."]) -> Scalar:
        logits, target = self._logits(activation), _as_target(target, activation)
        return jnp.sum(jnp.logaddexp(logits, jnp.zeros_like(logits)) - target * logits)

    def scores(self, states: States, activations: States) -> Array:
        return jax.nn.sigmoid(self._logits(activations[self.layer]))

    def grad(self, activation: Array, target: Array) -> Array:
        return self.slope * (jax.nn.sigmoid(self._logits(activation)) - _as_target(target, activation))

    def _logits(self, activation: Array) -> Array:
        return self.slope * activation - self.offset


class LinearCost(AbstractLayerCost):
    """`C = target · g`, with the activation `g` of `layer`: the cost of slope `target`, in the shape of the layer.

    Its nudge is a constant drive `-β target`. If the target is the slope of a function of the equilibrium, the cost has
    the gradient of this function, by the chain rule.
    """

    layer: str = eqx.field(static=True, default="output")

    def __call__(self, states: States, activations: States, target: Inexact[Array, "..."]) -> Scalar:
        activation = activations[self.layer]
        return jnp.sum(_as_target(target, activation) * activation)

    def scores(self, states: States, activations: States) -> Array:
        return activations[self.layer]

    def shifted(self, activations: States) -> AbstractCost:
        return self

    def nudge(self, model: AbstractNetwork, target: Array, beta: ScalarLike) -> AbstractNetwork:
        layer = _free_layer(model, self.layer)
        slope, factor = _as_target(target, jnp.zeros(layer.shape, target.dtype)), jnp.asarray(beta)
        dtype = widest_dtype(slope.dtype, factor.dtype)
        field = Field(self.layer, -factor.astype(dtype) * slope.astype(dtype).reshape(-1))
        return model.rebuild(model.layers, {**model.synapses, f"linear cost of {self.layer}": field})


class StateSquaredError(AbstractLayerCost):
    """`C = ½ |s - target|²`, with the state `s` of `layer`: the papers' loss, for reproduction.

    It cannot be used for equilibrium propagation: on a saturating layer the nudge would be `∂C/∂s` divided by
    `ρ'(s)`, which is unbounded. Source: [goemaere2024], code.
    """

    layer: str = eqx.field(static=True, default="output")

    def __call__(self, states: States, activations: States, target: Inexact[Array, "..."]) -> Scalar:
        return 0.5 * jnp.sum(jnp.square(states[self.layer] - _as_target(target, states[self.layer])))

    def scores(self, states: States, activations: States) -> Array:
        return states[self.layer]

    def shifted(self, activations: States) -> AbstractCost:
        return self  # `nudge` says why it cannot be used

    def nudge(self, model: AbstractNetwork, target: Array, beta: ScalarLike) -> AbstractNetwork:
        raise ValueError(
            "`StateSquaredError` is a cost of the state and cannot nudge an activation; use `SquaredError` with an "
            "identity output layer, where the two are the same."
        )


class SumCost(AbstractCost):
    """`C = Σ_k C_k`, a sum of costs of different layers, all with the same target: `cost_a + cost_b`.

    Raises: `ValueError` where two of them read the same layer, or where there is none.
    """

    terms: tuple[AbstractCost, ...]

    def __check_init__(self):
        if not self.terms or len(set(self.layers)) < len(self.layers):
            raise ValueError(
                f"`SumCost(terms=...)` reads the layers {list(self.layers)}; give at least one cost, and at most one "
                "for each layer."
            )

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(name for term in self.terms for name in term.layers)

    def __call__(self, states: States, activations: States, target: Array) -> Scalar:
        return tree_sum([term(states, activations, target) for term in self.terms])

    def scores(self, states: States, activations: States) -> Array:
        return self.terms[0].scores(states, activations)

    def shifted(self, activations: States) -> AbstractCost:
        return SumCost(tuple(term.shifted(activations) for term in self.terms))

    def nudge(self, model: AbstractNetwork, target: Array, beta: ScalarLike) -> AbstractNetwork:
        for term in self.terms:
            model = term.nudge(model, target, beta)
        return model


class ScaledCost(AbstractCost):
    """`factor * cost`, where `factor` is a number or a scalar array."""

    cost: AbstractCost
    factor: ScalarLike

    @property
    def layers(self) -> tuple[str, ...]:
        return self.cost.layers

    def __call__(self, states: States, activations: States, target: Array) -> Scalar:
        return jnp.asarray(self.factor * self.cost(states, activations, target))

    def scores(self, states: States, activations: States) -> Array:
        return self.cost.scores(states, activations)

    def shifted(self, activations: States) -> AbstractCost:
        return ScaledCost(self.cost.shifted(activations), self.factor)

    def nudge(self, model: AbstractNetwork, target: Array, beta: ScalarLike) -> AbstractNetwork:
        return self.cost.nudge(model, target, self.factor * beta)


class TargetedCost(eqx.Module):
    """`factor * C` at a target, to be added to a network: `model + beta * cost.with_target(target)`."""

    cost: AbstractCost
    target: Array
    factor: ScalarLike

    def __rmul__(self, factor: ScalarLike) -> "TargetedCost":
        return TargetedCost(self.cost, self.target, factor * self.factor)

    def added_to(self, model: AbstractNetwork) -> AbstractNetwork:
        """The network of `E + factor C`, which is `model + cost`."""
        return self.cost.nudge(model, self.target, self.factor)


def _free_layer(model: AbstractNetwork, name: str) -> Layer:
    """The layer that a nudge acts on. Raises: `ValueError` where there is none."""
    if not model.descends_in_activations:
        raise ValueError(
            f"a nudge acts on activations, but a `{type(model).__name__}` descends in its states; use `to_ham()`."
        )
    _check_free(name, model.layers)
    return model.layers[name]


def _check_free(name: str, free: Collection[str]) -> None:
    if name not in free:
        raise ValueError(
            f"the cost is on layer {name!r}, which is not free; the free layers are {list(free)}."
        )


def _as_target(target: Array, values: Array) -> Array:
    """`target` in the dtype of `values`. Raises: `ValueError` for another shape, such as that of a class label."""
    if jnp.shape(target) != values.shape:
        raise ValueError(
            f"`target` has shape {jnp.shape(target)} for one example, but the layer that the cost reads has "
            f"{values.shape}; turn a class label into a vector by `jax.nn.one_hot(label, classes)`."
        )
    return target.astype(values.dtype)
