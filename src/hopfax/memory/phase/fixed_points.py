"""All fixed points of N equidistant patterns, with their stability.

A fixed point of `p = softmax(beta_eff p)` gives `k` patterns the weight `a` and the other `N - k` the weight `b`.
With `m = a - b` and `t = ln(a / b)`, `beta_eff m = t`; in `t` every formula is well conditioned. Double precision.
"""

import math

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from ..._internal.checks import as_integer, check_positive, require
from ..._internal.optional import needed


class Branches(eqx.Module):
    """The types of fixed points, one for each entry: `k` patterns with weight `a`, the others `b`, `m = a - b ≥ 0`.

    Ordered by `k`, then `m`, so the centroid (`k = N`, `m = 0`) is the last entry. A type with `k` stands for
    `binomial(N, k)` states.

    Args:
        k, m, a, b: as above.
        energy: `beta E` without its constant `-beta r² cos(θ) / 2`.
        eigenvalue: the largest of the update's Jacobian.
        is_minimum: whether it is below one.
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

    For `k < N/2` a pair appears at the smallest `beta_eff(k, m)`, and the lower one merges with the centroid at
    `beta_eff = N`; for `k ≥ N/2` one branches off the centroid there. Directions within the group have the
    eigenvalue `beta_eff a > 1` where `m > 0`, so states with `2 ≤ k ≤ N - 1` are never minima.

    Raises: `ValueError` unless `n >= 2` and `beta_eff > 0`.
    """
    n = as_integer("n", n, 2)
    check_positive("beta_eff", beta_eff)
    k, t = _log_ratios(n, float(beta_eff))
    order = np.lexsort((t, k))
    return _describe(n, float(beta_eff), np.append(k[order], n), np.append(t[order], 0.0))


def beta_at_overlap(n: int, k: int, m: float) -> float:
    """`beta_eff = (1/m) ln[(1 + (N - k) m) / (1 - k m)]`, at which `k` of `n` patterns have the overlap `m`.

    Raises: `ValueError` unless `1 <= k < n` and `0 < m < 1/k`.
    """
    n, k = as_integer("n", n, 2), as_integer("k", k, 1)
    require(k < n, f"`k` must be below the {n} patterns, got {k}.")
    require(0 < m < 1 / k, f"`m` must lie strictly between 0 and 1/k = {1 / k}, got {m}.")
    return float((np.log1p((n - k) * m) - np.log1p(-k * m)) / m)


def levels(t: np.ndarray, n: int, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`a = 1 / (k + (N - k) e^-t)`, `b = a e^-t` and `m = a - b`; no exponential can overflow."""
    a = 1 / (k + (n - k) * np.exp(-t))
    return a, a * np.exp(-t), -a * np.expm1(-t)


def beta_at(t: np.ndarray, n: int, k: np.ndarray) -> np.ndarray:
    """`beta_eff = t / m(t)`, equal to `(1/m) ln[(1 + (N - k) m) / (1 - k m)]`; its limit `N` at `t = 0`."""
    m = levels(t, n, k)[2]
    return np.divide(t, m, out=np.full_like(m, float(n)), where=m > 0)


def turning_point(n: int, k: np.ndarray) -> np.ndarray:
    """The `t` at which `beta_at` is smallest: 0 for `k ≥ N/2`, else the one positive root of its slope.

    `d ln(beta_eff)/dt = 0` is `f(t) = k (e^t - 1) + (N - k)(1 - e^-t) - N t = 0`. `f` is smallest at
    `t = ln((N - k) / k)` and convex from there on, and positive at `2 ln N + 2`. So Newton's method from that end
    decreases to the root until rounding stops it. It needs no SciPy, as thresholds are used for every memory.
    """
    t, last = np.full(k.shape, 2 * np.log(n) + 2), np.full(k.shape, np.inf)
    while np.any(t < last):
        last = np.minimum(t, last)
        value = k * np.expm1(last) - (n - k) * np.expm1(-last) - n * last
        slope = k * np.exp(last) + (n - k) * np.exp(-last) - n
        t = np.where(2 * k < n, last - value / np.where(slope > 0, slope, 1), 0.0)
    return np.where(2 * k < n, last, 0.0)


def _log_ratios(n: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """`k` and `t = ln(a/b) > 0` of every fixed point but the centroid."""
    k = np.arange(1, n)
    turn = turning_point(n, k)
    lowest = beta_at(turn, n, k)
    outer = np.where(turn > 0, beta >= lowest, beta > n)
    inner = (turn > 0) & (beta > lowest) & (beta < n)
    pairs = lambda chosen: zip(k[chosen].tolist(), turn[chosen].tolist(), strict=True)
    # `beta_at(t) >= k t`, so the outer root is at most `beta / k`; twice that exceeds it by more than rounding.
    roots = [
        *(_root(n, i, beta, start, 2 * beta / i) for i, start in pairs(outer)),
        *(_root(n, i, beta, start, 0.0) for i, start in pairs(inner)),
    ]
    return np.append(k[outer], k[inner]), np.asarray(roots, float)


def _root(n: int, k: int, beta: float, turn: float, end: float) -> float:
    """The `t` between the turning point and `end` at which `beta_at` is `beta`."""
    # `beta_at` for one number, which is all that the search for a root needs.
    ratio = lambda t: t * (k + (n - k) * math.exp(-t)) / -math.expm1(-t) if t > 0 else float(n)
    difference = lambda t: ratio(t) - beta
    if difference(turn) * difference(end) >= 0:  # up to rounding, `beta` is that of the turning point
        return turn
    optimize = needed("fixed points of equidistant patterns need SciPy", "scipy.optimize", "'hopfax[apps]'")
    return optimize.brentq(difference, *sorted((turn, end)), xtol=1e-16, rtol=4 * np.finfo(float).eps)


def _describe(n: int, beta: float, k: np.ndarray, t: np.ndarray) -> Branches:
    """Weights, energy and largest eigenvalue of the fixed points `(k, t)`."""
    a, b, m = levels(t, n, k)
    # logsumexp(beta p) = beta a - ln a, as a = exp(beta a) / sum exp(beta p).
    energy = beta * (k * a**2 + (n - k) * b**2) / 2 - beta * a + np.log(a)
    # beta (diag p - p pᵀ): a inside the group, b outside, N a b between them, if such directions exist.
    directions = [np.where(k >= 2, a, 0.0), np.where(n - k >= 2, b, 0.0), np.where(k < n, n * a * b, 0.0)]
    eigenvalue = beta * np.max(directions, axis=0)
    return Branches(k, m, a, b, energy, eigenvalue, eigenvalue < 1)
