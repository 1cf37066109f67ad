"""Early refusal of bad arguments, shared by the phase modules."""

from typing import Any

import numpy as np

from hopfax._checks import check_positive, require


def check_cosine(name: str, value: Any) -> None:
    """Raises `ValueError` unless `-1 <= value < 1`: patterns at cosine 1 are one and the same pattern."""
    require(-1 <= value < 1, f"`{name}` must be at least -1 and below 1 (distinct patterns), got {value}.")


def check_index(index: Any, count: int) -> None:
    """Raises `ValueError` unless `0 <= index < count`."""
    require(0 <= index < count, f"`index` must name one of the {count} patterns, from 0, got {index}.")


def check_betas(betas: Any) -> None:
    """Raises `ValueError` unless `betas` is a list of positive values, strictly increasing."""
    check_positive("betas", betas)
    rises = np.ndim(betas) == 1 and np.size(betas) > 0 and np.all(np.diff(np.asarray(betas, float)) > 0)
    require(rises, f"`betas` must be one-dimensional and strictly increasing, got {betas}.")
