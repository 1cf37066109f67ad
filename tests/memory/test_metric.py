"""The metric memory is the conditional mean of a density estimate, computed here by NumPy and SciPy."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal

from hopfax.memory import Kernel, Mahalanobis, Memory
from hopfax.memory.sharded import ShardedPatterns
from hopfax.memory.similarities import Euclidean

COUNT, WIDTH = 23, 5
MIXING = np.asarray(jr.normal(jr.key(0), (WIDTH, WIDTH)))
PATTERNS = np.asarray(jr.normal(jr.key(1), (COUNT, WIDTH))) @ MIXING
QUERIES = np.asarray(jr.normal(jr.key(2), (4, WIDTH))) @ MIXING
KNOWN = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
BETA = 0.7
MEMORY = Memory.store(PATTERNS, BETA, metric=Mahalanobis(ridge=0.2, neighbours=3), chunk=6)


def conditional_mean(query, known, patterns, covariance):
    """The mean of a mixture of Gaussians given the known elements, and the weights of its components."""
    if not known.any():
        return patterns.mean(axis=0), np.full(len(patterns), 1 / len(patterns))
    inner = covariance[np.ix_(known, known)]
    density = [multivariate_normal(row[known], inner).pdf(query[known]) for row in patterns]
    gain = covariance[:, known] @ np.linalg.inv(inner)
    means = [row + gain @ (query[known] - row[known]) for row in patterns]
    weights = np.array(density) / np.sum(density)
    return weights @ means, weights


def test_the_covariance_is_that_of_differences_to_neighbours():
    distances = cdist(PATTERNS, PATTERNS) + np.diag(np.full(COUNT, np.inf))
    nearest = np.argsort(distances, axis=1)[:, :3]
    differences = (PATTERNS[:, None] - PATTERNS[nearest]).reshape(-1, WIDTH)
    local = differences.T @ differences / len(differences)
    expected = local + 0.2 * np.trace(local) / WIDTH * np.eye(WIDTH)
    np.testing.assert_allclose(MEMORY.kernel.covariance, expected, rtol=1e-10)


def test_recall_is_the_conditional_mean_of_the_mixture_of_gaussians():
    recalled = MEMORY.recall(np.where(KNOWN, QUERIES, np.nan), KNOWN)
    covariance = np.asarray(MEMORY.kernel.covariance) / BETA
    for i in range(len(QUERIES)):
        mean, weights = conditional_mean(QUERIES[i], KNOWN[i], PATTERNS, covariance)
        np.testing.assert_allclose(recalled.state[i], mean, atol=1e-10)
        if KNOWN[i].any():
            assert recalled.index[i] == np.argmax(weights)
            assert recalled.weight[i] == pytest.approx(weights.max(), rel=1e-9)
    np.testing.assert_array_equal(recalled.state[KNOWN], QUERIES[KNOWN])
    assert recalled.converged.all()


def test_at_low_beta_it_is_linear_regression_on_the_mean_of_all_patterns():
    covariance = np.cov(PATTERNS.T)
    stored = ShardedPatterns(jnp.asarray(PATTERNS), Euclidean(), COUNT, 6)
    kernel, arguments = Kernel(jnp.asarray(covariance), COUNT), (jnp.asarray(QUERIES[:2]), jnp.asarray(KNOWN[:2]))
    complete = lambda beta: kernel.complete(stored, *arguments, beta, None, 1)[0]
    states = jax.jit(complete)(jnp.asarray(1e-12))
    for state, query, known in zip(states, QUERIES[:2], KNOWN[:2], strict=True):
        slopes = np.linalg.lstsq(PATTERNS[:, known] - PATTERNS[:, known].mean(axis=0), PATTERNS, rcond=None)[0]
        line = PATTERNS.mean(axis=0) + (query - PATTERNS.mean(axis=0))[known] @ slopes
        np.testing.assert_allclose(state[~known], line[~known], atol=1e-8)


def test_a_short_list_is_a_memory_of_the_nearest_patterns():
    known, query = KNOWN[0], QUERIES[0]
    memory = Memory.store(PATTERNS, BETA, metric=Mahalanobis(ridge=0.2, neighbours=3, shortlist=7), chunk=6)
    nearest = np.argsort(cdist(query[None, known], PATTERNS[:, known])[0])[:7]
    covariance = np.asarray(MEMORY.kernel.covariance) / BETA
    mean, _ = conditional_mean(query, known, PATTERNS[nearest], covariance)
    np.testing.assert_allclose(memory.recall(query, known).state, mean, atol=1e-10)


def test_values_are_mixed_with_the_weights_and_a_file_holds_the_metric(tmp_path):
    values = np.asarray(jr.normal(jr.key(3), (COUNT, 2)))
    memory = Memory.store(PATTERNS, BETA, values=values, metric=Mahalanobis(ridge=0.2, neighbours=3))
    covariance = np.asarray(memory.kernel.covariance) / BETA
    _, weights = conditional_mean(QUERIES[0], KNOWN[0], PATTERNS, covariance)
    recalled = memory.recall(QUERIES[0], KNOWN[0])
    np.testing.assert_allclose(recalled.value, weights @ values, atol=1e-10)
    memory.save(tmp_path / "memory.safetensors")
    again = Memory.load(tmp_path / "memory.safetensors").recall(QUERIES[0], KNOWN[0])
    np.testing.assert_array_equal(again.state, recalled.state)


def test_beta_is_low_for_one_gaussian_and_high_for_points_on_a_curve():
    normal = np.asarray(jr.normal(jr.key(4), (400, WIDTH))) @ MIXING
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    curve = np.stack([np.sin((i + 1) * angle + i) for i in range(WIDTH)], axis=1)
    low, high = (float(Memory.store(x, metric=Mahalanobis(ridge=0.01)).beta) for x in (normal, curve))
    assert low < 0.2 < 1 < high


def test_equal_patterns_are_recalled():
    memory = Memory.store(np.ones((4, 3)), 1.0, metric=Mahalanobis())
    recalled = memory.recall(np.array([1.0, np.nan, 1.0]), np.array([True, False, True]))
    np.testing.assert_allclose(recalled.state, np.ones(3))
