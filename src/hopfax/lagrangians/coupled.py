"""Lagrangians of layers whose neurons compete or are normalised together."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from .base import AbstractCoupled, Scalar, State, like, require_finite, require_positive


class Softmax(AbstractCoupled):
    """Competing neurons: `L(s) = logsumexp(beta s) / beta`, `g = softmax(beta s)`.

    `L* = Σ_i g_i log g_i / beta`. All neurons of the layer compete, whatever its shape: `g` is positive and
    sums to 1 over the layer.

    Args:
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.
    Raises: `ValueError` for another `beta`.
    """

    beta: ArrayLike = 1.0

    holomorphic: ClassVar[bool] = True

    def __check_init__(self):
        require_positive("Softmax.beta", self.beta)

    def __call__(self, state: State) -> Scalar:
        beta, peak = like(self.beta, state), _peak(state)
        return peak + jax.nn.logsumexp(beta * (state - peak)) / beta

    def activation(self, state: State) -> State:
        weights = jnp.exp(like(self.beta, state) * (state - _peak(state)))
        return weights / jnp.sum(weights)

    def energy(self, state: State) -> Scalar:
        beta = like(self.beta, state)
        scaled = beta * (state - _peak(state))
        log_activation = scaled - jax.nn.logsumexp(scaled)
        return jnp.sum(jnp.exp(log_activation) * log_activation) / beta


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


def _peak(state):
    """The largest real part of the states. Its gradient may be stopped, since no value depends on it."""
    return jax.lax.stop_gradient(jnp.max(jnp.real(state)))
