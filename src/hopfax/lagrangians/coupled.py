"""Lagrangians of layers whose neurons compete or are normalised together."""

import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Inexact

from .._internal.checks import is_integer
from .base import (
    AbstractCoupled,
    AbstractLagrangian,
    AbstractWrappedLagrangian,
    Scalar,
    State,
    like,
    require_finite,
    require_lagrangian,
    require_positive,
)


class Softmax(AbstractCoupled):
    """Competing neurons: `L(s) = logsumexp(beta s) / beta`, `g = softmax(beta s)`.

    `L* = Σ_i g_i log g_i / beta`. `g` is positive and sums to 1 over the layer, which has one axis; for others see
    `AlongAxis`.

    Args:
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for another `beta`.
    """

    beta: ArrayLike = 1.0

    nonnegative: ClassVar[bool] = True
    holomorphic: ClassVar[bool] = True
    shift_invariant: ClassVar[bool] = True

    def __check_init__(self):
        require_positive("Softmax.beta", self.beta)

    def __call__(self, state: State) -> Scalar:
        beta, peak = like(self.beta, state), _peak(state)
        return peak + jax.nn.logsumexp(beta * (state - peak)) / beta

    def activation(self, state: State) -> State:
        weights = jnp.exp(like(self.beta, state) * (state - _peak(state)))
        return weights / jnp.sum(weights)

    def activation_change(self, state: State, activation: State, change: State) -> State:
        scaled = like(self.beta, state) * change
        growth = jnp.expm1(scaled)
        mean = jnp.sum(activation * growth)
        near = activation * (growth - mean) / (1 + mean)
        small = jnp.max(jnp.abs(scaled)) < 1
        return jnp.where(small, near, self.activation(state + change) - activation)

    def energy(self, state: State) -> Scalar:
        beta = like(self.beta, state)
        scaled = beta * (state - _peak(state))
        log_activation = scaled - jax.nn.logsumexp(scaled)
        return jnp.sum(jnp.exp(log_activation) * log_activation) / beta


class MixtureOfFactors(AbstractCoupled):
    """Competing groups of linear neurons, the hidden layer of a mixture of Gaussians.

    The layer has the shape (groups, 1 + factors). With the `score` of a group, where the sum is over its factors,

        L(s) = log Σ_k exp(beta score_k) / beta,   score_k = gain s_k0 + gain²/2 Σ_j s_kj²,
        g_k0 = gain p_k,   g_kj = gain² p_k s_kj,   p = softmax(beta score),

    so `p_k` is the probability of a group and `p_k s_kj` the mean of a factor, if the states come from Gaussians of
    low rank (`hopfax.networks.gaussian_mixture`). `L* = gain²/2 Σ_k p_k Σ_j s_kj² + Σ_k p_k log p_k / beta`. With one
    group the neurons are linear, and without factors they are `Softmax`.

    Args:
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
        gain: positive scalar by which all states are multiplied; a float is fixed, an array is trained.
    Raises: `ValueError` for other values.
    Source: the expected factors of [ghahramani1996] and [tipping1999]; the Lagrangian is derived in this project.
    """

    beta: ArrayLike = 1.0
    gain: ArrayLike = 1.0

    holomorphic: ClassVar[bool] = True

    def __check_init__(self):
        require_positive("MixtureOfFactors.beta", self.beta)
        require_positive("MixtureOfFactors.gain", self.gain)

    def __call__(self, state: State) -> Scalar:
        return Softmax(self.beta)(self._scores(state))

    def activation(self, state: State) -> State:
        gain = like(self.gain, state)
        probabilities = Softmax(self.beta).activation(self._scores(state))[:, None]
        factors = gain**2 * probabilities * state[:, 1:]
        return jnp.concatenate([gain * probabilities, factors], axis=1)

    def energy(self, state: State) -> Scalar:
        groups, scores = Softmax(self.beta), self._scores(state)
        return groups.activation(scores) @ self._halved_squares(state) + groups.energy(scores)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises: `ValueError` unless there are two axes: the groups, and in each the score and the factors."""
        if len(shape) != 2:
            raise ValueError(
                f"`MixtureOfFactors` on a layer of shape {shape} needs two axes, (groups, 1 + factors), such as "
                "(10, 21)."
            )

    def _scores(self, state: State) -> Inexact[Array, " groups"]:
        return like(self.gain, state) * state[:, 0] + self._halved_squares(state)

    def _halved_squares(self, state: State) -> Inexact[Array, " groups"]:
        return like(self.gain, state) ** 2 / 2 * jnp.sum(jnp.square(state[:, 1:]), axis=1)


class LayerNorm(AbstractCoupled):
    """Layer normalisation: `g = gain (s - mean(s)) / sigma + shift`, with `sigma = sqrt(var(s) + eps)`.

    `L(s) = n gain sigma + shift Σ_i s_i` for `n` neurons, and `L* = -n gain eps / sigma`.

    Args:
        gain: positive scalar; a float is fixed, an array is trained.
        shift: scalar; a float is fixed, an array is trained.
        eps: positive scalar, keeps `sigma` away from zero.
    Raises: `ValueError` for other values.
    Source: Hoover et al. (2023), "Energy Transformer", arXiv:2302.07253, with one gain and one shift for all neurons.
    """

    gain: ArrayLike = 1.0
    shift: ArrayLike = 0.0
    eps: ArrayLike = 1e-5

    holomorphic: ClassVar[bool] = True
    shift_invariant: ClassVar[bool] = True

    def __check_init__(self):
        require_positive("LayerNorm.gain", self.gain)
        require_finite("LayerNorm.shift", self.shift)
        require_positive("LayerNorm.eps", self.eps)

    def __call__(self, state: State) -> Scalar:
        _, sigma = self._standardise(state)
        return state.size * like(self.gain, state) * sigma + like(self.shift, state) * jnp.sum(state)

    def activation(self, state: State) -> State:
        centred, sigma = self._standardise(state)
        return like(self.gain, state) * (centred / sigma) + like(self.shift, state)

    def energy(self, state: State) -> Scalar:
        _, sigma = self._standardise(state)
        return -state.size * like(self.gain, state) * like(self.eps, state) / sigma

    def _standardise(self, state):
        # Differences first: the rounding of a large mean would count beside `eps`.
        shifted = state - jax.lax.stop_gradient(jnp.ravel(state)[0])
        centred = shifted - jnp.mean(shifted)
        # Not `jnp.var`: of complex states it takes squared magnitudes, so it is not holomorphic.
        return centred, jnp.sqrt(jnp.mean(jnp.square(centred)) + like(self.eps, state))


class SphericalNorm(AbstractCoupled):
    """Activations on the unit sphere: `L(s) = sqrt(|s|² + eps)`, `g = s / L(s)`, `L* = -eps / L(s)`.

    Args:
        eps: positive scalar, keeps the norm away from zero.
    Raises: `ValueError` for another `eps`.
    """

    eps: ArrayLike = 1e-5

    holomorphic: ClassVar[bool] = True

    def __check_init__(self):
        require_positive("SphericalNorm.eps", self.eps)

    def __call__(self, state: State) -> Scalar:
        return jnp.sqrt(jnp.sum(jnp.square(state)) + like(self.eps, state))

    def activation(self, state: State) -> State:
        return state / self(state)

    def energy(self, state: State) -> Scalar:
        return -like(self.eps, state) / self(state)


class AlongAxis(AbstractWrappedLagrangian):
    """A Lagrangian along some axes of a layer, by itself at each index of the other axes: `L(s) = Σ_i L_1(s[i])`.

    `AlongAxis(Softmax(), -1)` on a layer of shape (queries, keys) is a softmax over the keys of each query;
    `AlongAxis(LayerNorm(), -1)` on (tokens, features) normalises each token.

    Args:
        lagrangian: of the neurons that belong together, which it gets as a vector.
        axis: one axis of the layer or several; negative ones count from the last.
    Raises: `ValueError` for an object of another kind, or an axis that is no whole number or named twice.
    """

    lagrangian: AbstractLagrangian
    axis: int | tuple[int, ...] = eqx.field(static=True, default=-1)

    def __check_init__(self):
        require_lagrangian("AlongAxis(lagrangian=...)", self.lagrangian)
        if not self._axes or not all(map(is_integer, self._axes)) or len(set(self._axes)) < len(self._axes):
            raise ValueError(
                f"`AlongAxis.axis` must be a whole number or several, got {self.axis!r}; try -1."
            )

    def __call__(self, state: State) -> Scalar:
        return jnp.sum(jax.vmap(self.lagrangian)(self._rows(state)))

    def activation(self, state: State) -> State:
        return self._map(self.lagrangian.activation, state)

    def activation_change(self, state: State, activation: State, change: State) -> State:
        return self._map(self.lagrangian.activation_change, state, activation, change)

    def energy(self, state: State) -> Scalar:
        return jnp.sum(jax.vmap(self.lagrangian.energy)(self._rows(state)))

    def state_at(self, drive: State) -> State:
        return self._map(self.lagrangian.state_at, drive)

    def state_change(self, drive: State, change: State) -> State:
        return self._map(self.lagrangian.state_change, drive, change)

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises: `ValueError` where the layer does not have the axes, or where two numbers name one axis."""
        axes = {axis % len(shape) for axis in self._axes if -len(shape) <= axis < len(shape)}
        if len(axes) < len(self._axes):
            raise ValueError(
                f"`AlongAxis(axis={self.axis})` does not fit a layer of shape {shape}; its axes are 0 to "
                f"{len(shape) - 1}."
            )

    def divided_by(self, mask: Bool[Array, "..."], dimensions: int) -> Bool[Array, ""]:
        """Whether `mask` clamps some neurons of a row and not the others."""
        if self.elementwise:
            return jnp.array(False)
        axes = tuple(axis if axis < 0 else axis - dimensions for axis in self._axes)
        return jnp.any(jnp.any(mask, axis=axes) != jnp.all(mask, axis=axes))

    @property
    def _axes(self) -> tuple[int, ...]:
        return self.axis if isinstance(self.axis, tuple) else (self.axis,)

    def _last(self) -> tuple[int, ...]:
        return tuple(range(-len(self._axes), 0))

    def _rows(self, state: State) -> Inexact[Array, "others together"]:
        """The neurons that belong together as rows of a matrix."""
        moved = jnp.moveaxis(state, self._axes, self._last())
        return moved.reshape(-1, math.prod(moved.shape[-len(self._axes) :]))

    def _map(self, function: Callable[..., State], *states: State) -> State:
        """`function` of each row of the `states`, in their shape."""
        moved = jnp.moveaxis(states[0], self._axes, self._last())
        rows = jax.vmap(function)(*map(self._rows, states))
        return jnp.moveaxis(rows.reshape(moved.shape), self._last(), self._axes)


def _peak(state):
    """The largest real part of the states. Its gradient may be stopped, since no value depends on it."""
    return jax.lax.stop_gradient(jnp.max(jnp.real(state)))
