"""Early refusal of bad arguments, shared by the phase modules."""

import operator
from typing import Any

import jax.core
import numpy as np

from hopfax._checks import require_rows


def require(holds: Any, message: str) -> None:
    """Raises `ValueError(message)` unless `holds`."""
    if not holds:
        raise ValueError(message)


def check_count(name: str, value: Any, minimum: int) -> int:
    """`value` as an `int`; raises `ValueError` when it is no whole number or below `minimum`."""
    try:
        count = operator.index(value)
    except TypeError:
        raise ValueError(f"`{name}` must be a whole number, got {value!r}.") from None
    require(count >= minimum, f"`{name}` must be at least {minimum}, got {count}.")
    return count


def check_positive(name: str, value: Any) -> None:
    """Raises `ValueError` unless every entry of `value` is positive and finite; traced values pass."""
    if isinstance(value, jax.core.Tracer):
        return
    entries = np.asarray(value, float)
    holds = np.all(np.isfinite(entries) & (entries > 0))
    require(holds, f"`{name}` must be positive and finite, got {value}.")


def check_cosine(name: str, value: Any) -> None:
    """Raises `ValueError` unless `-1 <= value < 1`: patterns at cosine 1 are one and the same pattern."""
    require(-1 <= value < 1, f"`{name}` must be at least -1 and below 1 (distinct patterns), got {value}.")


def check_patterns(patterns: Any) -> None:
    """Raises `ValueError` unless `patterns` holds two rows or more, all finite; traced values pass."""
    rows = getattr(patterns, "shape", ())
    if len(rows) == 2 and rows[0] < 2:
        raise ValueError(f"`patterns` must hold two rows or more (one pattern a row), got {rows[0]}.")
    require_rows("patterns", patterns)
    if isinstance(patterns, jax.core.Tracer):
        return
    bad = np.flatnonzero(~np.isfinite(np.asarray(patterns)).all(axis=1))
    require(bad.size == 0, f"`patterns` must be finite; rows {bad[:5].tolist()} hold NaN or infinity.")


def check_index(index: Any, count: int) -> None:
    """Raises `ValueError` unless `0 <= index < count`."""
    require(0 <= index < count, f"`index` must name one of the {count} patterns, from 0, got {index}.")


def check_betas(betas: Any) -> None:
    """Raises `ValueError` unless `betas` is a list of positive values, strictly increasing."""
    check_positive("betas", betas)
    rises = np.ndim(betas) == 1 and np.size(betas) > 0 and np.all(np.diff(np.asarray(betas, float)) > 0)
    require(rises, f"`betas` must be one-dimensional and strictly increasing, got {betas}.")
