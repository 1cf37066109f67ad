"""Sets of patterns with a prescribed Gram matrix: equidistant patterns and two-level clusters."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..._internal.checks import as_integer, check_positive, require, require_key
from ..._internal.optional import needed
from .effective import check_cosine

_ROUNDING = 1e-12  # of the largest eigenvalue: smaller ones are zero, as for a simplex


def equidistant_patterns(
    n: int, dimension: int, norm: float, cosine: float, key: PRNGKeyArray
) -> Float[Array, "patterns dimension"]:
    """`n` patterns in rows with `|x_i| = norm` and `x_i · x_j = norm² cosine`, in a random orientation.

    The eigenvectors of the Gram matrix, in closed form, times a random orthonormal frame. Computed in double
    precision (the Gram matrix is exact to 1e-10 for a `norm` of order one), returned in JAX's default precision.

    Raises: `ValueError` for a `cosine` below `-1/(n-1)` (there are no such patterns) or not below 1, a `dimension`
        below `n` (below `n - 1` for a simplex, which has the smallest cosine), `n < 2` or `norm <= 0`.
    """
    n = as_integer("n", n, 2)
    require_key("equidistant_patterns", key)
    check_positive("norm", norm)
    check_cosine("cosine", cosine)
    differences, mean = _helmert(n).T, np.full((n, 1), n**-0.5)
    values = norm**2 * np.append(np.full(n - 1, 1 - cosine), 1 + (n - 1) * cosine)
    message = f"`cosine` must be at least -1/(n-1) = {-1 / (n - 1):.6g} for {n} patterns, got {cosine}."
    return _with_gram(np.hstack([differences, mean]), values, dimension, key, message)


def cluster_patterns(
    clusters: int,
    per_cluster: int,
    within: float,
    across: float,
    dimension: int,
    norm: float,
    key: PRNGKeyArray,
) -> Float[Array, "patterns dimension"]:
    """`clusters` groups of `per_cluster` patterns, with cosine `within` a group and `across` between groups.

    The first `per_cluster` rows are the first cluster, and so on. Precision as in `equidistant_patterns`.

    Raises: `ValueError` for fewer than two clusters or two patterns in each, unless `-1 <= across < within < 1`, if no
        patterns have these cosines, or if `dimension` is too small.
    """
    clusters, per_cluster = check_clusters(clusters, per_cluster, within, across)
    check_positive("norm", norm)
    inside, means = _helmert(per_cluster).T, np.full((per_cluster, 1), per_cluster**-0.5)
    overall = np.full((clusters * per_cluster, 1), (clusters * per_cluster) ** -0.5)
    vectors = [np.kron(np.eye(clusters), inside), np.kron(_helmert(clusters).T, means), overall]
    inner = 1 + (per_cluster - 1) * within
    levels = [1 - within, inner - per_cluster * across, inner + per_cluster * (clusters - 1) * across]
    values = norm**2 * np.repeat(levels, [vector.shape[1] for vector in vectors])
    message = (
        f"`across` must be at least {-inner / (per_cluster * (clusters - 1)):.6g} for "
        f"{clusters} clusters of {per_cluster} patterns with `within` = {within}, got {across}."
    )
    return _with_gram(np.hstack(vectors), values, dimension, key, message)


def check_clusters(clusters: int, per_cluster: int, within: float, across: float) -> tuple[int, int]:
    """The two counts. Raises: `ValueError` unless both are at least 2 and `-1 <= across < within < 1`."""
    check_cosine("within", within)
    check_cosine("across", across)
    require(across < within, f"`across` must be below `within` = {within} for clusters, got {across}.")
    return as_integer("clusters", clusters, 2), as_integer("per_cluster", per_cluster, 2)


def _with_gram(
    vectors: np.ndarray, values: np.ndarray, dimension: int, key: PRNGKeyArray, message: str
) -> Float[Array, "patterns dimension"]:
    """Rows whose Gram matrix has these eigenvectors and eigenvalues; `message` is the error if there are none."""
    tolerance = _ROUNDING * values.max()
    require(values.min() >= -tolerance, message)
    positive = values > tolerance
    rank, dimension = int(positive.sum()), as_integer("dimension", dimension, 1)
    require(dimension >= rank, f"`dimension` must be at least {rank} for these patterns, got {dimension}.")
    factor = vectors[:, positive] * np.sqrt(values[positive])
    return jnp.asarray(factor @ _frame(dimension, rank, key).T, dtype=jnp.result_type(float))


def _helmert(n: int) -> np.ndarray:
    """`n - 1` orthonormal rows that are orthogonal to the vector of ones."""
    return needed("sets of patterns need SciPy", "scipy.linalg", "'hopfax[apps]'").helmert(n)


def _frame(dimension: int, rank: int, key: PRNGKeyArray) -> np.ndarray:
    """Orthonormal columns, uniformly distributed, in double precision whatever the precision of JAX."""
    generator = np.random.default_rng(np.asarray(jr.key_data(key)))
    q, r = np.linalg.qr(generator.normal(size=(dimension, rank)))
    # Without the signs of r the columns would depend on the convention of the QR routine.
    return q * np.sign(np.diagonal(r))
