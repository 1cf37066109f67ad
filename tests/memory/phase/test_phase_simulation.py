"""Thresholds simulated in the full space against the formulas."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import slow_except

from hopfax.memory import phase

GEOMETRIES = [
    (2, 4, 1.0, 0.0),
    (3, 5, 1.0, 0.0),
    (5, 16, 1.0, 0.3),
    (10, 32, 2.0, 0.0),
    (10, 32, 1.0, 0.8),
    (10, 32, 0.5, -0.05),
    (10, 32, 5.0, 0.99),
    (10, 9, 1.0, -1 / 9),
    (50, 64, 1.0, -0.01),
    (100, 128, 3.0, 0.5),
]


@pytest.mark.parametrize("geometry", slow_except(GEOMETRIES, GEOMETRIES[2:8]), ids=str)
def test_simulated_thresholds_confirm_the_formulas(geometry):
    n, dimension, norm, cosine = geometry
    patterns = phase.equidistant_patterns(n, dimension, norm, cosine, jr.key(n))
    simulated, expected = phase.simulate_thresholds(patterns), phase.thresholds(n).in_beta(norm, cosine)
    for name in ("spinodal", "coexistence", "instability"):
        assert getattr(simulated, name) == pytest.approx(getattr(expected, name), rel=1e-4), name
    assert simulated.overlap_at_spinodal == pytest.approx(expected.overlap_at_spinodal, abs=0.02)


def test_simulated_cluster_thresholds_confirm_the_formulas():
    patterns = phase.cluster_patterns(4, 4, 0.9, 0.0, 32, 1.0, jr.key(0))
    simulated, expected = (
        phase.simulate_cluster_thresholds(patterns, 4),
        phase.cluster_thresholds(4, 4, 0.9, 0.0),
    )
    for name, value in vars(expected).items():
        assert getattr(simulated, name) == pytest.approx(value, rel=1e-4), name


def test_single_precision_users_get_double_precision_thresholds():
    with jax.enable_x64(False):
        patterns = phase.equidistant_patterns(3, 5, 1.0, 0.0, jr.key(0))
        simulated = phase.simulate_thresholds(patterns)
    assert patterns.dtype == jnp.float32
    expected = phase.thresholds(3)
    for name in ("spinodal", "coexistence", "instability"):
        assert getattr(simulated, name) == pytest.approx(getattr(expected, name), rel=1e-3), name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: phase.simulate_thresholds(np.ones((1, 2))), "two rows or more"),
        (lambda: phase.simulate_thresholds(np.ones((2, 2))), "two different rows"),
        (lambda: phase.simulate_thresholds(np.diag([1.0, 2.0])), "same product with their mean"),
        (lambda: phase.simulate_cluster_thresholds(np.eye(5), 2), "groups of two rows or more"),
        (lambda: phase.simulate_cluster_thresholds(np.eye(4), 4), "groups of two rows or more"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
