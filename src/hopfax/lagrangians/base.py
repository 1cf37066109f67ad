"""What a Lagrangian is, multiples and sums of Lagrangians, and the Lagrangian of a layer that is clamped in part."""

import math
from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Inexact

from .._internal.checks import require_number

State = Inexact[Array, "*neurons"]
Scalar = Inexact[Array, ""]


class AbstractLagrangian(eqx.Module):
    """A convex function `L` of the state of one layer, of any shape, for one example; batch with `jax.vmap`.

    All functions keep the dtype of the state. Values and gradients, in the state and in the parameters, are finite for
    states up to `1e4` in magnitude in float32. `0.5 * Tanh()` and `Tanh() + 0.1 * Identity()` are Lagrangians too.
    """

    @property
    @abstractmethod
    def elementwise(self) -> bool:
        """Whether the neurons are independent: `L(s) = Σ_i l(s_i)`."""

    @property
    @abstractmethod
    def holomorphic(self) -> bool:
        """Whether `activation` takes complex states and is holomorphic around the real axis."""

    @property
    @abstractmethod
    def linear_gain(self) -> float | None:
        """The constant derivative of `activation`, or None if the neurons are not linear."""

    @property
    def nonnegative(self) -> bool:
        """Whether all activations are at least 0, whatever the state."""
        return False

    @property
    def shift_invariant(self) -> bool:
        """Whether activations stay the same where a constant is added to all states."""
        return False

    @property
    def margin(self) -> float | None:
        """One neuron has all the activation where `beta` times its lead is at least this; None if no lead is enough."""
        return None

    @abstractmethod
    def __call__(self, state: State) -> Scalar:
        """`L(s)`, summed over the layer."""

    @abstractmethod
    def activation(self, state: State) -> State:
        """`g(s) = dL/ds`."""

    def activation_change(self, state: State, activation: State, change: State) -> State:
        """`ρ(s + d) - ρ(s)` for a change `d` of the state `s`, whose activation is known.

        Where a closed form is known it has no more rounding error than the change itself. Else a small change is
        computed from the slope halfway, with an error of third order.
        """
        if (gain := self.linear_gain) is not None:
            return gain * change
        by_slope = jax.jvp(self.activation, (state + change / 2,), (change,))[1]
        small = _largest(change) < jnp.cbrt(24 * jnp.finfo(state.dtype).eps) * _largest(state)
        return jnp.where(small, by_slope, self.activation(state + change) - activation)

    @abstractmethod
    def energy(self, state: State) -> Scalar:
        """`L*(g(s)) = s·g(s) - L(s)`: the energy of the layer as a function of its state."""

    @abstractmethod
    def state_at(self, drive: State) -> State:
        """The state of the neurons at a drive: the drive itself, unless neurons are clamped or nudged."""

    def state_change(self, drive: State, change: State) -> State:
        """`state_at(drive + d) - state_at(drive)` for a change `d` of the drive: `d` unless neurons are clamped."""
        return self.state_at(drive + change) - self.state_at(drive)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises: `ValueError` where the Lagrangian has no clear meaning on a layer of this shape."""

    def clamped(self, state: State, mask: Bool[Array, "*neurons"]) -> "ClampedLagrangian":
        """The Lagrangian of the layer with the neurons in `mask` clamped at their states.

        Raises: `ValueError` where the neurons are not independent.
        """
        self.divided_by(mask, mask.ndim)
        return ClampedLagrangian(self, state, mask)

    def divided_by(self, mask: Bool[Array, "..."], dimensions: int) -> Bool[Array, ""]:
        """Whether `mask` clamps only a part of neurons that depend on one another, such as those normalised together.

        Args:
            mask: in the shape of the layer, with one more leading axis for a batch.
            dimensions: how many axes the layer has.
        Raises: `ValueError` where all neurons depend on one another, so that no mask is possible.
        """
        if not self.elementwise:
            raise ValueError(
                f"the neurons of `{type(self).__name__}` are not independent and cannot be clamped in part; clamp the "
                "whole layer."
            )
        return jnp.array(False)

    def __rmul__(self, factor: float) -> "ScaledLagrangian":
        return ScaledLagrangian(self, factor)

    def __add__(self, other: "AbstractLagrangian") -> "SumLagrangian":
        return SumLagrangian((self, other))


class AbstractElementwise(AbstractLagrangian):
    """A Lagrangian of independent neurons: `L(s) = Σ_i l(s_i)`, so `g_i` depends on `s_i` alone."""

    elementwise: ClassVar[bool] = True

    @abstractmethod
    def pointwise(self, state: State) -> State:
        """`l(s_i)` of each neuron."""

    def __call__(self, state: State) -> Scalar:
        """`L(s) = Σ_i l(s_i)`."""
        return jnp.sum(self.pointwise(state))

    def state_at(self, drive: State) -> State:
        return drive

    def state_change(self, drive: State, change: State) -> State:
        return change


class AbstractCoupled(AbstractLagrangian):
    """A Lagrangian of neurons that compete or are normalised together."""

    elementwise: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    def state_at(self, drive: State) -> State:
        return drive

    def state_change(self, drive: State, change: State) -> State:
        return change

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises: `ValueError` for more than one axis: it is then not clear which neurons belong together."""
        if len(shape) > 1:
            name, every = type(self).__name__, tuple(range(len(shape)))
            raise ValueError(
                f"`{name}` on a layer of shape {shape} does not say along which axis the neurons belong together; use "
                f"`AlongAxis({name}(...), -1)`, or `AlongAxis({name}(...), {every})` for the whole layer."
            )


class AbstractWrappedLagrangian(AbstractLagrangian):
    """A Lagrangian that is made of another one and has neurons of the same kind."""

    lagrangian: eqx.AbstractVar[AbstractLagrangian]

    @property
    def elementwise(self) -> bool:
        return self.lagrangian.elementwise

    @property
    def nonnegative(self) -> bool:
        return self.lagrangian.nonnegative

    @property
    def shift_invariant(self) -> bool:
        return self.lagrangian.shift_invariant

    @property
    def holomorphic(self) -> bool:
        return self.lagrangian.holomorphic

    @property
    def linear_gain(self) -> float | None:
        return self.lagrangian.linear_gain


class ScaledLagrangian(AbstractWrappedLagrangian):
    """`factor * lagrangian`: activations and energy are `factor` times larger, and states stay the same.

    The residuals of all layers therefore remain comparable. Raises: `ValueError` unless `factor` is positive.
    """

    lagrangian: AbstractLagrangian
    factor: float

    def __check_init__(self):
        require_lagrangian("ScaledLagrangian(lagrangian=...)", self.lagrangian)
        require_number("ScaledLagrangian.factor", self.factor, lambda x: x > 0, "positive")

    @property
    def linear_gain(self) -> float | None:
        gain = self.lagrangian.linear_gain
        return None if gain is None else self.factor * gain

    def __call__(self, state: State) -> Scalar:
        return self.factor * self.lagrangian(state)

    def activation(self, state: State) -> State:
        return self.factor * self.lagrangian.activation(state)

    def activation_change(self, state: State, activation: State, change: State) -> State:
        # Dividing `activation` by the factor would round it.
        own = self.lagrangian.activation(state)
        return self.factor * self.lagrangian.activation_change(state, own, change)

    def energy(self, state: State) -> Scalar:
        return self.factor * self.lagrangian.energy(state)

    def state_at(self, drive: State) -> State:
        return self.lagrangian.state_at(drive)

    def state_change(self, drive: State, change: State) -> State:
        return self.lagrangian.state_change(drive, change)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        self.lagrangian.check_shape(shape)


class SumLagrangian(AbstractLagrangian):
    """`L(s) = Σ_k L_k(s)`, so the activations of the `terms` are added: `Tanh() + 0.1 * Identity()`."""

    terms: tuple[AbstractLagrangian, ...]

    def __check_init__(self):
        for term in self.terms:
            require_lagrangian("SumLagrangian(terms=...)", term)

    @property
    def elementwise(self) -> bool:
        return all(term.elementwise for term in self.terms)

    @property
    def nonnegative(self) -> bool:
        return all(term.nonnegative for term in self.terms)

    @property
    def shift_invariant(self) -> bool:
        return all(term.shift_invariant for term in self.terms)

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

    def activation_change(self, state: State, activation: State, change: State) -> State:
        first, *others = (
            term.activation_change(state, term.activation(state), change) for term in self.terms
        )
        return sum(others, first)

    def energy(self, state: State) -> Scalar:
        return jnp.sum(state * self.activation(state)) - self(state)

    def state_at(self, drive: State) -> State:
        return drive

    def state_change(self, drive: State, change: State) -> State:
        return change

    def check_shape(self, shape: tuple[int, ...]) -> None:
        for term in self.terms:
            term.check_shape(shape)


class ClampedLagrangian(AbstractLagrangian):
    """The Lagrangian of a layer whose neurons in `mask` are clamped at the states `known`.

    For a clamped neuron it is the tangent `l(k) + ρ(k)(s - k)`, so the activation is `ρ(k)` whatever the state.
    Updates, solvers and gradients therefore need no special case for a partial clamp.
    """

    lagrangian: AbstractLagrangian
    known: State
    mask: Bool[Array, "*neurons"]
    holomorphic: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    @property
    def elementwise(self) -> bool:
        return self.lagrangian.elementwise

    @property
    def nonnegative(self) -> bool:
        return self.lagrangian.nonnegative

    def __call__(self, state: State) -> Scalar:
        slope = self.lagrangian.activation(self.known) * (state - self.known)
        return self.lagrangian(self.state_at(state)) + jnp.sum(jnp.where(self.mask, slope, 0))

    def activation(self, state: State) -> State:
        return self.lagrangian.activation(self.state_at(state))

    def activation_change(self, state: State, activation: State, change: State) -> State:
        change = self.state_change(state, change)
        return self.lagrangian.activation_change(self.state_at(state), activation, change)

    def energy(self, state: State) -> Scalar:
        return self.lagrangian.energy(self.state_at(state))

    def state_at(self, drive: State) -> State:
        """`drive`, with the known states of the clamped neurons."""
        return jnp.where(self.mask, self.known, drive)

    def state_change(self, drive: State, change: State) -> State:
        return jnp.where(self.mask, 0, change)


def _largest(state: State) -> Scalar:
    return jnp.max(jnp.abs(state))


def like(parameter: ArrayLike, state: State) -> Array:
    """The parameter in the dtype of the state, so that a float64 array never promotes a float32 network."""
    return jnp.asarray(parameter, jnp.result_type(state, float))


def require_positive(label: str, value: Any) -> None:
    """Raises: `ValueError` unless `value` is a positive finite scalar; traced values pass."""
    require_number(
        label, value, lambda x: 0 < x < math.inf, f"one positive, finite number{_batch_hint(label)}"
    )


def require_finite(label: str, value: Any) -> None:
    """Raises: `ValueError` unless `value` is a finite scalar; traced values pass."""
    require_number(label, value, math.isfinite, f"one finite number{_batch_hint(label)}")


def _batch_hint(label: str) -> str:
    owner, _, name = label.rpartition(".")
    return f"; for a batch use `equinox.filter_vmap(lambda {name}: {owner}({name}={name}))(values)`"


def require_lagrangian(label: str, value: Any) -> None:
    """Raises: `ValueError` unless `value` is a Lagrangian, rather than its class, its name or a function."""
    if not isinstance(value, AbstractLagrangian):
        shown = getattr(value, "__name__", repr(value))
        raise ValueError(f"`{label}` must be a Lagrangian, such as `Tanh()` or `ReLU()`, got {shown}.")
