"""Capacities in theory: how many random patterns `n` neurons store. Measured capacities are compared with these."""

import math

from ..._internal.checks import as_integer, check_positive, require, require_integer
from ..._internal.optional import needed


def hebbian(neurons: int) -> float:
    """`0.138 n`: Hebb's rule, with few errors, at zero temperature. Source: [amit1985]."""
    return 0.138 * as_integer("neurons", neurons, 1)


def hebbian_exact(neurons: int) -> float:
    """`n / (2 ln n)`: Hebb's rule, a pattern being without errors with probability tending to one.

    Source: McEliece et al. (1987), "The capacity of the Hopfield associative memory".
    """
    return neurons / (2 * math.log(as_integer("neurons", neurons, 2)))


def storkey(neurons: int) -> float:
    """`n / sqrt(2 ln n)`: Storkey's rule. Source: Storkey and Valabregue (1999)."""
    return neurons / math.sqrt(2 * math.log(as_integer("neurons", neurons, 2)))


def polynomial(neurons: int, degree: int) -> float:
    """`n^(k-1) / (2 (2k-3)!! ln n)`: dense memories of degree `k`, without errors; degree 2 is `hebbian_exact`.

    Source: [krotov2016], eq. 6.
    """
    require_integer("neurons", neurons, 2)
    require_integer("degree", degree, 2)
    double_factorial = math.prod(range(2 * degree - 3, 0, -2))
    return neurons ** (degree - 1) / (2 * float(double_factorial) * math.log(neurons))


def exponential(neurons: int) -> float:
    """`2^(n/2)`: exponential separation, patterns of signs, a fixed fraction of errors corrected.

    Source: [demircigil2017].
    """
    return 2.0 ** (as_integer("neurons", neurons, 1) / 2)


def modern_bound(dimension: int, beta: float = 1.0, radius: float = 1.0, failure: float = 1e-3) -> float:
    """`sqrt(p) c^((d-1)/4)`: a modern Hopfield network stores at least this many patterns with probability `1 - p`.

    The patterns are random on the sphere of radius `K sqrt(d-1)`. `c = b / W_0(exp(a + ln b))` with
    `a = 2 (1 + ln(2 beta K² p (d-1))) / (d-1)` and `b = 2 K² beta / 5`. The bound is of use where it is above 1.

    Args:
        dimension: `d`, at least 2.
        beta: the inverse temperature, positive.
        radius: `K`, positive.
        failure: `p`, in (0, 1).
    Raises: `ValueError` for values out of range.
    Source: [ramsauer2020], theorem 3.
    """
    free = as_integer("dimension", dimension, 2) - 1
    check_positive("beta", beta)
    check_positive("radius", radius)
    require(0 < failure < 1, f"`failure` must lie in (0, 1), got {failure}.")
    special = needed("the bound for modern Hopfield networks needs SciPy", "scipy.special", "'hopfax[apps]'")
    a = 2 * (1 + math.log(2 * beta * radius**2 * failure * free)) / free
    b = 2 * radius**2 * beta / 5
    return math.sqrt(failure) * (b / special.lambertw(b * math.exp(a)).real) ** (free / 4)
