"""Arguments of memories: arrays of any library or byte order, patterns in rows, masks and `beta`."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Real

from .._internal.checks import (
    as_real_array,
    foreign,
    in_native_order,
    require,
    require_integer,
    require_matrix,
    require_number,
)


def as_array(label: str, value: Any) -> Array | np.ndarray:
    """`value` as a NumPy or JAX array in native byte order.

    Raises: `ValueError` for tensors and tables of other libraries, and for what holds no real numbers.
    """
    if isinstance(value, np.ndarray | jax.Array):
        return in_native_order(label, value)
    if isinstance(value, list | tuple | bool | int | float | complex | np.generic):
        return as_real_array(label, value)
    raise foreign(label, value)


def to_floating(values: Real[Array | np.ndarray, "..."]) -> Float[Array, "..."]:
    """`values` as a JAX array of floating point; integers and booleans in the default precision."""
    array = jnp.asarray(values)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.result_type(float))


def as_rows(
    label: str, values: Any, mask: Bool[Array | np.ndarray, " rows"] | None = None
) -> Float[Array, "rows columns"]:
    """`values` as a matrix of floating point, zero in the rows where `mask` is false.

    Raises: `ValueError` for other shapes, numbers that are not real, and rows that are not finite where `mask` is
    true.
    """
    array = as_array(label, values)
    require_matrix(label, array)
    if not isinstance(array, Tracer) and not isinstance(mask, Tracer):
        bad = ~np.isfinite(np.asarray(array)).all(axis=1)
        bad = np.flatnonzero(bad if mask is None else bad & np.asarray(mask))
        require(
            bad.size == 0,
            f"`{label}` must be finite; rows {bad[:5].tolist()} hold NaN or infinity. Leave them out.",
        )
    rows = to_floating(array)
    return rows if mask is None else jnp.where(jnp.asarray(mask)[:, None], rows, 0)


def as_values(
    values: Any, count: int, mask: Bool[Array | np.ndarray, " rows"] | None = None
) -> Float[Array, "values outputs"]:
    """`values` as by `as_rows`. Raises: `ValueError` unless there is one finite row for each of `count` patterns."""
    array = as_array("values", values)
    require_matrix("values", array)
    rows = len(array)
    require(rows == count, f"`values` has {rows} rows for {count} patterns; give one for each.")
    return as_rows("values", array, mask)


def check_row_mask(label: str, mask: Any, count: int) -> Bool[Array, " rows"]:
    """`mask` as an array. Raises: `ValueError` unless it is boolean, one for each row, and true for one or more."""
    array = as_array(label, mask)
    require(
        array.shape == (count,),
        f"`{label}` has shape {array.shape}; it must be ({count},), one value for each pattern.",
    )
    _require_boolean(label, array, "the patterns to keep")
    require(
        isinstance(array, Tracer) or bool(np.any(np.asarray(array))),
        f"`{label}` is false everywhere; keep one pattern or more.",
    )
    return jnp.asarray(array)


def check_association_mask(mask: Any, shape: tuple[int, int]) -> Bool[Array, "queries patterns"]:
    """`mask` as an array. Raises: `ValueError` unless it is boolean and of this shape, (queries, patterns)."""
    array = as_array("association_mask", mask)
    require(
        array.shape == shape,
        f"`association_mask` has shape {array.shape}; it must be {shape}, (queries, patterns).",
    )
    _require_boolean("association_mask", array, "the pairs to keep")
    return jnp.asarray(array)


def check_known(queries: Array | np.ndarray, known: Any) -> Array | np.ndarray:
    """`known` in the shape of `queries`. Raises: `ValueError` for another shape, or values other than booleans."""
    array, shape = as_array("known", known), np.shape(queries)
    require(
        array.shape in (shape, shape[-1:]),
        f"`known` has shape {array.shape}; it must be {shape} or {shape[-1:]}.",
    )
    _require_boolean("known", array, "the elements to keep")
    return jnp.broadcast_to(array, shape)


def check_beta(beta: Any) -> None:
    """Raises: `ValueError` unless `beta` is one positive, finite number; traced numbers pass."""
    require_number("beta", beta, lambda x: 0 < x < math.inf, "one number, positive and finite")


def check_width(label: str, rows: Float[Array, "rows columns"], width: int) -> None:
    """Raises: `ValueError` unless `rows` has `width` columns."""
    require(rows.shape[1] == width, f"`{label}` has {rows.shape[1]} elements in a row; give {width}.")


def check_limits(tolerance: Any, max_steps: Any, *, least: int = 0) -> None:
    """Raises: `ValueError` for a negative tolerance, or `max_steps` that is no whole number, at least `least`."""
    require_number("tolerance", tolerance, lambda x: x >= 0, "a number, 0 or more")
    require_integer("max_steps", max_steps, least)


def _require_boolean(label: str, mask: Array | np.ndarray, meaning: str) -> None:
    require(
        mask.dtype == np.bool_,
        f"`{label}` must be bool, true for {meaning}, got {mask.dtype}; compare, as in `{label} > 0`.",
    )
