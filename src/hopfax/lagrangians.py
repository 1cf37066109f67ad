"""Lagrangians: convex scalars whose gradients are the activations of a layer.

A layer of state `s` is described by one convex function `L(s)`. Its gradient `g = dL/ds` is the activation,
and its Legendre transform `L*(g) = s . g - L(s)` is the energy the layer adds to the network.

Parameters may be given as Python floats, which stay fixed (`equinox.filter_jit` treats them as static), or
as scalar JAX arrays, which are trained: `Softmax(beta=jnp.asarray(2.0))`. A batch of Lagrangians, for
instance to sweep a temperature, is `equinox.filter_vmap(Softmax)(betas)`.

Sources: Krotov (2021), "Hierarchical associative memory", arXiv:2107.06446; Krotov and Hopfield (2021),
"Large associative memory problem in neurobiology and machine learning", arXiv:2008.06996.
"""

import math
from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Inexact

CHUNK = 64

State = Inexact[Array, "*neurons"]
Scalar = Inexact[Array, ""]


class AbstractLagrangian(eqx.Module):
    """A convex function `L` of the state of one layer, for one example of any shape; batch with `jax.vmap`.

    All three functions keep the dtype of the state. They and their gradients, in the state and in the
    parameters, are finite for states up to `1e4` in magnitude in float32.
    """

    analytic: eqx.AbstractClassVar[bool]
    """Whether `activation` takes complex states and is holomorphic around the real axis."""

    @abstractmethod
    def __call__(self, state: State) -> Scalar:
        """`L(s)`, summed over the layer."""

    @abstractmethod
    def activation(self, state: State) -> State:
        """`g(s) = dL/ds`."""

    @abstractmethod
    def conjugate(self, state: State) -> Scalar:
        """`L*(g(s)) = s . g(s) - L(s)`: the energy of the layer, as a function of its state."""


class AbstractElementwise(AbstractLagrangian):
    """A Lagrangian of independent neurons: `L(s) = sum_i l(s_i)`, so that `g_i` depends on `s_i` alone."""

    @abstractmethod
    def elements(self, state: State) -> State:
        """`l(s_i)` of each neuron."""

    def __call__(self, state: State) -> Scalar:
        """`L(s) = sum_i l(s_i)`."""
        return jnp.sum(self.elements(state))


class Identity(AbstractElementwise):
    """Linear neurons: `l(s) = s^2 / 2`, `g = s`, `l* = s^2 / 2`."""

    analytic: ClassVar[bool] = True

    def elements(self, state: State) -> State:
        return 0.5 * jnp.square(state)

    def activation(self, state: State) -> State:
        return state

    def conjugate(self, state: State) -> Scalar:
        return jnp.sum(0.5 * jnp.square(state))


class Sigmoid(AbstractElementwise):
    """Logistic neurons: `l(s) = softplus(u) / slope`, `g = sigmoid(u)`, with `u = slope (s - centre)`.

    `l* = centre g - H(g) / slope`, where `H` is the binary entropy in nats. `g` lies in (0, 1).

    Args:
        slope: positive scalar; a float is fixed, an array is trained.
        centre: scalar, the state at which `g = 1/2`; a float is fixed, an array is trained.

    Raises:
        ValueError: `slope` is not a positive finite scalar, or `centre` not a finite one.
    """

    slope: ArrayLike = 1.0
    centre: ArrayLike = 0.0

    analytic: ClassVar[bool] = True

    @classmethod
    def paper(cls) -> "Sigmoid":
        """`g = sigmoid(4 s - 2)`, `l = softplus(4 s - 2) / 4`: the neurons of "Faster Hopfield dynamics"."""
        return cls(slope=4.0, centre=0.5)

    def __check_init__(self):
        _require_positive("Sigmoid", "slope", self.slope)
        _require_finite("Sigmoid", "centre", self.centre)

    def __call__(self, state: State) -> Scalar:
        """`Σ l(s_i)` at a fifth of its cost, for solvers that watch the energy; off by an eps a neuron, absolute."""
        if jnp.iscomplexobj(state):
            return jnp.sum(self.elements(state))
        slope, offset = _like(self.slope, state), state - _like(self.centre, state)
        return jnp.sum(jnp.maximum(offset, 0)) + _sum_of_soft_corners(slope * offset) / slope

    def elements(self, state: State) -> State:
        offset = state - _like(self.centre, state)
        return _soft_maximum(offset, jnp.zeros_like(offset), _like(self.slope, state))

    def activation(self, state: State) -> State:
        return jax.nn.sigmoid(_like(self.slope, state) * (state - _like(self.centre, state)))

    def conjugate(self, state: State) -> Scalar:
        slope, centre = _like(self.slope, state), _like(self.centre, state)
        entropy = _binary_entropy(slope * (state - centre))
        return jnp.sum(centre * self.activation(state) - entropy / slope)


class Tanh(AbstractElementwise):
    """Bipolar neurons: `l(s) = log cosh(slope s) / slope`, `g = tanh(slope s)`.

    `l* = (log 2 - H((1 + g) / 2)) / slope`, where `H` is the binary entropy in nats. `g` lies in (-1, 1).

    Args:
        slope: positive scalar; a float is fixed, an array is trained.

    Raises:
        ValueError: `slope` is not a positive finite scalar.
    """

    slope: ArrayLike = 1.0

    analytic: ClassVar[bool] = True

    def __check_init__(self):
        _require_positive("Tanh", "slope", self.slope)

    def elements(self, state: State) -> State:
        slope = _like(self.slope, state)
        return _soft_maximum(state, -state, slope) - math.log(2.0) / slope

    def activation(self, state: State) -> State:
        return jnp.tanh(_like(self.slope, state) * state)

    def conjugate(self, state: State) -> Scalar:
        slope = _like(self.slope, state)
        return jnp.sum((math.log(2.0) - _binary_entropy(2.0 * slope * state)) / slope)


class ReLU(AbstractElementwise):
    """Rectified neurons: `l(s) = max(s, 0)^2 / 2`, `g = max(s, 0)`, `l* = g^2 / 2`."""

    analytic: ClassVar[bool] = False

    def elements(self, state: State) -> State:
        return 0.5 * jnp.square(jax.nn.relu(state))

    def activation(self, state: State) -> State:
        return jax.nn.relu(state)

    def conjugate(self, state: State) -> Scalar:
        return jnp.sum(0.5 * jnp.square(jax.nn.relu(state)))


class HardSigmoid(AbstractElementwise):
    """Clipped neurons: `g = clip(s, 0, 1)`, `l(s) = g (s - g / 2)`, `l* = g^2 / 2`."""

    analytic: ClassVar[bool] = False

    def elements(self, state: State) -> State:
        activation = jnp.clip(state, 0.0, 1.0)
        return activation * (state - 0.5 * activation)

    def activation(self, state: State) -> State:
        return jnp.clip(state, 0.0, 1.0)

    def conjugate(self, state: State) -> Scalar:
        return jnp.sum(0.5 * jnp.square(jnp.clip(state, 0.0, 1.0)))


class Softmax(AbstractLagrangian):
    """Competing neurons: `L(s) = logsumexp(beta s) / beta`, `g = softmax(beta s)`.

    `L* = sum_i g_i log g_i / beta`. All neurons of the layer compete, whatever its shape: `g` is positive and
    sums to 1 over the layer.

    Args:
        beta: positive scalar, the inverse temperature; a float is fixed, an array is trained.

    Raises:
        ValueError: `beta` is not a positive finite scalar.
    """

    beta: ArrayLike = 1.0

    analytic: ClassVar[bool] = True

    def __check_init__(self):
        _require_positive("Softmax", "beta", self.beta)

    def __call__(self, state: State) -> Scalar:
        beta, peak = _like(self.beta, state), _peak(state)
        return peak + jax.nn.logsumexp(beta * (state - peak)) / beta

    def activation(self, state: State) -> State:
        weights = jnp.exp(_like(self.beta, state) * (state - _peak(state)))
        return weights / jnp.sum(weights)

    def conjugate(self, state: State) -> Scalar:
        beta = _like(self.beta, state)
        scaled = beta * (state - _peak(state))
        log_activation = scaled - jax.nn.logsumexp(scaled)
        return jnp.sum(jnp.exp(log_activation) * log_activation) / beta


class LayerNorm(AbstractLagrangian):
    """Layer normalisation: `g = gain (s - mean(s)) / sigma + shift` with `sigma = sqrt(var(s) + eps)`.

    `L(s) = n gain sigma + shift sum(s)` for `n` neurons, and `L* = -n gain eps / sigma`.

    Args:
        gain: positive scalar; a float is fixed, an array is trained.
        shift: scalar; a float is fixed, an array is trained.
        eps: positive scalar, keeps `sigma` away from zero.

    Raises:
        ValueError: `gain` or `eps` is not a positive finite scalar, or `shift` not a finite one.

    Source: Hoover et al. (2023), "Energy Transformer", arXiv:2302.07253, with one gain and one shift for all
    neurons.
    """

    gain: ArrayLike = 1.0
    shift: ArrayLike = 0.0
    eps: ArrayLike = 1e-5

    analytic: ClassVar[bool] = True

    def __check_init__(self):
        _require_positive("LayerNorm", "gain", self.gain)
        _require_finite("LayerNorm", "shift", self.shift)
        _require_positive("LayerNorm", "eps", self.eps)

    def __call__(self, state: State) -> Scalar:
        _, sigma = self._standardise(state)
        return state.size * _like(self.gain, state) * sigma + _like(self.shift, state) * jnp.sum(state)

    def activation(self, state: State) -> State:
        centred, sigma = self._standardise(state)
        return _like(self.gain, state) * (centred / sigma) + _like(self.shift, state)

    def conjugate(self, state: State) -> Scalar:
        _, sigma = self._standardise(state)
        return -state.size * _like(self.gain, state) * _like(self.eps, state) / sigma

    def _standardise(self, state):
        centred = state - jnp.mean(state)
        # Not `jnp.var`, whose complex form takes squared magnitudes and so is not holomorphic.
        return centred, jnp.sqrt(jnp.mean(jnp.square(centred)) + _like(self.eps, state))


class SphericalNorm(AbstractLagrangian):
    """Activations on the unit sphere: `L(s) = sqrt(|s|^2 + eps)`, `g = s / L(s)`, `L* = -eps / L(s)`.

    Args:
        eps: positive scalar, keeps the norm away from zero.

    Raises:
        ValueError: `eps` is not a positive finite scalar.
    """

    eps: ArrayLike = 1e-5

    analytic: ClassVar[bool] = True

    def __check_init__(self):
        _require_positive("SphericalNorm", "eps", self.eps)

    def __call__(self, state: State) -> Scalar:
        return jnp.sqrt(jnp.sum(jnp.square(state)) + _like(self.eps, state))

    def activation(self, state: State) -> State:
        return state / self(state)

    def conjugate(self, state: State) -> Scalar:
        return -_like(self.eps, state) / self(state)


def _soft_maximum(a, b, slope):
    """`log(exp(slope a) + exp(slope b)) / slope`, elementwise.

    The value does not depend on `peak`, so its gradient may be stopped; taking it out *before* scaling by
    `slope` keeps the gradient in `slope` from being the small difference of two large numbers.
    """
    peak = jax.lax.stop_gradient(jnp.maximum(a, b))
    return peak + jnp.logaddexp(slope * (a - peak), slope * (b - peak)) / slope


@jax.custom_jvp
def _sum_of_soft_corners(u):
    """`Σ log(1 + exp(-|u|))`, what softplus adds to `max(u, 0)`: `-log Π max(g, 1 - g)` with `g = sigmoid(u)`.

    One logarithm for many neurons: their factors are at least 1/2, so products of `CHUNK` do not underflow.
    """
    g = jax.nn.sigmoid(u.reshape(-1))
    factors = jnp.pad(jnp.maximum(g, 1 - g), (0, -g.size % CHUNK), constant_values=1)
    return -jnp.sum(jnp.log(jnp.prod(factors.reshape(-1, CHUNK), axis=1)))


@_sum_of_soft_corners.defjvp
def _sum_of_soft_corners_jvp(primals, tangents):
    (u,), (du,) = primals, tangents
    slope = jax.nn.sigmoid(u) - jnp.heaviside(u, jnp.asarray(0.5, u.dtype))
    return _sum_of_soft_corners(u), jnp.sum(slope * du)


def _binary_entropy(u):
    """Entropy in nats of a coin with log-odds `u`: a sum of positive terms, smooth at `u = 0`."""
    log_p, log_q = jax.nn.log_sigmoid(u), jax.nn.log_sigmoid(-u)
    return -(jnp.exp(log_p) * log_p + jnp.exp(log_q) * log_q)


def _peak(state):
    """The largest (real part of the) state; constant under differentiation, as nothing depends on it."""
    return jax.lax.stop_gradient(jnp.max(jnp.real(state)))


def _like(parameter, state):
    """The parameter in the dtype of the state, so that a float64 array never promotes a float32 network."""
    return jnp.asarray(parameter, jnp.result_type(state, float))


def _require_positive(owner, name, value):
    _require_finite(owner, name, value)
    if not isinstance(value, Tracer) and not value > 0:
        raise ValueError(f"`{owner}({name}=...)` must be positive, got {value}. Pass a number above zero.")


def _require_finite(owner, name, value):
    if jnp.shape(value) != ():
        raise ValueError(
            f"`{owner}({name}=...)` must be a scalar, got shape {jnp.shape(value)}. "
            f"Build a batch of them with `equinox.filter_vmap({owner})(values)`."
        )
    if not isinstance(value, Tracer) and not math.isfinite(value):
        raise ValueError(f"`{owner}({name}=...)` must be finite, got {value}. Pass a finite number.")
