"""Sets of patterns: the Gram matrix asked for, or an error that says why there is none."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopfax.memory import phase


def off_diagonal(n, value):
    return np.full((n, n), value) + (1 - value) * np.eye(n)


@given(n=st.integers(2, 8), extra=st.integers(-2, 3), cosine=st.floats(-1.0, 0.99))
@settings(max_examples=25, deadline=None)
def test_equidistant_patterns_exist_exactly_when_feasible(n, extra, cosine):
    dimension, bound = max(n + extra, 1), -1 / (n - 1)
    slack = 1 + (n - 1) * cosine
    if abs(slack) < 1e-6:
        cosine, slack = bound, 0.0
    patterns_of = lambda: phase.equidistant_patterns(n, dimension, 2.0, cosine, jr.key(n))
    if slack < 0 or dimension < (n if slack > 0 else n - 1):
        with pytest.raises(ValueError, match="`cosine` must be|`dimension` must be"):
            patterns_of()
        return
    patterns = patterns_of()
    assert patterns.shape == (n, dimension)
    np.testing.assert_allclose(patterns @ patterns.T, 4 * off_diagonal(n, cosine), atol=1e-10)


def test_orientation_comes_from_the_key():
    one, other = (phase.equidistant_patterns(4, 6, 1.0, 0.2, jr.key(seed)) for seed in (0, 1))
    assert jnp.max(jnp.abs(one - other)) > 0.1
    np.testing.assert_array_equal(one, phase.equidistant_patterns(4, 6, 1.0, 0.2, jr.key(0)))


@pytest.mark.parametrize(
    ("within", "across", "dimension"),
    [(0.9, 0.0, 12), (0.5, 0.2, 20), (0.9, -1 / 3 * (1 + 3 * 0.9) / 4 * 1.5, 16)],
)
def test_cluster_gram(within, across, dimension):
    clusters, per_cluster, norm = 3, 4, 1.5
    patterns = phase.cluster_patterns(clusters, per_cluster, within, across, dimension, norm, jr.key(3))
    own = np.kron(np.eye(clusters), np.ones((per_cluster, per_cluster)))
    gram = norm**2 * (own * off_diagonal(12, within) + (1 - own) * across)
    np.testing.assert_allclose(patterns @ patterns.T, gram, atol=1e-10)


def test_cluster_means_on_a_simplex_need_one_dimension_less():
    across = -(1 + 0.5) / 2 / 2  # three cluster means that sum to zero
    patterns = phase.cluster_patterns(3, 2, 0.5, across, 5, 1.0, jr.key(0))
    np.testing.assert_allclose(patterns.sum(axis=0), np.zeros(5), atol=1e-12)
    with pytest.raises(ValueError, match="`dimension` must be at least 5"):
        phase.cluster_patterns(3, 2, 0.5, across, 4, 1.0, jr.key(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clusters": 1}, "`clusters=1` must be a whole number, at least 2"),
        ({"per_cluster": 1}, "`per_cluster=1` must be a whole number, at least 2"),
        ({"within": 1.0}, "`within` must be"),
        ({"across": 0.6}, "`across` must be below `within`"),
        ({"across": -0.6}, "`across` must be at least -0.35"),
        ({"norm": 0.0}, "`norm` must be positive"),
        ({"dimension": 5}, "`dimension` must be at least 6"),
    ],
)
def test_errors_of_clusters_say_what_to_change(change, message):
    good = {"clusters": 3, "per_cluster": 2, "within": 0.4, "across": 0.0, "dimension": 6, "norm": 1.0}
    with pytest.raises(ValueError, match=message):
        phase.cluster_patterns(**(good | change), key=jr.key(0))
