"""The metric memory is the conditional mean of a mixture of Gaussians, computed here by NumPy and SciPy."""

import re

import jax.random as jr
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import multivariate_normal

from hopfax.memory import Mahalanobis, Memory
from hopfax.memory.recall import recall_batch

COUNT, WIDTH, RIDGE = 23, 5, 0.2
MIXING = np.asarray(jr.normal(jr.key(0), (WIDTH, WIDTH)))
PATTERNS = np.asarray(jr.normal(jr.key(1), (COUNT, WIDTH))) @ MIXING
QUERIES = np.asarray(jr.normal(jr.key(2), (4, WIDTH))) @ MIXING
KNOWN = np.array([[1, 1, 0, 0, 1], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)


def conditional_mean(query, known, neighbours, beta):
    """The mean of Gaussians around the neighbours of a query given its known elements, and their weights."""
    patterns = PATTERNS[nearest(query, known, neighbours)]
    covariance = np.cov(patterns.T, bias=True)
    covariance = covariance + RIDGE * np.trace(covariance) / WIDTH * np.eye(WIDTH)
    inner = covariance[np.ix_(known, known)]
    density = [multivariate_normal(row[known], inner / beta).pdf(query[known]) for row in patterns]
    gain = covariance[:, known] @ np.linalg.inv(inner)
    means = [row + gain @ (query[known] - row[known]) for row in patterns]
    weights = np.array(density) / np.sum(density)
    return weights @ means, weights


def nearest(query, known, neighbours):
    return np.argsort(cdist(query[None, known], PATTERNS[:, known])[0])[:neighbours]


@pytest.mark.parametrize("neighbours", [9, 1024])
def test_recall_is_the_conditional_mean_of_gaussians_around_the_neighbours(neighbours):
    memory = Memory.store(PATTERNS, 0.7, metric=Mahalanobis(neighbours, RIDGE), chunk=6)
    recalled = memory.recall(np.where(KNOWN, QUERIES, np.nan), KNOWN)
    for i in range(3):
        mean, weights = conditional_mean(QUERIES[i], KNOWN[i], neighbours, 0.7)
        np.testing.assert_allclose(recalled.state[i], mean, atol=1e-10)
        index = nearest(QUERIES[i], KNOWN[i], neighbours)
        assert recalled.index[i] == index[np.argmax(weights)]
        assert recalled.weight[i] == pytest.approx(weights.max(), rel=1e-9)
    np.testing.assert_array_equal(recalled.state[KNOWN], QUERIES[KNOWN])
    np.testing.assert_allclose(recalled.state[3], PATTERNS.mean(axis=0))
    assert recalled.converged.all()


def test_at_low_beta_it_is_linear_regression_on_all_neighbours():
    memory = Memory.store(PATTERNS, 1e-12, metric=Mahalanobis(ridge=1e-12))
    states = memory.recall(QUERIES[:2], KNOWN[:2]).state
    for state, query, known in zip(states, QUERIES, KNOWN, strict=False):
        mean = PATTERNS.mean(axis=0)
        slopes = np.linalg.lstsq((PATTERNS - mean)[:, known], PATTERNS - mean, rcond=None)[0]
        np.testing.assert_allclose(state, mean + (query - mean)[known] @ slopes, atol=1e-7)


def test_at_high_beta_a_stored_pattern_is_recalled_from_a_part():
    memory = Memory.store(PATTERNS, 1e6, metric=Mahalanobis())
    recalled = memory.recall(np.where(KNOWN[0], PATTERNS, np.nan), np.broadcast_to(KNOWN[0], PATTERNS.shape))
    np.testing.assert_allclose(recalled.state, PATTERNS, atol=1e-8)
    np.testing.assert_array_equal(recalled.index, np.arange(COUNT))


def test_values_are_mixed_with_the_weights_and_a_file_holds_the_metric(tmp_path):
    values = np.asarray(jr.normal(jr.key(3), (COUNT, 2)))
    memory = Memory.store(PATTERNS, 0.7, values=values, metric=Mahalanobis(9, RIDGE))
    _, weights = conditional_mean(QUERIES[0], KNOWN[0], 9, 0.7)
    recalled = memory.recall(QUERIES[0], KNOWN[0])
    expected = weights @ values[nearest(QUERIES[0], KNOWN[0], 9)]
    np.testing.assert_allclose(recalled.value, expected, atol=1e-10)
    memory.save(tmp_path / "memory.safetensors")
    loaded = Memory.load(tmp_path / "memory.safetensors")
    assert loaded.metric == memory.metric
    np.testing.assert_array_equal(loaded.recall(QUERIES[0], KNOWN[0]).state, recalled.state)


def test_the_calibrated_beta_suits_points_on_a_curve_and_a_gaussian():
    """Linear regression is right for the Gaussian, and far from it on the curve."""
    angle = 2 * np.pi * np.asarray(jr.uniform(jr.key(4), (500,)))
    curve = np.stack([np.sin((i + 1) * angle + i) for i in range(WIDTH)], axis=1)
    normal = np.asarray(jr.normal(jr.key(5), (500, WIDTH))) @ MIXING
    known = np.arange(WIDTH) < 3
    ratios = []
    for data in (curve, normal):
        queries = data[400:]
        memories = [Memory.store(data[:400], beta, metric=Mahalanobis(ridge=0.01)) for beta in ("auto", 1e-9)]
        states = [memory.recall(queries, np.broadcast_to(known, queries.shape)).state for memory in memories]
        own, linear = (np.sum(np.square(state - queries)) for state in states)
        ratios.append(own / linear)
    assert ratios[0] < 0.2
    assert ratios[1] < 1.1


@pytest.mark.slow
def test_a_memory_with_a_metric_that_grew_and_shrank_is_one_of_the_patterns_it_has():
    """With more neighbours than patterns, rows in reserve are none of them."""
    values, metric = np.arange(2.0 * COUNT).reshape(COUNT, 2), Mahalanobis(ridge=RIDGE)
    make = lambda rows: Memory.store(PATTERNS[rows], 0.7, values=values[rows], metric=metric, chunk=6)
    grown = make(np.arange(16)).add(PATTERNS[16:], values[16:])
    left = np.delete(np.arange(COUNT), [0, 5, 16])
    for memory, expected in ((grown, make(np.arange(COUNT))), (grown.remove([0, 5, 16]), make(left))):
        assert len(memory.stored.patterns) > len(memory.patterns)
        result, whole = memory.recall(QUERIES, KNOWN), expected.recall(QUERIES, KNOWN)
        for name in ("state", "kind", "index", "size", "weight", "confidence", "value"):
            np.testing.assert_allclose(getattr(result, name), getattr(whole, name), atol=1e-12, err_msg=name)
        np.testing.assert_array_equal(metric.calibrate(memory.stored), metric.calibrate(expected.stored))


def test_equal_patterns_are_recalled():
    memory = Memory.store(np.ones((4, 3)), 1.0, metric=Mahalanobis())
    recalled = memory.recall(np.array([1.0, np.nan, 1.0]), np.array([True, False, True]))
    np.testing.assert_allclose(recalled.state, np.ones(3))


def test_lapack_is_called_for_one_matrix_at_a_time():
    """In JAX 0.10, two calls for batches at the same time can wait for ever for each other's threads."""
    memory = Memory.store(PATTERNS, 0.7, metric=Mahalanobis())
    arguments = memory.stored, memory.beta, None, memory.metric, QUERIES, KNOWN
    code = recall_batch.lower(*arguments, limits=(1e-5, 10), candidates=3).as_text()
    batches = re.findall(r'lapack_.*num_batch_dims = "(\d)"', code)
    assert set(batches) == {"0"}
