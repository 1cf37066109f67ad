"""The lines of theory that measured capacities are compared with: how many random patterns `n` neurons
hold.
"""

import math

from scipy.special import factorial2, lambertw

from ..._internal.checks import check_positive, require, require_integer, as_integer


def hebbian(neurons: int) -> float:
    """`0.138 n`: Hebb's rule with few errors, at zero temperature. Source: [amit1985]."""
    return 0.138 * as_integer("neurons", neurons, 1)


def hebbian_exact(neurons: int) -> float:
    """`n / (2 ln n)`: a pattern of Hebb's is without errors with probability going to one.

    Source: McEliece et al. (1987), "The capacity of the Hopfield associative memory".
    """
    return neurons / (2 * math.log(as_integer("neurons", neurons, 2)))


def storkey(neurons: int) -> float:
    """`n / sqrt(2 ln n)`: Storkey's rule. Source: Storkey and Valabregue (1999)."""
    return neurons / math.sqrt(2 * math.log(as_integer("neurons", neurons, 2)))


def polynomial(neurons: int, degree: int) -> float:
    """`n^(k-1) / (2 (2k-3)!! ln n)`: dense memories of degree `k`, without errors; degree 2 is
    `hebbian_exact`.

    Source: [krotov2016], eq. 6.
    """
    require_integer("neurons", neurons, 2)
    require_integer("degree", degree, 2)
    return neurons ** (degree - 1) / (2 * float(factorial2(2 * degree - 3)) * math.log(neurons))


def exponential(neurons: int) -> float:
    """`2^(n/2)`: exponential separation, patterns of signs, a fixed share of errors mended. Source:
    [demircigil2017].
    """
    return 2.0 ** (as_integer("neurons", neurons, 1) / 2)


def modern_bound(dimension: int, beta: float = 1.0, radius: float = 1.0, failure: float = 1e-3) -> float:
    """`sqrt(p) c^((d-1)/4)` patterns, at least, are held by a modern Hopfield network with probability `1 -
    p`.

    Patterns are random on the sphere of radius `K sqrt(d-1)`, `K = radius`; `c = b / W_0(exp(a + ln b))` with
    `a = 2 (1 + ln(2 beta K^2 p (d-1))) / (d-1)` and `b = 2 K^2 beta / 5`. Says something where it is above 1.

    Raises: `ValueError` for `dimension < 2`, numbers that are not positive, or a `failure` of 1 and more.
    Source: [ramsauer2020], theorem 3.
    """
    free = as_integer("dimension", dimension, 2) - 1
    check_positive("beta", beta)
    check_positive("radius", radius)
    require(0 < failure < 1, f"`failure` must lie in (0, 1), got {failure}.")
    a = 2 * (1 + math.log(2 * beta * radius**2 * failure * free)) / free
    b = 2 * radius**2 * beta / 5
    return math.sqrt(failure) * (b / lambertw(b * math.exp(a)).real) ** (free / 4)
