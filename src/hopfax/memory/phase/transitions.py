"""The thresholds in inverse temperature at which the minima of equidistant and of clustered patterns change."""

import equinox as eqx
import numpy as np

from ..._internal.checks import as_integer, check_positive, require
from ..._internal.optional import needed
from .effective import beta_for_effective
from .fixed_points import beta_at, levels, turning_point
from .patterns import check_clusters


class Thresholds(eqx.Module):
    """Inverse temperatures at which the set of minima changes, in increasing order.

    Effective inverse temperatures, as `thresholds` returns them; `in_beta` gives those of a pattern set.

    Args:
        spinodal: the minima at single patterns appear; below it the centroid is the global attractor. The abstract
            of arXiv 2311.18434 suggests that this is the threshold it calls critical, but does not say so.
        coexistence: pattern minima and centroid have the same energy.
        instability: the centroid ceases to be a minimum.
        overlap_at_spinodal: the overlap `m = a - b` at which pattern minima appear, in [0, 1).
    """

    spinodal: float
    coexistence: float
    instability: float
    overlap_at_spinodal: float

    def in_beta(self, norm: float, cosine: float) -> "Thresholds":
        """The same thresholds in `beta`, for patterns of this norm and pairwise cosine.

        Raises: `ValueError` unless `norm > 0` and `-1 <= cosine < 1`.
        """
        return self.scaled(float(beta_for_effective(1.0, norm, cosine)))

    def scaled(self, factor: float) -> "Thresholds":
        """The thresholds multiplied by `factor`; the overlap, which has no unit, stays.

        Raises: `ValueError` unless `factor` is positive.
        """
        check_positive("factor", factor)
        return Thresholds(
            self.spinodal * factor,
            self.coexistence * factor,
            self.instability * factor,
            self.overlap_at_spinodal,
        )


def thresholds(n: int) -> Thresholds:
    """Thresholds of `n` equidistant patterns in effective inverse temperature, to about 1e-14 relative.

    Spinodal: the minimum over `m` of `(1/m) ln[(1 + (N-1) m) / (1 - m)]`. Coexistence:
    `2 (N-1) ln(N-1) / (N-2)`, where `m = (N-2)/(N-1)`. Instability: `N`. For two patterns the transition is
    continuous and all three are 2.

    Raises: `ValueError` unless `n` is a whole number, at least 2.
    """
    n = as_integer("n", n, 2)
    if n == 2:
        return Thresholds(2.0, 2.0, 2.0, 0.0)
    one = np.ones(1)
    t = turning_point(n, one)
    spinodal, overlap = beta_at(t, n, one), levels(t, n, one)[2]
    coexistence = 2 * (n - 1) * np.log1p(n - 2) / (n - 2)
    return Thresholds(spinodal.item(), float(coexistence), float(n), overlap.item())


def spinodal_beta(n: int) -> float:
    """The spinodal of `n` equidistant patterns, in effective inverse temperature.

    Raises: `ValueError` unless `n` is a whole number, at least 2.
    """
    return thresholds(n).spinodal


def lambert_spinodal(n: int) -> float:
    """`(1 + y)² / y` with `y = -W_{-1}(-e / (N - 1))`, about `ln N + ln ln N + 1`: the spinodal for large N.

    Within 0.3 % from 100 patterns on, 5 % at 10. Needs SciPy. Raises: `ValueError` below 9 patterns, where
    `e / (N - 1)` leaves the domain of the Lambert function: use `thresholds` there.
    """
    n = as_integer("n", n, 9)
    special = needed("`lambert_spinodal` needs SciPy", "scipy.special", "'hopfax[apps]'")
    y = -special.lambertw(-np.e / (n - 1), k=-1).real
    return float((1 + y) ** 2 / y)


class ClusterThresholds(eqx.Module):
    """Inverse temperatures `beta` at which the minima of clustered patterns change.

    Args:
        cluster_minima_appear: minima that average over one cluster appear.
        centroid_unstable: the average over all patterns ceases to be a minimum.
        pattern_minima_appear: minima at single patterns appear.
        cluster_means_unstable: the averages over one cluster cease to be minima.
    """

    cluster_minima_appear: float
    centroid_unstable: float
    pattern_minima_appear: float
    cluster_means_unstable: float

    @property
    def metastable(self) -> bool:
        """Whether cluster averages are minima in a range of `beta`; if not, the other values mean little."""
        return self.cluster_minima_appear < self.cluster_means_unstable


def cluster_thresholds(
    clusters: int, per_cluster: int, within: float, across: float, norm: float = 1.0
) -> ClusterThresholds:
    """The thresholds of patterns in clusters, each level treated as an equidistant set.

    There are `K` cluster means outside and `n` patterns inside one cluster, with
    `beta_inter = beta r² [(1 + (n-1) c1)/n - c0]` and `beta_intra = beta r² (1 - c1)` for cosines `c1` within and
    `c0` across clusters; each level has the `thresholds` of its own number. The two thresholds of the cluster means
    are exact; those of the patterns in a cluster neglect the weight of the other clusters, about `K exp(-beta_inter)`.

    Raises: `ValueError` unless both counts are at least 2, `-1 <= across < within < 1` and `norm > 0`; and where no
        patterns have these cosines.
    """
    clusters, per_cluster = check_clusters(clusters, per_cluster, within, across)
    check_positive("norm", norm)
    inner = (1 + (per_cluster - 1) * within) / per_cluster
    require(
        inner + (clusters - 1) * across >= -1e-12,
        f"`across` must be at least {-inner / (clusters - 1):.6g} for these clusters, got {across}.",
    )
    outside = thresholds(clusters).scaled(1 / (norm**2 * (inner - across)))
    inside = thresholds(per_cluster).scaled(1 / (norm**2 * (1 - within)))
    return ClusterThresholds(outside.spinodal, outside.instability, inside.spinodal, inside.instability)
