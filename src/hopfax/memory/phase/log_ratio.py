"""Two-level fixed points through `t = ln(a / b)`, in which every formula is well conditioned.

A fixed point of `p = softmax(beta_eff p)` gives `k` patterns the share `a` and the other `N - k` the share
`b`, with `m = a - b` and `beta_eff m = t`. Numbers and NumPy arrays alike; double precision.

Source: derived here (papers' own formulas were not available).
"""

from collections.abc import Callable

import numpy as np

Curve = Callable[[np.ndarray], np.ndarray]


def levels(t: np.ndarray, n: int, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`a = 1 / (k + (N - k) e^-t)`, `b = a e^-t` and `m = a - b`; no exponential can overflow."""
    a = 1 / (k + (n - k) * np.exp(-t))
    return a, a * np.exp(-t), -a * np.expm1(-t)


def beta_at(t: np.ndarray, n: int, k: np.ndarray) -> np.ndarray:
    """`beta_eff = t / m(t)`, equal to `(1/m) ln[(1 + (N - k) m) / (1 - k m)]`; its limit `N` at `t = 0`."""
    m = levels(t, n, k)[2]
    return np.divide(t, m, out=np.full_like(m, float(n)), where=m > 0)


def turning_point(n: int, k: np.ndarray) -> np.ndarray:
    """The `t` at which `beta_at` is smallest: 0 for `k >= N/2`, else the one positive root of its slope.

    `d ln(beta_eff)/dt = 0` is `k (e^t - 1) + (N - k)(1 - e^-t) = N t`. The left side minus the right falls
    until `t = ln((N - k) / k)` and rises after it, so that point and `2 ln N + 2` bracket the root.
    """
    below = np.log(np.maximum((n - k) / k, 1.0))
    above = np.full_like(below, 2 * np.log(n) + 2)
    root = bisect(lambda t: k * np.expm1(t) - (n - k) * np.expm1(-t) - n * t, below, above)
    return np.where(2 * k < n, root, 0.0)


def bisect(rising: Curve, below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Roots of an elementwise function that is negative at `below` and not at `above`, to rounding."""
    for _ in range(100):
        middle = (below + above) / 2
        high = rising(middle) >= 0
        below, above = np.where(high, below, middle), np.where(high, middle, above)
    return (below + above) / 2
