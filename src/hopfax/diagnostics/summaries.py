"""Summaries of residual traces: histograms and mean iterations, without the traces themselves."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike, Float, Int, Real

from .convergence import paper_iterations

DECADES = (
    -8.0,
    0.0,
)  # range of log10 of the relative residual: from the precision of float32 to the first step
BINS = 400
TOLERANCES = tuple(10.0 ** (half / 2) for half in range(-16, -3))  # 1e-8, in half decades, to 1e-2

Traces = Float[ArrayLike, "examples iterations"]


class TraceSummary(eqx.Module):
    """The numbers that a heat map needs of many residual traces.

    Attributes:
        counts: the number of examples in each bin of `log10` of the residual over [-8, 0], at each iteration.
        mean_iterations: the mean of `paper_iterations` at each of `TOLERANCES`, 1e-8 to 1e-2 in half decades.
        mean_at_tolerance: the mean of `paper_iterations` at the tolerance that is drawn.
    """

    counts: Real[np.ndarray, "bins iterations"]
    mean_iterations: Float[np.ndarray, " tolerances"]
    mean_at_tolerance: float


def summarise(traces: Traces, tolerance: float = 1e-4, bins: int = BINS) -> TraceSummary:
    """The summary of residual traces. Raises: `ValueError` for no examples, no iterations or no bins."""
    curve = np.array([mean_iterations(traces, value) for value in TOLERANCES])
    return TraceSummary(residual_histogram(traces, bins), curve, mean_iterations(traces, tolerance))


def residual_histogram(traces: Traces, bins: int = BINS) -> Int[np.ndarray, "bins iterations"]:
    """The number of examples in each bin of `log10` of the residual over [-8, 0], at each iteration.

    NaN is in no bin. Raises: `ValueError` for traces without examples or iterations, or no bins.
    Source: [goemaere2024], code.
    """
    matrix = as_matrix("traces", traces)
    if bins < 1:
        raise ValueError(f"`bins={bins}` must be at least 1.")
    with np.errstate(divide="ignore"):
        heights = np.log10(matrix)
    return np.stack([np.histogram(column, bins, DECADES)[0] for column in heights.T], axis=1)


def mean_iterations(traces: Traces, tolerance: float) -> float:
    """The mean over examples of `paper_iterations`: the index of the first residual below `tolerance`."""
    index = paper_iterations(jnp.asarray(as_matrix("traces", traces)), tolerance)
    return float(np.mean(np.asarray(index)))


def as_matrix(argument: str, traces: ArrayLike) -> np.ndarray:
    """`traces` as a matrix on the host. Raises: `ValueError` naming `argument` unless it is a non-empty matrix."""
    matrix = np.asarray(traces)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(
            f"`{argument}` has shape {matrix.shape}; give (examples, iterations) with at least one of each."
        )
    return matrix
