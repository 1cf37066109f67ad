"""The data of the figures of the phase transition, against the formulas and the full space."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import ModernHopfield
from hopfax.memory import phase


def test_data_of_thresholds_and_order_parameters():
    curves = phase.threshold_data([2, 3, 50])
    assert curves.spinodal[1] == phase.thresholds(3).spinodal
    np.testing.assert_array_equal(curves.instability, [2, 3, 50])
    swept = phase.order_parameter_data([6], np.linspace(3.0, 6.5, 4))
    assert list(swept) == [6]
    np.testing.assert_allclose(swept[6].up[[0, -1]], swept[6].down[[0, -1]], atol=1e-8)


def test_energy_profile_is_the_energy_on_the_line():
    geometry, beta = phase.Geometry(5, 8, 2.0, 0.3), 1.4
    patterns = geometry.patterns(jr.key(0))
    effective = phase.effective_beta(beta, 2.0, 0.3)
    profile = phase.energy_profile_data(5, np.array([effective]), points=7)
    mean = patterns.mean(axis=0)
    network = ModernHopfield(patterns, beta)
    at = jax.jit(jax.vmap(lambda m: network.energy(mean + m * (patterns[0] - mean))))
    np.testing.assert_allclose(profile.energy[0], beta * (at(profile.m) - at(jnp.zeros(7))), atol=1e-12)


def test_energy_profiles_show_the_three_regimes():
    profile = phase.energy_profile_data(10)
    below, at, above = profile.energy
    inside = (profile.m > 0.05) & (profile.m < 1)
    assert (np.diff(below[inside]) > 0).all()
    assert at[inside].min() == pytest.approx(0, abs=1e-3)
    assert (above[inside] < 0).all()


def test_minima_of_clusters_appear_in_two_steps():
    limits = phase.cluster_thresholds(3, 3, 0.9, 0.0)
    betas = np.array([0.9 * limits.cluster_minima_appear, 10.0, 1.1 * limits.pattern_minima_appear])
    counts = phase.unequal_distance_data(betas, jr.key(0), per_side=3, dimension=12)
    assert counts.cluster_minima.tolist() == [1, 3, 9]
    assert counts.random_minima[0] <= counts.random_minima[2] == 12


def test_one_pattern_has_no_profile():
    with pytest.raises(ValueError, match="`n=1` must be a whole number, at least 2"):
        phase.energy_profile_data(1)
