"""The dynamics in the full space against the formulas: thresholds, hysteresis, collapse, starts, minima."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

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


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_simulated_thresholds_confirm_the_formulas(geometry):
    n, dimension, norm, cosine = geometry
    patterns = phase.equidistant_patterns(n, dimension, norm, cosine, jr.key(n))
    found, expected = phase.simulate_thresholds(patterns), phase.thresholds(n).in_beta(norm, cosine)
    for name in ("spinodal", "coexistence", "instability"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-4), name
    assert found.overlap_at_spinodal == pytest.approx(expected.overlap_at_spinodal, abs=0.02)


def test_simulated_cluster_thresholds_confirm_the_formulas():
    patterns = phase.cluster_patterns(4, 4, 0.9, 0.0, 32, 1.0, jr.key(0))
    found, expected = phase.simulate_cluster_thresholds(patterns, 4), phase.cluster_thresholds(4, 4, 0.9, 0.0)
    for name, value in vars(expected).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-4), name


def test_cluster_averages_are_minima_exactly_between_their_thresholds():
    patterns = phase.cluster_patterns(4, 4, 0.9, 0.0, 32, 1.0, jr.key(0))
    limits, start = phase.cluster_thresholds(4, 4, 0.9, 0.0), patterns[:4].mean(axis=0)

    @jax.jit
    def stands(beta):
        rest = phase.settle(patterns, start, beta).state
        kind = phase.classify(patterns, rest, beta).kind
        return phase.is_minimum(patterns, rest, beta) & (kind == phase.Kind.SUBSET)

    appear, leave = limits.cluster_minima_appear, limits.cluster_means_unstable
    told = [bool(stands(beta)) for beta in (0.999 * appear, 1.001 * appear, 0.999 * leave, 1.001 * leave)]
    assert told == [False, True, True, False]


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
    geometries = [phase.Geometry(*each) for each in sets]
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
    shares = phase.start_share_data(phase.Geometry(10, 32, 1.0, 0.0), betas, jr.key(0), starts=60)
    np.testing.assert_allclose(shares.whole + shares.subset + shares.pattern, 1)
    np.testing.assert_array_equal(shares.subset, 0)  # never minima of equidistant patterns
    assert shares.whole[0] == shares.pattern[2] == 1
    assert 0 < shares.pattern[1] < 1


def test_minima_run_from_one_to_all_near_the_mean_field_spinodal():
    patterns = jr.normal(jr.key(4), (12, 16))
    patterns = patterns / jnp.linalg.norm(patterns, axis=1, keepdims=True)
    # Below 4 / diameter^2 the update is a contraction; far up, every pattern keeps to itself.
    guess = float(phase.beta_for_mean_field(patterns, phase.spinodal_beta(12)))
    counts = phase.count_minima(patterns, np.array([0.9, 0.5 * guess, 2 * guess, 50.0]))
    assert counts.tolist() == [1, 1, 12, 12]


def test_minima_of_clusters_carry_the_label_of_their_first_pattern():
    patterns = phase.cluster_patterns(4, 4, 0.9, 0.0, 32, 1.0, jr.key(0))
    found = phase.distinct_minima(patterns, 12.0)
    assert found.count == 4
    np.testing.assert_array_equal(found.label, np.repeat([0, 4, 8, 12], 4))


def test_single_precision_users_get_double_precision_thresholds():
    with jax.enable_x64(False):
        patterns = phase.equidistant_patterns(3, 5, 1.0, 0.0, jr.key(0))
        found = phase.simulate_thresholds(patterns)
    assert patterns.dtype == jnp.float32
    expected = phase.thresholds(3)
    for name in ("spinodal", "coexistence", "instability"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-3), name


def test_figure_data_of_thresholds_and_order_parameters():
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
    at = jax.jit(jax.vmap(lambda m: phase.energy(patterns, mean + m * (patterns[0] - mean), beta)))
    np.testing.assert_allclose(profile.energy[0], beta * (at(profile.m) - at(jnp.zeros(7))), atol=1e-12)


def test_energy_profiles_show_the_three_regimes():
    profile = phase.energy_profile_data(10)
    below, at, above = profile.energy
    inside = (profile.m > 0.05) & (profile.m < 1)
    assert (np.diff(below[inside]) > 0).all()
    assert at[inside].min() == pytest.approx(0, abs=1e-3)
    assert (above[inside] < 0).all()


def test_unequal_distances_show_the_ladder_of_minima():
    limits = phase.cluster_thresholds(3, 3, 0.9, 0.0)
    betas = np.array([0.9 * limits.cluster_minima_appear, 10.0, 1.1 * limits.pattern_minima_appear])
    found = phase.unequal_distance_data(betas, jr.key(0), per_side=3, dimension=12)
    assert found.cluster_minima.tolist() == [1, 3, 9]
    assert found.random_minima[0] <= found.random_minima[2] == 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: phase.hysteresis(np.eye(3), np.array([2.0, 1.0])), "strictly increasing"),
        (
            lambda: phase.hysteresis(np.eye(3), np.array([1.0, 2.0]), index=3),
            "`index` must name one of the 3",
        ),
        (lambda: phase.simulate_thresholds(np.ones((1, 2))), "two rows or more"),
        (lambda: phase.simulate_thresholds(np.ones((2, 2))), "two different rows"),
        (lambda: phase.simulate_thresholds(np.diag([1.0, 2.0])), "same product with their mean"),
        (lambda: phase.simulate_cluster_thresholds(np.eye(5), 2), "groups of two rows or more"),
        (lambda: phase.simulate_cluster_thresholds(np.eye(4), 4), "groups of two rows or more"),
        (lambda: phase.count_minima(np.full((2, 2), np.nan), np.ones(1)), r"rows \[0, 1\] hold NaN"),
        (lambda: phase.random_start_shares(np.eye(2), np.ones(1), starts=0, key=jr.key(0)), "`starts=0`"),
        (lambda: phase.collapse_data([], np.ones(1), jr.key(0)), "`geometries`"),
        (lambda: phase.energy_profile_data(1), "`n=1` must be a whole number, at least 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
