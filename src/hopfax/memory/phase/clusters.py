"""The four thresholds of patterns in two-level clusters, the simplest set with metastable averages.

Source of every formula: derived here (papers' own formulas were not available).
"""

import equinox as eqx

from ..._internal.checks import check_positive, require
from .patterns import check_clusters
from .transitions import thresholds


class ClusterThresholds(eqx.Module):
    """Inverse temperatures `beta` at which the minima of clustered patterns change.

    `cluster_minima_appear`: minima that average over one cluster. `centroid_unstable`: the average over all
    patterns ceases to be a minimum. `pattern_minima_appear`: minima at single patterns.
    `cluster_means_unstable`: the averages over one cluster cease to be minima.
    """

    cluster_minima_appear: float
    centroid_unstable: float
    pattern_minima_appear: float
    cluster_means_unstable: float

    @property
    def metastable(self) -> bool:
        """Whether cluster averages are minima for a range of `beta`; if not, the other values mean little."""
        return self.cluster_minima_appear < self.cluster_means_unstable


def cluster_thresholds(
    clusters: int, per_cluster: int, within: float, across: float, norm: float = 1.0
) -> ClusterThresholds:
    """Each level is an equidistant set: `K` cluster means outside, `n` patterns inside one cluster.

    `beta_inter = beta r^2 [(1 + (n-1) c1)/n - c0]` with `K` states and `beta_intra = beta r^2 (1 - c1)` with
    `n`, for cosines `c1` within and `c0` across clusters; each level has the `thresholds` of its own
    number. The two outer values are exact; the two inner ones neglect the share of the other
    clusters, about `K exp(-beta_inter)`.

    Raises `ValueError` unless both counts are at least 2, `-1 <= across < within < 1` and `norm > 0`; and
    when no patterns have these cosines.

    Source: derived here (papers' own formulas were not available).
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
