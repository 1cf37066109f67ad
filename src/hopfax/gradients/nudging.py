"""Nudged phases: `F = E + β C` as a model in its own right, and the points in β that each variant visits."""

import abc
import functools as ft
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Inexact, Key, Scalar, ScalarLike

from .._checks import require_whole
from ..costs import AbstractCost, Several, SquaredError
from ..ham import HAM
from ..lagrangians import AbstractLagrangian, Identity
from ..layers import Layer
from ..network import AbstractNetwork, States

INNER = 25  # fixed-point steps for the proximal state; they contract by about β each


class Pulled(AbstractLagrangian):
    """The Lagrangian of a layer whose energy is `L*(g) + β C(g)`: its activation is the proximal step of `β C`.

    `g = ρ(u)` with `u = a - β ∂C/∂g(g)` at drive `a`. Absorbing the cost keeps every half-step an exact block
    minimisation, under any update, and stays stable where the explicit nudge `a - β ∂C/∂g` diverges.
    """

    lagrangian: AbstractLagrangian
    cost: AbstractCost
    target: Array
    beta: ScalarLike
    analytic: ClassVar[bool] = True

    def __call__(self, state: Inexact[Array, "..."]) -> Scalar:
        return jnp.sum(state * self.activation(state)) - self.conjugate(state)

    def activation(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.lagrangian.activation(self.nudged(state))

    def conjugate(self, state: Inexact[Array, "..."]) -> Scalar:
        nudged = self.nudged(state)
        activation = self.lagrangian.activation(nudged)
        cost = self.cost({}, {self.cost.layer: activation}, self.target)
        return self.lagrangian.conjugate(nudged) + self.beta * cost

    def nudged(self, drive: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`u`, the state before the activation, from the drive `a`."""
        beta = jnp.asarray(self.beta, drive.dtype)
        if isinstance(self.cost, SquaredError) and isinstance(self.lagrangian, Identity):
            return (drive + beta * self.target) / (1 + beta)
        step = lambda _, u: drive - beta * self.cost.pull(self.lagrangian.activation(u), self.target)
        return jax.lax.fori_loop(0, INNER, step, drive)


def nudge(model: AbstractNetwork, cost: AbstractCost, target: Array, beta: ScalarLike) -> HAM:
    """The model of `E + β C`. Raises `ValueError` if the cost's layer is not free, or the network is no `HAM`."""
    if not isinstance(model, HAM):
        raise ValueError(
            f"a nudge acts on activations, in which a `{type(model).__name__}` does not descend; use `to_ham()`."
        )
    if isinstance(cost, Several):
        return ft.reduce(lambda nudged, part: nudge(nudged, part, target, beta), cost.parts, model)
    if cost.layer not in model.layers:
        raise ValueError(
            f"the cost is on layer {cost.layer!r}, which is not free; the free layers are {list(model.order)}."
        )
    layer = model.layers[cost.layer]
    pulled = Layer(layer.shape, Pulled(layer.lagrangian, cost, target, beta))
    return HAM({n: pulled if n == cost.layer else model.layers[n] for n in model.order}, model.synapses)


def unpulled(model: AbstractNetwork, states: States) -> States:
    """The states behind the activations of a nudged model: `u` in place of the drive where a cost pulls."""
    behind = lambda lagrangian, s: lagrangian.nudged(s) if isinstance(lagrangian, Pulled) else s
    return {name: behind(model.layers[name].lagrangian, state) for name, state in states.items()}


class AbstractVariant(eqx.Module):
    """The finite difference in `β` that estimates `d/dβ ∂F/∂θ` at 0."""

    analytic: eqx.AbstractVar[bool]  # whether `β` is complex

    @abc.abstractmethod
    def points(self, beta: ScalarLike) -> tuple[Array, Array, ScalarLike]:
        """Values of `β` to solve at, the weight of `∂F/∂θ` at each, and its weight at the free state."""


class Centred(AbstractVariant):
    """`[∂F(β) - ∂F(-β)] / 2β`, error `O(β²)`. Source: [laborieux2021]."""

    analytic: ClassVar[bool] = False

    def points(self, beta):
        betas = jnp.stack([jnp.asarray(beta), -jnp.asarray(beta)])
        return betas, 0.5 / betas, 0.0


class Positive(AbstractVariant):
    """`[∂F(β) - ∂F(0)] / β`, error `O(β)`. Source: [scellier2017], eq. 11."""

    analytic: ClassVar[bool] = False

    def points(self, beta):
        betas = jnp.asarray(beta)[None]
        return betas, 1 / betas, -1 / jnp.asarray(beta)


class Negative(AbstractVariant):
    """`[∂F(0) - ∂F(-β)] / β`, error `O(β)`. Source: [scellier2024]."""

    analytic: ClassVar[bool] = False

    def points(self, beta):
        betas = -jnp.asarray(beta)[None]
        return betas, 1 / betas, 1 / jnp.asarray(beta)


class RandomSign(AbstractVariant):
    """`Positive` or `Negative`, as the coin that `key` throws; give each step a new key. Source: [laborieux2021]."""

    key: Key[Array, ""]
    analytic: ClassVar[bool] = False

    def points(self, beta):
        signed = jnp.asarray(beta) * jr.rademacher(self.key, (), jnp.float32)
        return signed[None], 1 / signed[None], -1 / signed


class Holomorphic(AbstractVariant):
    """`(1/N) Σ_k ∂F(β_k) / β_k` on the circle `β_k = β e^{2πik/N}`, error `O(β^N)`; needs analytic neurons.

    Conjugate symmetry leaves `N/2 + 1` solves. Source: [laborieux2022].
    """

    count: int = eqx.field(static=True, default=6)
    analytic: ClassVar[bool] = True

    def __check_init__(self):
        require_whole("Holomorphic.count", self.count, 2)

    def points(self, beta):
        k = jnp.arange(self.count // 2 + 1)
        betas = jnp.asarray(beta) * jnp.exp(2j * jnp.pi * k / self.count)
        twice = jnp.where((k == 0) | (2 * k == self.count), 1, 2)
        return betas, twice / (self.count * betas), 0.0
