"""Emergent minima: states that a memory recalls and that are no stored pattern."""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

from .._internal.checks import check_positive
from .memory import Memory


class EmergentMinima(eqx.Module):
    """The different states that recall converged to.

    Args:
        states: in rows.
        starts: how many starts ended in each.
        emergent: which of them are no stored pattern.
    """

    states: Float[np.ndarray, "minima dimension"]
    starts: Int[np.ndarray, " minima"]
    emergent: Bool[np.ndarray, " minima"]


def emergent_minima(
    memory: Memory,
    starts: Real[Array | np.ndarray, "starts dimension"],
    *,
    merge: float = 1e-3,
    max_steps: int = 1000,
) -> EmergentMinima:
    """Recalls from `starts` and counts the different states, and those of them that are no pattern.

    Starts at the means of near patterns find the minima that several patterns share. States that did not converge are
    left out. Needs memory for minima * starts numbers.

    Args:
        merge: states at most this fraction of the largest norm of a pattern apart count as one.
    Raises: `ValueError` for bad starts, or `merge` not positive.
    Source: [hoover2025], which calls them emergent memories.
    """
    check_positive("merge", merge)
    recalled = memory.recall(np.atleast_2d(np.asarray(starts)), max_steps=max_steps)
    left, states, counts = recalled.state[recalled.converged], [], []
    radius = merge * float(memory.stored.scale())
    while len(left):
        same = np.linalg.norm(left - left[0], axis=1) <= radius
        states.append(left[0])
        counts.append(int(same.sum()))
        left = left[~same]
    minima = np.asarray(states).reshape(-1, recalled.state.shape[1])
    patterns = np.asarray(memory.patterns)
    apart = [np.min(np.linalg.norm(patterns - state, axis=1)) > radius for state in minima]
    return EmergentMinima(minima, np.asarray(counts, int), np.asarray(apart, bool))
