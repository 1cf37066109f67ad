"""The numbers behind the six figures of the phase transition; plotting is elsewhere.

The figures of arXiv 2311.18434 were not available: all six are derived and simulated here.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray
from scipy.special import logsumexp

from ..._internal.checks import check_positive, require, as_integer
from .clusters import ClusterThresholds, cluster_thresholds
from .effective import beta_for_effective
from .minima import count_minima
from .patterns import cluster_patterns, equidistant_patterns
from .random_starts import Shares, random_start_shares
from .sweeps import Hysteresis, hysteresis, hysteresis_reduced
from .transitions import Thresholds, thresholds


class Geometry(eqx.Module):
    """An equidistant pattern set: `n` patterns of `norm` in `dimension`, any two at `cosine`."""

    n: int
    dimension: int
    norm: float
    cosine: float

    def patterns(self, key: PRNGKeyArray) -> Float[Array, "patterns dimension"]:
        """The patterns, in a random orientation. Raises `ValueError` as `equidistant_patterns`."""
        return equidistant_patterns(self.n, self.dimension, self.norm, self.cosine, key)


class ThresholdCurves(eqx.Module):
    """Figure 2: effective thresholds against the number of patterns."""

    sizes: Int[np.ndarray, " sizes"]
    spinodal: Float[np.ndarray, " sizes"]
    coexistence: Float[np.ndarray, " sizes"]
    instability: Float[np.ndarray, " sizes"]


class EnergyProfiles(eqx.Module):
    """Figure 4: `beta (E - E(centroid))` at `m` of the way from centroid to pattern, a row a temperature."""

    effective: Float[np.ndarray, " temperatures"]
    m: Float[np.ndarray, " points"]
    energy: Float[np.ndarray, "temperatures points"]


class UnequalDistances(eqx.Module):
    """Figure 6: number of minima of clustered and of random patterns against `beta`."""

    betas: Float[np.ndarray, " betas"]
    cluster_minima: Int[np.ndarray, " betas"]
    random_minima: Int[np.ndarray, " betas"]
    predicted: ClusterThresholds


def order_parameter_data(
    sizes: Sequence[int], effective_betas: Float[np.ndarray, " betas"]
) -> dict[int, Hysteresis]:
    """Figure 1: `m` against effective beta, up and down, for each number of patterns.

    Raises `ValueError` as `hysteresis_reduced`.
    """
    return {int(n): hysteresis_reduced(n, effective_betas) for n in sizes}


def threshold_data(sizes: Sequence[int]) -> ThresholdCurves:
    """Figure 2: the three `thresholds` of each number of patterns. Raises `ValueError` as `thresholds`."""
    found = [thresholds(n) for n in sizes]
    columns = [[each.spinodal, each.coexistence, each.instability] for each in found]
    return ThresholdCurves(np.asarray(sizes, int), *np.asarray(columns, float).T)


def collapse_data(
    geometries: Sequence[Geometry], effective_betas: Float[np.ndarray, " betas"], key: PRNGKeyArray
) -> list[Hysteresis]:
    """Figure 3: `m` of each geometry in the full space; `betas` of each are those of the effective ones.

    Against `betas` the curves differ; against `effective_betas` those of one number of patterns coincide.
    Raises `ValueError` for geometries that do not exist, or effective betas that do not rise strictly.
    """
    require(len(geometries) > 0, "`geometries` must hold at least one geometry.")
    curves = []
    for geometry, own in zip(geometries, jr.split(key, len(geometries)), strict=True):
        betas = beta_for_effective(np.asarray(effective_betas, float), geometry.norm, geometry.cosine)
        curves.append(hysteresis(geometry.patterns(own), np.asarray(betas)))
    return curves


def energy_profile_data(
    n: int, effective_betas: Float[np.ndarray, " temperatures"] | None = None, points: int = 201
) -> EnergyProfiles:
    """Figure 4: `beta_eff |p|^2 / 2 - logsumexp(beta_eff p)` between centroid and pattern.

    The line is `a = (1 + (N-1) m)/N`, `b = (1 - m)/N`, with `m` from -0.1 to 1.1. Without `effective_betas`:
    just below the spinodal, at coexistence, just above the instability.

    Raises `ValueError` for `n < 2`, betas that are not positive, or fewer than two points.
    """
    n, points = as_integer("n", n, 2), as_integer("points", points, 2)
    effective = np.asarray(_regimes(thresholds(n)) if effective_betas is None else effective_betas, float)
    check_positive("effective_betas", effective)
    m = np.linspace(-0.1, 1.1, points)
    p = np.stack([(1 + (n - 1) * m) / n, (1 - m) / n])
    weights = np.array([1.0, n - 1.0])[:, None]
    beta, centroid = effective[:, None], -effective[:, None] / (2 * n) - np.log(n)
    squares, depth = (weights * p**2).sum(axis=0), logsumexp(beta[:, None] * p[None], axis=1, b=weights[None])
    return EnergyProfiles(effective, m, beta * squares[None] / 2 - depth - centroid)


def start_share_data(
    geometry: Geometry, betas: Float[np.ndarray, " betas"], key: PRNGKeyArray, *, starts: int = 400
) -> Shares:
    """Figure 5: share of random starts per kind of end state.

    Raises `ValueError` as `random_start_shares`.
    """
    own, draw = jr.split(key)
    return random_start_shares(geometry.patterns(own), betas, starts=starts, key=draw)


def unequal_distance_data(
    betas: Float[np.ndarray, " betas"], key: PRNGKeyArray, *, per_side: int = 4, dimension: int = 32
) -> UnequalDistances:
    """Figure 6: `per_side` clusters of `per_side` patterns, and `dimension` random patterns, all of norm 1.

    Cosines are 0.9 within and 0 across clusters; minima are counted from starts at the patterns.

    Raises `ValueError` when the clusters do not fit `dimension`, or betas do not rise strictly.
    """
    own, draw = jr.split(key)
    clustered = cluster_patterns(per_side, per_side, 0.9, 0.0, dimension, 1.0, own)
    raw = np.asarray(jr.normal(draw, (dimension, dimension)))
    scattered = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return UnequalDistances(
        np.asarray(betas, float),
        count_minima(clustered, betas),
        count_minima(scattered, betas),
        cluster_thresholds(per_side, per_side, 0.9, 0.0),
    )


def _regimes(limits: Thresholds) -> list[float]:
    """One temperature in each regime, for figure 4."""
    return [0.9 * limits.spinodal, limits.coexistence, 1.1 * limits.instability]
