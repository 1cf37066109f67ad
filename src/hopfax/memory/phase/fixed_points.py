"""Every fixed point of N equidistant patterns, with its stability.

Source of every formula: derived here (papers' own formulas were not available).
"""

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from ..._internal.checks import check_positive, require, as_integer
from . import log_ratio


class Branches(eqx.Module):
    """Types of fixed points, one an entry: `k` patterns with share `a`, the others `b`, `m = a - b >= 0`.

    Ordered by `k`, then `m`, so the centroid (`k = N`, `m = 0`) is the last entry. `energy` is `beta E`
    without its constant `-beta r^2 cos(theta) / 2`. `eigenvalue` is the largest of the update's Jacobian,
    and `is_minimum` says that it is below one. A type with `k` stands for `binomial(N, k)` states.
    """

    k: Int[np.ndarray, " types"]
    m: Float[np.ndarray, " types"]
    a: Float[np.ndarray, " types"]
    b: Float[np.ndarray, " types"]
    energy: Float[np.ndarray, " types"]
    eigenvalue: Float[np.ndarray, " types"]
    is_minimum: Bool[np.ndarray, " types"]


def branches(n: int, beta_eff: float) -> Branches:
    """All fixed points of `p = softmax(beta_eff p)`: the centroid and, for each `k < N`, up to two overlaps.

    For `k < N/2` a pair is born at the smallest `beta_eff(k, m)` and the lower one ends in the centroid at
    `beta_eff = N`; for `k >= N/2` one grows out of the centroid there. In-group directions of a state with
    `m > 0` have the eigenvalue `beta_eff a > 1`, so none with `2 <= k <= N - 1` is ever a minimum.

    Raises `ValueError` unless `n >= 2` and `beta_eff > 0`.

    Source: derived here (papers' own formulas were not available).
    """
    n = as_integer("n", n, 2)
    check_positive("beta_eff", beta_eff)
    k, t = _log_ratios(n, float(beta_eff))
    order = np.lexsort((t, k))
    return _describe(n, float(beta_eff), np.append(k[order], n), np.append(t[order], 0.0))


def beta_at_overlap(n: int, k: int, m: float) -> float:
    """`beta_eff = (1/m) ln[(1 + (N - k) m) / (1 - k m)]`, at which `k` of `n` patterns stand out by `m`.

    Raises `ValueError` unless `1 <= k < n` and `0 < m < 1/k`.

    Source: derived here (papers' own formulas were not available).
    """
    n, k = as_integer("n", n, 2), as_integer("k", k, 1)
    require(k < n, f"`k` must be below the {n} patterns, got {k}.")
    require(0 < m < 1 / k, f"`m` must lie strictly between 0 and 1/k = {1 / k}, got {m}.")
    return float((np.log1p((n - k) * m) - np.log1p(-k * m)) / m)


def _log_ratios(n: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """`k` and `t = ln(a/b) > 0` of every fixed point but the centroid."""
    k = np.arange(1, n)
    turn = log_ratio.turning_point(n, k)
    lowest = log_ratio.beta_at(turn, n, k)
    outer = np.where(turn > 0, beta >= lowest, beta > n)
    inner = (turn > 0) & (beta > lowest) & (beta < n)
    # beta_at >= k t, so the outer root is at most beta / k.
    up = log_ratio.bisect(lambda t: log_ratio.beta_at(t, n, k) - beta, turn, np.maximum(beta / k, turn))
    down = log_ratio.bisect(lambda t: beta - log_ratio.beta_at(t, n, k), np.zeros(n - 1), turn)
    return np.append(k[outer], k[inner]), np.append(up[outer], down[inner])


def _describe(n: int, beta: float, k: np.ndarray, t: np.ndarray) -> Branches:
    """Shares, energy and largest eigenvalue of the fixed points `(k, t)`."""
    a, b, m = log_ratio.levels(t, n, k)
    # logsumexp(beta p) = beta a - ln a, as a = exp(beta a) / sum exp(beta p).
    energy = beta * (k * a**2 + (n - k) * b**2) / 2 - beta * a + np.log(a)
    # beta (diag p - p p^T): a inside the group, b outside, N a b between them, if such directions exist.
    directions = [np.where(k >= 2, a, 0.0), np.where(n - k >= 2, b, 0.0), np.where(k < n, n * a * b, 0.0)]
    eigenvalue = beta * np.max(directions, axis=0)
    return Branches(k, m, a, b, energy, eigenvalue, eigenvalue < 1)
