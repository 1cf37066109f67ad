"""Parameters of Lagrangians: their dtype and their checks."""

import math

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from .._internal.checks import as_float


def like(parameter, state):
    """The parameter in the dtype of the state, so that a float64 array never promotes a float32 network."""
    return jnp.asarray(parameter, jnp.result_type(state, float))


def require_positive(owner, name, value):
    """Raises: `ValueError` unless `value` is a positive finite scalar; traced values pass."""
    require_finite(owner, name, value)
    if not isinstance(value, Tracer) and not value > 0:
        raise ValueError(f"`{owner}({name}=...)` must be positive, got {value}. Pass a number above zero.")


def require_finite(owner, name, value):
    """Raises: `ValueError` unless `value` is a finite scalar; traced values pass."""
    if not isinstance(value, int | float | np.number | np.ndarray | Array) or jnp.iscomplexobj(value):
        raise ValueError(f"`{owner}({name}={value!r})` must be a real number. Pass a finite number.")
    if jnp.shape(value) != ():
        raise ValueError(
            f"`{owner}({name}=...)` must be a scalar, got shape {jnp.shape(value)}. "
            f"Build a batch of them with `equinox.filter_vmap({owner})(values)`."
        )
    if not isinstance(value, Tracer) and not math.isfinite(as_float(value)):
        raise ValueError(f"`{owner}({name}=...)` must be finite, got {value}. Pass a finite number.")
