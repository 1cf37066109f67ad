"""What a Lagrangian is, and the checks that all of them share."""

import math
from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Inexact

from .._checks import as_float

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


def like(parameter, state):
    """The parameter in the dtype of the state, so that a float64 array never promotes a float32 network."""
    return jnp.asarray(parameter, jnp.result_type(state, float))


def require_positive(owner, name, value):
    """Raises: `ValueError` unless `value` is a positive finite scalar, or not known yet."""
    require_finite(owner, name, value)
    if not isinstance(value, Tracer) and not value > 0:
        raise ValueError(f"`{owner}({name}=...)` must be positive, got {value}. Pass a number above zero.")


def require_lagrangian(owner, value):
    """Raises: `ValueError` unless `value` is a Lagrangian: not its class, its name or a function."""
    if not isinstance(value, AbstractLagrangian):
        shown = getattr(value, "__name__", repr(value))
        raise ValueError(f"`{owner}` must be a Lagrangian, such as `Tanh()` or `ReLU()`, got {shown}.")


def require_finite(owner, name, value):
    """Raises: `ValueError` unless `value` is a finite scalar, or not known yet."""
    if not isinstance(value, int | float | np.number | np.ndarray | Array) or jnp.iscomplexobj(value):
        raise ValueError(f"`{owner}({name}={value!r})` must be a real number. Pass a finite number.")
    if jnp.shape(value) != ():
        raise ValueError(
            f"`{owner}({name}=...)` must be a scalar, got shape {jnp.shape(value)}. "
            f"Build a batch of them with `equinox.filter_vmap({owner})(values)`."
        )
    if not isinstance(value, Tracer) and not math.isfinite(as_float(value)):
        raise ValueError(f"`{owner}({name}=...)` must be finite, got {value}. Pass a finite number.")
