"""Lagrangians of independent neurons."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Inexact

from .base import AbstractElementwise, Scalar, State, like, require_finite, require_positive

CHUNK = 64  # neurons that share one logarithm


class Identity(AbstractElementwise):
    """Linear neurons: `l(s) = s² / 2`, `g = s`, `l* = g² / 2`."""

    holomorphic: ClassVar[bool] = True
    linear_gain: ClassVar[float | None] = 1.0

    def pointwise(self, state: State) -> State:
        return 0.5 * jnp.square(state)

    def activation(self, state: State) -> State:
        return state

    def energy(self, state: State) -> Scalar:
        return jnp.sum(0.5 * jnp.square(state))


class Linear(AbstractElementwise):
    """Linear neurons of stiffness `1 / gain`: `l(s) = gain s² / 2`, `g = gain s`, `l* = g² / (2 gain)`.

    Through weights `w`, such a neuron feeds back on others by `gain |w|²` times their slope, which must stay below 1.
    With a small gain, `w` can be large enough to use the curvature of their activation.

    Args:
        gain: positive.
    Raises: `ValueError` for another `gain`.
    """

    gain: float = 1.0
    holomorphic: ClassVar[bool] = True

    def __check_init__(self):
        require_positive("Linear.gain", self.gain)

    def pointwise(self, state: State) -> State:
        return 0.5 * self.gain * jnp.square(state)

    def activation(self, state: State) -> State:
        return self.gain * state

    def energy(self, state: State) -> Scalar:
        return jnp.sum(self.pointwise(state))

    @property
    def linear_gain(self) -> float | None:
        return self.gain


class StandardisedInput(AbstractElementwise):
    """Linear neurons of standardised activation: `l(s) = (s - mean)² / (2 std)`, `g = (s - mean) / std`.

    `l* = std g² / 2 + mean g`. For an input that is clamped at raw pixels: the other layers see standardised ones,
    wherever the network is used. `hopfax.training.recipes.standardised` takes mean and deviation from training images.

    Args:
        mean, std: one number, or one for each channel, the last axis of the layer; `std` is positive. They are fixed.
    Raises: `ValueError` for other values, and on a layer of another number of channels.
    """

    mean: float | tuple[float, ...] = eqx.field(static=True, default=0.0)
    std: float | tuple[float, ...] = eqx.field(static=True, default=1.0)
    holomorphic: ClassVar[bool] = True
    linear_gain: ClassVar[float | None] = None  # the gain differs from channel to channel

    def __check_init__(self):
        for mean in _entries(self.mean):
            require_finite("StandardisedInput.mean", mean)
        for std in _entries(self.std):
            require_positive("StandardisedInput.std", std)

    def pointwise(self, state: State) -> State:
        mean, std = _by_channel(self.mean, state), _by_channel(self.std, state)
        return jnp.square(state - mean) / (2 * std)

    def activation(self, state: State) -> State:
        return (state - _by_channel(self.mean, state)) / _by_channel(self.std, state)

    def activation_change(self, state: State, activation: State, change: State) -> State:
        return change / _by_channel(self.std, state)

    def energy(self, state: State) -> Scalar:
        mean, std = _by_channel(self.mean, state), _by_channel(self.std, state)
        return jnp.sum((jnp.square(state) - jnp.square(mean)) / (2 * std))

    def check_shape(self, shape: tuple[int, ...]) -> None:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if isinstance(values, tuple) and len(values) != shape[-1]:
                raise ValueError(
                    f"`StandardisedInput({name}={values})` has {len(values)} channels, and the layer of shape {shape} "
                    f"has {shape[-1]}; give one number for each, or one for all."
                )


class Sigmoid(AbstractElementwise):
    """Logistic neurons: `l(s) = softplus(u) / slope`, `g = sigmoid(u)`, with `u = slope (s - centre)`.

    `l* = centre g - H(g) / slope`, where `H` is the binary entropy in nats. `g` lies in (0, 1).

    Args:
        slope: positive scalar; a float is fixed, an array is trained.
        centre: scalar, the state at which `g = 1/2`; a float is fixed, an array is trained.
    Raises: `ValueError` for other values.
    """

    slope: ArrayLike = 1.0
    centre: ArrayLike = 0.0

    nonnegative: ClassVar[bool] = True
    holomorphic: ClassVar[bool] = True
    linear_gain: ClassVar[float | None] = None

    @classmethod
    def paper(cls) -> "Sigmoid":
        """`g = sigmoid(4 s - 2)`, `l = softplus(4 s - 2) / 4`: the papers' neurons. Source: [goemaere2024]."""
        return cls(slope=4.0, centre=0.5)

    def __check_init__(self):
        require_positive("Sigmoid.slope", self.slope)
        require_finite("Sigmoid.centre", self.centre)

    def __call__(self, state: State) -> Scalar:
        """`Σ l(s_i)` at a fifth of the cost of `pointwise`, with an absolute error of one eps for each neuron."""
        if jnp.iscomplexobj(state):
            return jnp.sum(self.pointwise(state))
        slope, offset = like(self.slope, state), state - like(self.centre, state)
        return jnp.sum(jnp.maximum(offset, 0)) + _sum_of_softplus_tails(slope * offset) / slope

    def pointwise(self, state: State) -> State:
        offset = state - like(self.centre, state)
        return _soft_maximum(offset, jnp.zeros_like(offset), like(self.slope, state))

    def activation(self, state: State) -> State:
        return jax.nn.sigmoid(like(self.slope, state) * (state - like(self.centre, state)))

    def activation_change(self, state: State, activation: State, change: State) -> State:
        t = jnp.tanh(0.5 * like(self.slope, state) * change)
        near = 2 * activation * (1 - activation) * t / (1 + (2 * activation - 1) * t)
        return jnp.where(jnp.abs(t) < 0.5, near, self.activation(state + change) - activation)

    def energy(self, state: State) -> Scalar:
        slope, centre = like(self.slope, state), like(self.centre, state)
        entropy = _binary_entropy(slope * (state - centre))
        return jnp.sum(centre * self.activation(state) - entropy / slope)


class Tanh(AbstractElementwise):
    """Bipolar neurons: `l(s) = log cosh(slope s) / slope`, `g = tanh(slope s)`.

    `l* = (log 2 - H((1 + g) / 2)) / slope`, where `H` is the binary entropy in nats. `g` lies in (-1, 1).

    Args:
        slope: positive scalar; a float is fixed, an array is trained.
    Raises: `ValueError` for another `slope`.
    """

    slope: ArrayLike = 1.0

    holomorphic: ClassVar[bool] = True
    linear_gain: ClassVar[float | None] = None

    def __check_init__(self):
        require_positive("Tanh.slope", self.slope)

    def pointwise(self, state: State) -> State:
        slope = like(self.slope, state)
        return _soft_maximum(state, -state, slope) - math.log(2.0) / slope

    def activation(self, state: State) -> State:
        return jnp.tanh(like(self.slope, state) * state)

    def activation_change(self, state: State, activation: State, change: State) -> State:
        t = jnp.tanh(like(self.slope, state) * change)
        near = (1 - jnp.square(activation)) * t / (1 + activation * t)
        return jnp.where(jnp.abs(t) < 0.5, near, self.activation(state + change) - activation)

    def energy(self, state: State) -> Scalar:
        slope = like(self.slope, state)
        return jnp.sum((math.log(2.0) - _binary_entropy(2.0 * slope * state)) / slope)


class ReLU(AbstractElementwise):
    """Rectified neurons: `l(s) = max(s, 0)² / 2`, `g = max(s, 0)`, `l* = g² / 2`."""

    nonnegative: ClassVar[bool] = True
    holomorphic: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    def pointwise(self, state: State) -> State:
        return 0.5 * jnp.square(jax.nn.relu(state))

    def activation(self, state: State) -> State:
        return jax.nn.relu(state)

    def activation_change(self, state: State, activation: State, change: State) -> State:
        return jnp.maximum(change + (state - activation), -activation)

    def energy(self, state: State) -> Scalar:
        return jnp.sum(0.5 * jnp.square(jax.nn.relu(state)))


class HardSigmoid(AbstractElementwise):
    """Clipped neurons: `l(s) = g (s - g / 2)`, `g = clip(s, 0, 1)`, `l* = g² / 2`."""

    nonnegative: ClassVar[bool] = True
    holomorphic: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    def pointwise(self, state: State) -> State:
        activation = jnp.clip(state, 0.0, 1.0)
        return activation * (state - 0.5 * activation)

    def activation(self, state: State) -> State:
        return jnp.clip(state, 0.0, 1.0)

    def activation_change(self, state: State, activation: State, change: State) -> State:
        return jnp.clip(change + (state - activation), -activation, 1.0 - activation)

    def energy(self, state: State) -> Scalar:
        return jnp.sum(0.5 * jnp.square(jnp.clip(state, 0.0, 1.0)))


def _entries(values: float | tuple[float, ...]) -> tuple[float, ...]:
    return values if isinstance(values, tuple) else (values,)


def _by_channel(values: float | tuple[float, ...], state: State) -> Inexact[Array, "..."]:
    """The values in the dtype of the state, along its last axis."""
    entries = like(np.asarray(_entries(values)), state)
    return entries.reshape((1,) * (state.ndim - 1) + (-1,))


def _soft_maximum(a, b, slope):
    """`log(exp(slope a) + exp(slope b)) / slope`, elementwise.

    The value does not depend on `peak`, so its gradient may be stopped. It is subtracted *before* scaling by `slope`,
    so that the gradient in `slope` is not a small difference of two large numbers.
    """
    peak = jax.lax.stop_gradient(jnp.maximum(a, b))
    return peak + jnp.logaddexp(slope * (a - peak), slope * (b - peak)) / slope


@jax.custom_jvp
def _sum_of_softplus_tails(u):
    """`Σ log(1 + exp(-|u|))`, the difference of softplus and `max(u, 0)`: `-log Π max(g, 1 - g)` with `g = sigmoid(u)`.

    Many neurons share one logarithm: their factors are at least 1/2, so products of `CHUNK` do not underflow.
    """
    g = jax.nn.sigmoid(u.reshape(-1))
    factors = jnp.pad(jnp.maximum(g, 1 - g), (0, -g.size % CHUNK), constant_values=1)
    return -jnp.sum(jnp.log(jnp.prod(factors.reshape(-1, CHUNK), axis=1)))


@_sum_of_softplus_tails.defjvp
def _sum_of_softplus_tails_jvp(primals, tangents):
    (u,), (du,) = primals, tangents
    slope = jax.nn.sigmoid(u) - jnp.heaviside(u, jnp.asarray(0.5, u.dtype))
    return _sum_of_softplus_tails(u), jnp.sum(slope * du)


def _binary_entropy(u):
    """The entropy in nats of a binary variable of log-odds `u`: a sum of positive terms, smooth at `u = 0`."""
    log_p, log_q = jax.nn.log_sigmoid(u), jax.nn.log_sigmoid(-u)
    return -(jnp.exp(log_p) * log_p + jnp.exp(log_q) * log_q)
