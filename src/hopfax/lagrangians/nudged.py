"""The Lagrangian of a layer that is nudged by a cost."""

from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ScalarLike

from .base import AbstractLagrangian, Scalar, State

INNER_STEPS = 25  # fixed-point steps for the nudged state, each of which contracts by about β


@runtime_checkable
class ActivationCost(Protocol):
    """What a cost of the activation of one layer must have to nudge that layer; see `hopfax.costs`."""

    @property
    def curvature(self) -> ScalarLike | None: ...

    def of_activation(self, activation: Array, target: Any) -> Scalar: ...

    def grad(self, activation: Array, target: Any) -> Array: ...


class NudgedLagrangian(AbstractLagrangian):
    """The Lagrangian of a layer of energy `L*(g) + β C(g)`; its activation is the proximal step of `β C`.

    `g = ρ(u)` with `u = a - β ∂C/∂g(g)` at the drive `a`. The cost is part of the layer, so every block minimisation
    remains exact under any update, and it is stable where the explicit nudge `a - β ∂C/∂g` diverges.

    Args:
        lagrangian: that of the free layer.
        cost: `C`, a function of the activation of the layer.
        target: of the cost, in the shape of the layer.
        beta: `β`, positive towards the target.
    """

    lagrangian: AbstractLagrangian
    cost: ActivationCost
    target: Array
    beta: ScalarLike
    elementwise: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    @property
    def holomorphic(self) -> bool:
        return self.lagrangian.holomorphic

    def __call__(self, state: State) -> Scalar:
        return jnp.sum(state * self.activation(state)) - self.energy(state)

    def activation(self, state: State) -> State:
        return self.lagrangian.activation(self.state_at(state))

    def energy(self, state: State) -> Scalar:
        nudged = self.state_at(state)
        cost = self.cost.of_activation(self.lagrangian.activation(nudged), self.target)
        return self.lagrangian.energy(nudged) + jnp.asarray(self.beta, cost.dtype) * cost

    def state_at(self, drive: State) -> State:
        """`u`, in closed form for linear neurons and a quadratic cost, else by fixed-point steps."""
        beta = jnp.asarray(self.beta, drive.dtype)
        gain, curvature = self.lagrangian.linear_gain, self.cost.curvature
        if gain is not None and curvature is not None:
            at_zero = self.cost.grad(jnp.zeros_like(drive), self.target)
            return (drive - beta * at_zero) / (1 + beta * curvature * gain)
        step = lambda _, u: drive - beta * self.cost.grad(self.lagrangian.activation(u), self.target)
        return jax.lax.fori_loop(0, INNER_STEPS, step, drive)
