"""Hysteresis, collapse and random starts in the full space against the formulas for equidistant patterns."""

import jax.random as jr
import numpy as np
import pytest

from hopfax.memory import phase


def test_hysteresis_jumps_at_instability_and_spinodal():
    n, limits = 6, phase.thresholds(6)
    betas = np.sort(np.concatenate([[t * 0.999, t * 1.001] for t in (limits.spinodal, limits.instability)]))
    swept = phase.hysteresis_reduced(n, betas)
    upper = [
        phase.branches(n, float(beta)).m[phase.branches(n, float(beta)).k == 1][-1] for beta in betas[1:]
    ]
    np.testing.assert_allclose(swept.down, [0, *upper], atol=1e-8)
    np.testing.assert_allclose(swept.up, [0, 0, 0, upper[-1]], atol=1e-8)


def test_curves_collapse_in_effective_beta():
    sets = [(10, 32, 1.0, 0.0), (10, 32, 2.0, 0.8), (10, 32, 0.3, -0.1), (10, 9, 1.0, -1 / 9)]
    geometries = [phase.Geometry(*numbers) for numbers in sets]
    effective = np.linspace(4.2, 10.8, 12)
    reduced = phase.hysteresis_reduced(10, effective)
    for geometry, curve in zip(
        geometries, phase.collapse_data(geometries, effective, jr.key(0)), strict=True
    ):
        np.testing.assert_allclose(curve.up, reduced.up, atol=1e-6)
        np.testing.assert_allclose(curve.down, reduced.down, atol=1e-6)
        again = phase.effective_beta(curve.betas, geometry.norm, geometry.cosine)
        np.testing.assert_allclose(again, effective, rtol=1e-13)


def test_random_starts_end_where_there_are_minima():
    limits = phase.thresholds(10)
    betas = np.array([0.99 * limits.spinodal, 6.0, 1.05 * limits.instability])
    fractions = phase.start_fraction_data(phase.Geometry(10, 32, 1.0, 0.0), betas, jr.key(0), starts=60)
    np.testing.assert_allclose(fractions.global_average + fractions.subset + fractions.pattern, 1)
    np.testing.assert_array_equal(fractions.subset, 0)  # never minima of equidistant patterns
    assert fractions.global_average[0] == fractions.pattern[2] == 1
    assert 0 < fractions.pattern[1] < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: phase.hysteresis(np.eye(3), np.array([2.0, 1.0])), "strictly increasing"),
        (lambda: phase.hysteresis(np.eye(3), np.array([1.0, 2.0]), index=3), "`index` must .* 3 patterns"),
        (lambda: phase.count_minima(np.full((2, 2), np.nan), np.ones(1)), r"rows \[0, 1\] hold NaN"),
        (lambda: phase.random_start_fractions(np.eye(2), np.ones(1), starts=0, key=jr.key(0)), "`starts=0`"),
        (lambda: phase.collapse_data([], np.ones(1), jr.key(0)), "`geometries`"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
