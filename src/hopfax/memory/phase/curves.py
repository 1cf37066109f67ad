"""The data of the six figures of the phase transition; they are drawn by `hopfax.figures.phase`."""

from collections.abc import Sequence

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..._internal.checks import as_integer, check_positive, require
from ..._internal.optional import needed
from .effective import beta_for_effective
from .minima import count_minima
from .patterns import cluster_patterns, equidistant_patterns
from .sweeps import Hysteresis, StartFractions, hysteresis, hysteresis_reduced, random_start_fractions
from .transitions import ClusterThresholds, Thresholds, cluster_thresholds, thresholds


class Geometry(eqx.Module):
    """A set of equidistant patterns: `n` patterns of `norm` in `dimension`, any two at `cosine`."""

    n: int
    dimension: int
    norm: float
    cosine: float

    def patterns(self, key: PRNGKeyArray) -> Float[Array, "patterns dimension"]:
        """The patterns, in a random orientation. Raises: `ValueError` as `equidistant_patterns`."""
        return equidistant_patterns(self.n, self.dimension, self.norm, self.cosine, key)


class ThresholdCurves(eqx.Module):
    """Figure 2: effective thresholds against the number of patterns."""

    sizes: Int[np.ndarray, " sizes"]
    spinodal: Float[np.ndarray, " sizes"]
    coexistence: Float[np.ndarray, " sizes"]
    instability: Float[np.ndarray, " sizes"]


class EnergyProfiles(eqx.Module):
    """Figure 4: `beta (E - E(centroid))` at `m` of the way from centroid to pattern, a row for each temperature."""

    effective: Float[np.ndarray, " temperatures"]
    m: Float[np.ndarray, " points"]
    energy: Float[np.ndarray, "temperatures points"]


class UnequalDistances(eqx.Module):
    """Figure 6: the number of minima of clustered and of random patterns against `beta`."""

    betas: Float[np.ndarray, " betas"]
    cluster_minima: Int[np.ndarray, " betas"]
    random_minima: Int[np.ndarray, " betas"]
    predicted: ClusterThresholds


def order_parameter_data(
    sizes: Sequence[int], effective_betas: Float[np.ndarray, " betas"]
) -> dict[int, Hysteresis]:
    """Figure 1: `m` against effective beta, up and down, for each number of patterns.

    Raises: `ValueError` as `hysteresis_reduced`.
    """
    return {int(n): hysteresis_reduced(n, effective_betas) for n in sizes}


def threshold_data(sizes: Sequence[int]) -> ThresholdCurves:
    """Figure 2: the three `thresholds` of each number of patterns. Raises: `ValueError` as `thresholds`."""
    rows = [thresholds(n) for n in sizes]
    columns = [[row.spinodal, row.coexistence, row.instability] for row in rows]
    return ThresholdCurves(np.asarray(sizes, int), *np.asarray(columns, float).T)


def collapse_data(
    geometries: Sequence[Geometry], effective_betas: Float[np.ndarray, " betas"], key: PRNGKeyArray
) -> list[Hysteresis]:
    """Figure 3: `m` of each geometry in the full space, at the `betas` that have these effective ones.

    The curves differ against `betas`; against `effective_betas` those of one number of patterns coincide.

    Raises: `ValueError` for geometries that do not exist, or effective betas that are not strictly increasing.
    """
    require(len(geometries) > 0, "`geometries` must hold at least one geometry.")
    curves = []
    for geometry, draw in zip(geometries, jr.split(key, len(geometries)), strict=True):
        betas = beta_for_effective(np.asarray(effective_betas, float), geometry.norm, geometry.cosine)
        curves.append(hysteresis(geometry.patterns(draw), np.asarray(betas)))
    return curves


def energy_profile_data(
    n: int, effective_betas: Float[np.ndarray, " temperatures"] | None = None, points: int = 201
) -> EnergyProfiles:
    """Figure 4: `beta_eff |p|² / 2 - logsumexp(beta_eff p)` between centroid and pattern.

    On this line `a = (1 + (N-1) m)/N` and `b = (1 - m)/N`, with `m` from -0.1 to 1.1. Without `effective_betas`: just
    below the spinodal, at coexistence, just above the instability.

    Raises: `ValueError` for `n < 2`, betas that are not positive, or fewer than two points.
    """
    n, points = as_integer("n", n, 2), as_integer("points", points, 2)
    effective = np.asarray(_regimes(thresholds(n)) if effective_betas is None else effective_betas, float)
    check_positive("effective_betas", effective)
    logsumexp = needed("energy profiles need SciPy", "scipy.special", "'hopfax[apps]'").logsumexp
    m = np.linspace(-0.1, 1.1, points)
    p = np.stack([(1 + (n - 1) * m) / n, (1 - m) / n])
    number = np.array([1.0, n - 1.0])[:, None]  # of patterns with each of the two weights
    beta, centroid = effective[:, None], -effective[:, None] / (2 * n) - np.log(n)
    squares, depth = (number * p**2).sum(axis=0), logsumexp(beta[:, None] * p[None], axis=1, b=number[None])
    return EnergyProfiles(effective, m, beta * squares[None] / 2 - depth - centroid)


def start_fraction_data(
    geometry: Geometry, betas: Float[np.ndarray, " betas"], key: PRNGKeyArray, *, starts: int = 400
) -> StartFractions:
    """Figure 5: the fraction of random starts that end in each kind of state.

    Raises: `ValueError` as `random_start_fractions`.
    """
    orientation, draw = jr.split(key)
    return random_start_fractions(geometry.patterns(orientation), betas, starts=starts, key=draw)


def unequal_distance_data(
    betas: Float[np.ndarray, " betas"], key: PRNGKeyArray, *, per_side: int = 4, dimension: int = 32
) -> UnequalDistances:
    """Figure 6: `per_side` clusters of `per_side` patterns, and `dimension` random patterns, all of norm 1.

    Cosines are 0.9 within and 0 across clusters; the minima are those that retrieval from the patterns ends in.

    Raises: `ValueError` if the clusters do not fit `dimension`, or betas are not strictly increasing.
    """
    orientation, draw = jr.split(key)
    clustered = cluster_patterns(per_side, per_side, 0.9, 0.0, dimension, 1.0, orientation)
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
