"""Checks of arguments that many functions share: integers, random keys, weights, patterns."""

import math
import numbers
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer of Python or NumPy; True and False are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def require_key(owner: str, key: Any) -> None:
    """Raises: `ValueError` unless `key` is one JAX random key, typed or raw; traced keys pass."""
    typed = eqx.is_array(key) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()
    raw = eqx.is_array(key) and key.dtype == jnp.uint32 and key.ndim == 1
    if not (typed or raw):
        actual = f"an array of {key.dtype} of shape {key.shape}" if eqx.is_array(key) else repr(key)
        raise ValueError(
            f"`{owner}(key=...)` must be one random key, such as `jax.random.key(0)`; got {actual}."
        )


def in_native_order(label: str, value: Any) -> Any:
    """`value`, in the byte order of this machine if it is an array of NumPy.

    Raises: `ValueError` for a tensor of another library, which is an object whose dtype is not a NumPy dtype.
    """
    if isinstance(value, np.ndarray):
        return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
    dtype = getattr(value, "dtype", None)
    if (
        dtype is not None
        and not isinstance(value, jax.Array | Tracer | type)
        and not isinstance(dtype, np.dtype)
    ):
        raise foreign(label, value)
    return value


def foreign(label: str, value: Any) -> ValueError:
    """The error for an object of another library where an array is expected."""
    kind = type(value)
    return ValueError(
        f"`{label}` is a `{kind.__module__}.{kind.__qualname__}`; give a NumPy or JAX array, such as "
        f"`np.asarray({label})`."
    )


def as_floating(what: str, value: Any) -> jax.Array:
    """`value` as a JAX array. Raises: `ValueError` unless it is an array of real floating-point numbers."""
    value = in_native_order(what, value)
    if not isinstance(value, jax.Array | np.ndarray):
        raise ValueError(f"the {what} must be an array, got {type(value).__name__} {value!r:.60}.")
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            f"the {what} must be real floating-point numbers, got {value.dtype}; convert it to float32."
        )
    return jnp.asarray(value)


def require_kind(label: str, value: Any, kind: Any, example: str) -> None:
    """Raises: `ValueError` unless `value` is an instance of `kind` (and not the class or its name).

    `kind` may be a union, such as `AbstractGradient | None`.
    """
    if not isinstance(value, kind):
        text = value.__name__ if isinstance(value, type) else f"{value!r:.80}"
        raise ValueError(f"{_argument(label, text)} is not allowed; pass an object, such as `{example}`.")


def require_number(label: str, value: Any, fine: Callable[[float], bool], rule: str) -> None:
    """Raises: `ValueError` unless `value` is one real number for which `fine` holds; traced values pass."""
    if isinstance(value, Tracer):
        return
    scalar = isinstance(value, int | float | np.number | np.ndarray | jax.Array) and np.shape(value) == ()
    if not scalar or np.iscomplexobj(value) or not fine(as_float(value)):
        raise ValueError(f"{_argument(label, repr(value))} must be {rule}.")


def as_float(value: Any) -> float:
    """`value` as a `float`; an integer too large for one becomes infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def require_integer(label: str, value: Any, least: int) -> None:
    """Raises: `ValueError` unless `value` is an integer of at least `least`; traced values pass."""
    if isinstance(value, Tracer):
        return
    array = isinstance(value, np.ndarray | jax.Array) and value.shape == ()
    fits = is_integer(value) or (array and np.issubdtype(value.dtype, np.integer))
    if not fits or value < least:
        raise ValueError(f"{_argument(label, repr(value))} must be a whole number, at least {least}.")


def require_seed(label: str, value: Any) -> None:
    """Raises: `ValueError` unless `value` is an integer that seeds a random key."""
    if not is_integer(value) or not 0 <= value < 2**32:
        raise ValueError(f"{_argument(label, repr(value))} must be a whole number in [0, 2^32).")


def as_integer(label: str, value: Any, least: int) -> int:
    """`value` as an `int`. Raises: `ValueError` as `require_integer`."""
    require_integer(label, value, least)
    return int(value)


def _argument(label: str, text: str) -> str:
    """An argument and its value, in backticks: `Owner(name=value)` for the label "Owner.name"."""
    owner, _, name = label.rpartition(".")
    return f"`{owner}({name}={text})`" if owner else f"`{name}={text}`"


def as_real_array(label: str, value: Any) -> jax.Array:
    """`value` as a JAX array. Raises: `ValueError` unless it holds real numbers or booleans."""
    value = in_native_order(label, value)
    dtype = getattr(value, "dtype", None)
    unsupported = dtype is not None and not (
        jnp.issubdtype(dtype, np.number) or jnp.issubdtype(dtype, np.bool_)
    )
    try:
        # For a JAX array this takes a third of the time of `jnp.asarray`, which returns it as it is.
        array = None if unsupported else value if isinstance(value, jax.Array) else jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{label}` must be an array of real numbers: {error}.") from error
    if array is None or jnp.iscomplexobj(array):
        actual = dtype if array is None else array.dtype
        raise ValueError(f"`{label}` must be real numbers, got {actual}; take the real part.")
    return array


def require_matrix(label: str, values: Any) -> None:
    """Raises: `ValueError` unless `values` is a non-empty matrix of real numbers; they may be infinite or NaN."""
    dtype = getattr(values, "dtype", None)
    if dtype is None:
        dtype = as_real_array(label, values).dtype
    if not (jnp.issubdtype(dtype, np.number) or jnp.issubdtype(dtype, np.bool_)) or dtype.kind == "c":
        raise ValueError(f"`{label}` must be real numbers, got {dtype}; convert them, or take the real part.")
    shape = np.shape(values)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(
            f"`{label}` has shape {shape}; give a matrix with at least one row: `x.reshape(len(x), -1)` flattens "
            "images, `x[None, :]` is a single row."
        )


def require(holds: Any, message: str) -> None:
    """Raises `ValueError(message)` unless `holds`."""
    if not holds:
        raise ValueError(message)


def check_positive(name: str, value: Any) -> None:
    """Raises `ValueError` unless every entry of `value` is positive and finite; traced values pass."""
    if isinstance(value, Tracer):
        return
    entries = np.asarray(value, float)
    holds = np.all(np.isfinite(entries) & (entries > 0))
    require(holds, f"`{name}` must be positive and finite, got {value}.")


def check_patterns(patterns: Any) -> None:
    """Raises `ValueError` unless `patterns` has at least two rows, all finite; traced values pass."""
    rows = getattr(patterns, "shape", ())
    if len(rows) == 2 and rows[0] < 2:
        raise ValueError(f"`patterns` must hold two rows or more (one pattern per row), got {rows[0]}.")
    require_matrix("patterns", patterns)
    if isinstance(patterns, Tracer):
        return
    table = np.asarray(patterns)
    # In blocks, since the table may be memory-mapped and larger than memory.
    blocks = (table[start : start + 65_536] for start in range(0, len(table), 65_536))
    bad = np.flatnonzero(np.concatenate([~np.isfinite(block).all(axis=1) for block in blocks]))
    require(bad.size == 0, f"`patterns` must be finite; rows {bad[:5].tolist()} hold NaN or infinity.")
