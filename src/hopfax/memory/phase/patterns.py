"""Pattern sets with a prescribed Gram matrix: equidistant patterns and two-level clusters."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.linalg import helmert

from ..._internal.checks import check_positive, require, require_key, as_integer
from .effective import check_cosine

_ROUNDING = 1e-12  # of the largest eigenvalue: smaller ones are zero, as at the simplex bound


def equidistant_patterns(
    n: int, dimension: int, norm: float, cosine: float, key: PRNGKeyArray
) -> Float[Array, "patterns dimension"]:
    """`n` patterns in rows, `|x_i| = norm` and `x_i . x_j = norm^2 cosine`, in a random orientation.

    The Gram matrix's closed-form eigenvectors times a random orthonormal frame. Computed in double
    precision (Gram error below 1e-10 for `norm` of order one), returned in JAX's default precision.

    Raises `ValueError` when `cosine` is below `-1/(n-1)` (no such patterns exist) or not below 1, when
    `dimension` is below `n` (`n - 1` at the bound, a simplex), or when `n < 2` or `norm <= 0`.

    Source: derived here (papers' own formulas were not available).
    """
    n = as_integer("n", n, 2)
    require_key("equidistant_patterns", key)
    check_positive("norm", norm)
    check_cosine("cosine", cosine)
    differences, mean = helmert(n).T, np.full((n, 1), n**-0.5)
    values = norm**2 * np.append(np.full(n - 1, 1 - cosine), 1 + (n - 1) * cosine)
    bound = f"`cosine` must be at least -1/(n-1) = {-1 / (n - 1):.6g} for {n} patterns, got {cosine}."
    return _with_gram(np.hstack([differences, mean]), values, dimension, key, bound)


def cluster_patterns(
    clusters: int,
    per_cluster: int,
    within: float,
    across: float,
    dimension: int,
    norm: float,
    key: PRNGKeyArray,
) -> Float[Array, "patterns dimension"]:
    """`clusters` groups of `per_cluster` patterns, cosine `within` a group and `across` between groups.

    Rows are grouped: the first `per_cluster` rows are the first cluster. Precision as in
    `equidistant_patterns`.

    Raises `ValueError` when there are fewer than two clusters or two patterns in each, when not
    `-1 <= across < within < 1`, when no patterns have these cosines, or when `dimension` is too small.

    Source: derived here (papers' own formulas were not available).
    """
    clusters, per_cluster = check_clusters(clusters, per_cluster, within, across)
    check_positive("norm", norm)
    inside, means = helmert(per_cluster).T, np.full((per_cluster, 1), per_cluster**-0.5)
    everything = np.full((clusters * per_cluster, 1), (clusters * per_cluster) ** -0.5)
    vectors = [np.kron(np.eye(clusters), inside), np.kron(helmert(clusters).T, means), everything]
    inner = 1 + (per_cluster - 1) * within
    levels = [1 - within, inner - per_cluster * across, inner + per_cluster * (clusters - 1) * across]
    values = norm**2 * np.repeat(levels, [vector.shape[1] for vector in vectors])
    bound = (
        f"`across` must be at least {-inner / (per_cluster * (clusters - 1)):.6g} for "
        f"{clusters} clusters of {per_cluster} patterns with `within` = {within}, got {across}."
    )
    return _with_gram(np.hstack(vectors), values, dimension, key, bound)


def check_clusters(clusters: int, per_cluster: int, within: float, across: float) -> tuple[int, int]:
    """The two counts; raises `ValueError` unless both are at least 2 and `-1 <= across < within < 1`."""
    check_cosine("within", within)
    check_cosine("across", across)
    require(across < within, f"`across` must be below `within` = {within} (else no clusters), got {across}.")
    return as_integer("clusters", clusters, 2), as_integer("per_cluster", per_cluster, 2)


def _with_gram(
    vectors: np.ndarray, values: np.ndarray, dimension: int, key: PRNGKeyArray, bound: str
) -> Float[Array, "patterns dimension"]:
    """Rows whose Gram matrix has these eigenvectors and eigenvalues; `bound` tells when none exist."""
    tolerance = _ROUNDING * values.max()
    require(values.min() >= -tolerance, bound)
    kept = values > tolerance
    rank, dimension = int(kept.sum()), as_integer("dimension", dimension, 1)
    require(dimension >= rank, f"`dimension` must be at least {rank} for these patterns, got {dimension}.")
    factor = vectors[:, kept] * np.sqrt(values[kept])
    return jnp.asarray(factor @ _frame(dimension, rank, key).T, dtype=jnp.result_type(float))


def _frame(dimension: int, rank: int, key: PRNGKeyArray) -> np.ndarray:
    """Orthonormal columns, uniformly distributed, in double precision whatever JAX's own."""
    generator = np.random.default_rng(np.asarray(jr.key_data(key)))
    q, r = np.linalg.qr(generator.normal(size=(dimension, rank)))
    # Without the signs of r the columns would depend on the convention of the QR routine.
    return q * np.sign(np.diagonal(r))
