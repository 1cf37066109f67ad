"""What a Lagrangian is, and its algebra: multiples, sums, and Lagrangians of layers that are clamped in part."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Inexact

from .._internal.checks import require_number

State = Inexact[Array, "*neurons"]
Scalar = Inexact[Array, ""]


class AbstractLagrangian(eqx.Module):
    """A convex function `L` of the state of one layer, for one example of any shape; batch with `jax.vmap`.

    All functions keep the dtype of the state. They and their gradients, in the state and in the parameters, are
    finite for states up to `1e4` in magnitude in float32. `0.5 * Tanh()` and `Tanh() + 0.1 * Identity()` are
    Lagrangians too.
    """

    elementwise: eqx.AbstractVar[bool]
    """Whether the neurons are independent: `L(s) = sum_i l(s_i)`."""

    holomorphic: eqx.AbstractVar[bool]
    """Whether `activation` takes complex states and is holomorphic around the real axis."""

    linear_gain: eqx.AbstractVar[float | None]
    """The constant derivative of `activation`, or None if the neurons are not linear."""

    @abstractmethod
    def __call__(self, state: State) -> Scalar:
        """`L(s)`, summed over the layer."""

    @abstractmethod
    def activation(self, state: State) -> State:
        """`g(s) = dL/ds`."""

    @abstractmethod
    def energy(self, state: State) -> Scalar:
        """`L*(g(s)) = s·g(s) - L(s)`: the energy of the layer, as a function of its state."""

    @abstractmethod
    def state_at(self, drive: State) -> State:
        """The state of the neurons under `drive`: the drive itself, unless neurons are clamped or nudged."""

    def clamped(self, state: State, mask: Bool[Array, "*neurons"]) -> "ClampedLagrangian":
        """The Lagrangian of the layer with the neurons in `mask` clamped at `state`.

        Raises: `ValueError` where the neurons are not independent.
        """
        if not self.elementwise:
            raise ValueError(
                f"the neurons of `{type(self).__name__}` are not independent and cannot be clamped in part; clamp "
                "the whole layer."
            )
        return ClampedLagrangian(self, state, mask)

    def __rmul__(self, factor: float) -> "ScaledLagrangian":
        return ScaledLagrangian(self, factor)

    def __add__(self, other: "AbstractLagrangian") -> "SumLagrangian":
        return SumLagrangian((self, other))


class AbstractElementwise(AbstractLagrangian):
    """A Lagrangian of independent neurons: `L(s) = sum_i l(s_i)`, so that `g_i` depends on `s_i` alone."""

    @abstractmethod
    def pointwise(self, state: State) -> State:
        """`l(s_i)` of each neuron."""

    @property
    def elementwise(self) -> bool:
        return True

    def __call__(self, state: State) -> Scalar:
        """`L(s) = sum_i l(s_i)`."""
        return jnp.sum(self.pointwise(state))

    def state_at(self, drive: State) -> State:
        return drive


class AbstractCoupled(AbstractLagrangian):
    """A Lagrangian of neurons that compete or are normalised together."""

    @property
    def elementwise(self) -> bool:
        return False

    @property
    def linear_gain(self) -> float | None:
        return None

    def state_at(self, drive: State) -> State:
        return drive


class ScaledLagrangian(AbstractLagrangian):
    """`factor * lagrangian`: activations and energy are `factor` times larger, states stay as they are.

    The residuals of all layers therefore remain comparable. Raises: `ValueError` unless `factor` is positive.
    """

    lagrangian: AbstractLagrangian
    factor: float

    def __check_init__(self):
        require_lagrangian("ScaledLagrangian.lagrangian", self.lagrangian)
        require_number("ScaledLagrangian.factor", self.factor, lambda x: x > 0, "positive")

    @property
    def elementwise(self) -> bool:
        return self.lagrangian.elementwise

    @property
    def holomorphic(self) -> bool:
        return self.lagrangian.holomorphic

    @property
    def linear_gain(self) -> float | None:
        gain = self.lagrangian.linear_gain
        return None if gain is None else self.factor * gain

    def __call__(self, state: State) -> Scalar:
        return self.factor * self.lagrangian(state)

    def activation(self, state: State) -> State:
        return self.factor * self.lagrangian.activation(state)

    def energy(self, state: State) -> Scalar:
        return self.factor * self.lagrangian.energy(state)

    def state_at(self, drive: State) -> State:
        return self.lagrangian.state_at(drive)


class SumLagrangian(AbstractLagrangian):
    """`L(s) = sum_k L_k(s)`: the activations of the `terms` are added, as in `Tanh() + 0.1 * Identity()`."""

    terms: tuple[AbstractLagrangian, ...]

    def __check_init__(self):
        for term in self.terms:
            require_lagrangian("SumLagrangian.terms", term)

    @property
    def elementwise(self) -> bool:
        return all(term.elementwise for term in self.terms)

    @property
    def holomorphic(self) -> bool:
        return all(term.holomorphic for term in self.terms)

    @property
    def linear_gain(self) -> float | None:
        gains = [term.linear_gain for term in self.terms]
        return None if None in gains else sum(gain for gain in gains if gain is not None)

    def __call__(self, state: State) -> Scalar:
        return sum((term(state) for term in self.terms[1:]), self.terms[0](state))

    def activation(self, state: State) -> State:
        first, *others = (term.activation(state) for term in self.terms)
        return sum(others, first)

    def energy(self, state: State) -> Scalar:
        return jnp.sum(state * self.activation(state)) - self(state)

    def state_at(self, drive: State) -> State:
        return drive


class ClampedLagrangian(AbstractLagrangian):
    """The Lagrangian of a layer whose neurons in `mask` are clamped at the state `known`.

    For these it is the tangent `l(k) + ρ(k)(s - k)`, so their activation is `ρ(k)` whatever the state. Updates,
    solvers and gradients therefore need no special case for a partial clamp.
    """

    lagrangian: AbstractLagrangian
    known: State
    mask: Bool[Array, "*neurons"]

    @property
    def elementwise(self) -> bool:
        return True

    @property
    def holomorphic(self) -> bool:
        return False

    @property
    def linear_gain(self) -> float | None:
        return None

    def __call__(self, state: State) -> Scalar:
        slope = self.lagrangian.activation(self.known) * (state - self.known)
        return self.lagrangian(self.state_at(state)) + jnp.sum(jnp.where(self.mask, slope, 0))

    def activation(self, state: State) -> State:
        return self.lagrangian.activation(self.state_at(state))

    def energy(self, state: State) -> Scalar:
        return self.lagrangian.energy(self.state_at(state))

    def state_at(self, drive: State) -> State:
        """`drive` with the known states in their places."""
        return jnp.where(self.mask, self.known, drive)


def require_lagrangian(owner: str, value: Any) -> None:
    """Raises: `ValueError` unless `value` is a Lagrangian: not its class, its name or a function."""
    if not isinstance(value, AbstractLagrangian):
        shown = getattr(value, "__name__", repr(value))
        raise ValueError(f"`{owner}` must be a Lagrangian, such as `Tanh()` or `ReLU()`, got {shown}.")
