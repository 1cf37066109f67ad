"""The stability test against the full Jacobian, and distinct minima against what theory expects."""

import functools as ft

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import EvenOdd, ModernHopfield
from hopfax.diagnostics import spectral_radius
from hopfax.lagrangians import Linear, Tanh
from hopfax.lagrangians.separations import Entmax, Polynomial, Sparsemax
from hopfax.memory import phase
from hopfax.memory.similarities import Euclidean

PATTERNS = jr.normal(jr.key(1), (5, 4))
NETWORKS = {
    "more patterns than dimensions": ModernHopfield(PATTERNS, 0.5),
    "fewer": ModernHopfield(PATTERNS[:3], 0.5),
    "euclidean": ModernHopfield(PATTERNS[:3], 0.5, similarity=Euclidean()),
    "sparsemax": ModernHopfield(PATTERNS[:3], 0.2, separation=Sparsemax),
    "entmax": ModernHopfield(PATTERNS[:3], 0.2, separation=ft.partial(Entmax, 1.5)),
    "polynomial": ModernHopfield(PATTERNS[:3], 0.5, separation=ft.partial(Polynomial, 3)),
    "visible gain": ModernHopfield(PATTERNS[:3], 0.5, visible=Linear(0.7)),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_largest_eigenvalue_is_that_of_the_jacobian(network):
    def both(x):
        return jnp.linalg.eigvals(network.jacobian(x)), phase.largest_eigenvalue(network, x)

    state = network.update(PATTERNS[0])
    eigenvalues, largest = jax.jit(both)(state)
    np.testing.assert_allclose(largest, np.max(np.real(eigenvalues)), rtol=1e-10)


def test_largest_eigenvalue_is_the_spectral_radius_of_the_ham():
    network = NETWORKS["fewer"]
    states = {"visible": network.retrieve(PATTERNS[0]).state}
    radius = spectral_radius(network.ham(), {}, states, EvenOdd(), key=jr.key(0))
    np.testing.assert_allclose(phase.largest_eigenvalue(network, states["visible"]), radius, rtol=1e-9)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3)])
def test_equal_patterns_have_no_direction_to_leave_by(shape):
    patterns = jnp.ones(shape)
    assert jax.jit(phase.largest_eigenvalue)(ModernHopfield(patterns, 5.0), patterns[0]) == 0


def test_minimum_is_a_fixed_point_with_all_eigenvalues_below_one():
    patterns, centroid = jnp.eye(6), jnp.full(6, 1 / 6)
    is_minimum = jax.jit(lambda beta, x: phase.is_minimum(ModernHopfield(patterns, beta), x))
    assert is_minimum(5.99, centroid)
    assert not is_minimum(6.01, centroid)
    assert not is_minimum(4.0, patterns[0])  # low curvature, but not a fixed point


def test_visible_neurons_that_are_not_linear_are_refused():
    with pytest.raises(ValueError, match="`network.visible` must be linear"):
        phase.largest_eigenvalue(ModernHopfield(PATTERNS, 1.0, visible=Tanh()), PATTERNS[0])


def test_cluster_averages_are_minima_exactly_between_their_thresholds():
    patterns = phase.cluster_patterns(4, 4, 0.9, 0.0, 32, 1.0, jr.key(0))
    limits, start = phase.cluster_thresholds(4, 4, 0.9, 0.0), patterns[:4].mean(axis=0)

    @jax.jit
    def is_subset_minimum(beta):
        network = ModernHopfield(patterns, beta)
        state = network.retrieve(start).state
        kind = phase.classify(network, state).kind
        return phase.is_minimum(network, state) & (kind == phase.StateKind.SUBSET)

    appear, leave = limits.cluster_minima_appear, limits.cluster_means_unstable
    betas = (0.999 * appear, 1.001 * appear, 0.999 * leave, 1.001 * leave)
    assert [bool(is_subset_minimum(beta)) for beta in betas] == [False, True, True, False]


def test_minima_run_from_one_to_all_near_the_mean_field_spinodal():
    patterns = jr.normal(jr.key(4), (12, 16))
    patterns = patterns / jnp.linalg.norm(patterns, axis=1, keepdims=True)
    # Below 4 / diameter^2 the update is a contraction; far above, every pattern is a minimum of its own.
    guess = float(phase.beta_for_mean_field(patterns, phase.spinodal_beta(12)))
    counts = phase.count_minima(patterns, np.array([0.9, 0.5 * guess, 2 * guess, 50.0]))
    assert counts.tolist() == [1, 1, 12, 12]


def test_minima_of_clusters_carry_the_label_of_their_first_pattern():
    patterns = phase.cluster_patterns(4, 4, 0.9, 0.0, 32, 1.0, jr.key(0))
    minima = phase.distinct_minima(ModernHopfield(patterns, 12.0))
    assert minima.count == 4
    np.testing.assert_array_equal(minima.label, np.repeat([0, 4, 8, 12], 4))
