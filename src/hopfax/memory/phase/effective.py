"""The effective inverse temperature: the one number that the fixed points of equidistant patterns depend on.

With `|x_i|² = r²` and `x_i · x_j = r² cos(θ)` every fixed point is `x = Xᵀ p` with `p = softmax(beta_eff p)`, so
dimension, norm, angle and `beta` enter through `beta_eff` alone.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

from ..._internal.checks import check_patterns, check_positive, require

Betas = float | Array | np.ndarray  # one inverse temperature or an array of them


def effective_beta(beta: Betas, norm: float, cosine: float) -> Betas:
    """`beta_eff = beta r² (1 - cos(θ))`, for patterns of norm `r`; agrees with a third-party note on arXiv 2311.18434.

    Raises: `ValueError` unless `beta > 0`, `norm > 0` and `-1 <= cosine < 1`.
    """
    check_positive("beta", beta)
    return beta * _half_squared_distance(norm, cosine)


def effective_beta_from_distance(beta: Betas, distance: float) -> Betas:
    """`beta_eff = beta D² / 2`, with the distance `D = r sqrt(2 (1 - cos(θ)))` of any two patterns.

    Raises: `ValueError` unless `beta` and `distance` are positive.
    """
    check_positive("beta", beta)
    check_positive("distance", distance)
    return beta * (distance**2 / 2)


def beta_for_effective(effective: Betas, norm: float, cosine: float) -> Betas:
    """`beta = beta_eff / (r² (1 - cos(θ)))`, the inverse of `effective_beta`.

    Raises: `ValueError` for arguments outside the ranges of `effective_beta`.
    """
    check_positive("effective", effective)
    return effective / _half_squared_distance(norm, cosine)


def mean_field_beta(patterns: Float[Array, "patterns dimension"], beta: ScalarLike) -> Float[Array, ""]:
    """`beta Σ_i |x_i - mean|² / (N - 1)`: `beta_eff` with the mean over all pairs in place of the one distance.

    This is `beta / 2` times the mean squared distance of two patterns; `beta r² (1 - mean cosine)` if all norms are
    `r`; and `beta` times the unbiased total variance. Exact for equidistant patterns, a first guess for others.
    Differentiable.

    Raises: `ValueError` for fewer than two patterns, or a `beta` that is not positive.
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    centred = patterns - jnp.mean(patterns, axis=0, keepdims=True)
    return jnp.sum(centred**2) / (patterns.shape[0] - 1) * beta


def beta_for_mean_field(
    patterns: Float[Array, "patterns dimension"], effective: ScalarLike
) -> Float[Array, ""]:
    """The `beta` at which `mean_field_beta(patterns, beta)` equals `effective`.

    Raises: `ValueError` for fewer than two patterns, patterns that are all equal, or `effective <= 0`.
    """
    check_positive("effective", effective)
    variance = mean_field_beta(patterns, 1.0)
    check_positive("total variance of patterns (are they all equal?)", variance)
    return 1 / variance * effective


def _half_squared_distance(norm: float, cosine: float) -> float:
    """`r² (1 - cos(θ))`, half the squared distance of two patterns."""
    check_positive("norm", norm)
    check_cosine("cosine", cosine)
    half = norm**2 * (1 - cosine)
    require(half > 0, f"`norm` {norm} and `cosine` {cosine} leave no distance between patterns.")
    return half


def check_cosine(name: str, value: Any) -> None:
    """Raises: `ValueError` unless `-1 <= value < 1`; patterns at cosine 1 are one and the same pattern."""
    require(-1 <= value < 1, f"`{name}` must be at least -1 and below 1 (distinct patterns), got {value}.")


def check_index(index: Any, count: int) -> None:
    """Raises: `ValueError` unless `0 <= index < count`."""
    require(
        0 <= index < count, f"`index` must be the number of one of the {count} patterns, from 0, got {index}."
    )


def check_betas(betas: Any) -> None:
    """Raises: `ValueError` unless `betas` is a list of positive values, strictly increasing."""
    check_positive("betas", betas)
    increasing = np.ndim(betas) == 1 and np.size(betas) > 0 and np.all(np.diff(np.asarray(betas, float)) > 0)
    require(increasing, f"`betas` must be one-dimensional and strictly increasing, got {betas}.")
