"""Summaries of residual traces: histograms and mean iterations."""

import numpy as np

from hopfax.diagnostics import residual_histogram, summarise
from hopfax.diagnostics.summaries import TOLERANCES, mean_iterations


def geometric(examples: int = 5, iterations: int = 20, factor: float = 0.1) -> np.ndarray:
    """Residuals `factor^(n + 1/2)`: never on the edge of a bin, and first below `factor^k` at index `k`."""
    return np.tile(factor ** (np.arange(iterations) + 0.5), (examples, 1))


def test_each_example_is_in_one_bin_at_each_iteration_while_in_range():
    counts = residual_histogram(geometric(examples=7))
    assert counts.shape == (400, 20)
    assert counts.sum(axis=0).tolist() == [7] * 8 + [0] * 12
    assert np.argmax(counts[:, :8], axis=0).tolist() == [400 - 50 * n - 25 for n in range(8)]


def test_nan_and_zero_residuals_are_in_no_bin():
    assert residual_histogram(np.array([[0.1, 0.0, np.nan]])).sum(axis=0).tolist() == [1, 0, 0]


def test_mean_iterations_of_a_geometric_sequence():
    assert [mean_iterations(geometric(), 10.0**-k) for k in range(1, 9)] == list(range(1, 9))


def test_an_example_that_never_converges_counts_as_the_maximum():
    traces = np.concatenate([geometric(1), np.ones((1, 20))])
    assert mean_iterations(traces, 1e-4) == (4 + 20) / 2


def test_a_summary_has_the_mean_at_each_tolerance():
    summary = summarise(geometric(), 1e-3, bins=8)
    assert summary.counts.shape == (8, 20)
    np.testing.assert_array_equal(summary.mean_iterations[::2], [8, 7, 6, 5, 4, 3, 2])
    assert len(summary.mean_iterations) == len(TOLERANCES)
    assert summary.mean_at_tolerance == 3
