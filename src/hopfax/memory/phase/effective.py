"""Effective inverse temperature: the one number the fixed points of equidistant patterns depend on.

With `|x_i|^2 = r^2` and `x_i . x_j = r^2 cos(theta)` every fixed point is `x = X^T p` with
`p = softmax(beta_eff p)`, so dimension, norm, angle and `beta` act through `beta_eff` alone.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from ..._internal.checks import check_patterns, check_positive, require

Betas = float | Array | np.ndarray  # one inverse temperature or an array of them


def effective_beta(beta: Betas, norm: float, cosine: float) -> Betas:
    """`beta_eff = beta r^2 (1 - cos(theta))`.

    `norm` is the norm `r` of every pattern and `cosine` the cosine between any two, at least -1 and
    below 1. Raises `ValueError` outside these ranges.

    Source: derived here (papers' own formulas were not available); agrees with a third-party note on
    arXiv 2311.18434.
    """
    check_positive("beta", beta)
    return beta * _unit(norm, cosine)


def effective_beta_from_distance(beta: Betas, distance: float) -> Betas:
    """`beta_eff = beta D^2 / 2`, with `D = r sqrt(2 (1 - cos(theta)))` the distance of any two patterns.

    Raises `ValueError` unless `beta` and `distance` are positive.

    Source: derived here (papers' own formulas were not available).
    """
    check_positive("beta", beta)
    check_positive("distance", distance)
    return beta * (distance**2 / 2)


def beta_for_effective(effective: Betas, norm: float, cosine: float) -> Betas:
    """`beta = beta_eff / (r^2 (1 - cos(theta)))`, the inverse of `effective_beta`.

    Raises `ValueError` for arguments outside the ranges of `effective_beta`.

    Source: derived here (papers' own formulas were not available).
    """
    check_positive("effective", effective)
    return effective / _unit(norm, cosine)


def mean_field_beta(patterns: Float[Array, "patterns dimension"], beta: ScalarLike) -> Float[Array, ""]:
    """`beta sum_i |x_i - mean|^2 / (N - 1)`: `beta_eff` with the mean over all pairs in place of one value.

    The same number three ways: `beta / 2` times the mean squared distance of two patterns;
    `beta r^2 (1 - mean cosine)` when all norms are `r`; `beta` times the unbiased total variance. Exact for
    equidistant patterns, a first guess for others. Differentiable.

    Raises `ValueError` for fewer than two patterns or a `beta` that is not positive.

    Source: derived here (papers' own formulas were not available).
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    centred = patterns - jnp.mean(patterns, axis=0, keepdims=True)
    return jnp.sum(centred**2) / (patterns.shape[0] - 1) * beta


def beta_for_mean_field(
    patterns: Float[Array, "patterns dimension"], effective: ScalarLike
) -> Float[Array, ""]:
    """The `beta` at which `mean_field_beta(patterns, beta)` equals `effective`.

    Raises `ValueError` for fewer than two patterns, patterns that are all equal, or `effective <= 0`.

    Source: derived here (papers' own formulas were not available).
    """
    check_positive("effective", effective)
    variance = mean_field_beta(patterns, 1.0)
    check_positive("total variance of patterns (are they all equal?)", variance)
    return 1 / variance * effective


def _unit(norm: float, cosine: float) -> float:
    """`r^2 (1 - cos(theta))`, half the squared distance of two patterns."""
    check_positive("norm", norm)
    check_cosine("cosine", cosine)
    unit = norm**2 * (1 - cosine)
    require(unit > 0, f"`norm` {norm} and `cosine` {cosine} leave no distance between patterns.")
    return unit


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
