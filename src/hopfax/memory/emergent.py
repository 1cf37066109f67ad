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
    states, radius = np.asarray(recalled.state[recalled.converged]), merge * float(memory.stored.scale())
    label, first = distinct_states(states, radius)
    minima, patterns = states[first], np.asarray(memory.patterns)
    apart = [np.min(np.linalg.norm(patterns - state, axis=1)) > radius for state in minima]
    return EmergentMinima(minima, np.bincount(label, minlength=len(first)), np.asarray(apart, bool))


def distinct_states(
    states: Float[np.ndarray, "states dimension"], radius: float
) -> tuple[Int[np.ndarray, " states"], Int[np.ndarray, " distinct"]]:
    """The group of each state, at most `radius` from the first of the group, and the numbers of these first states."""
    label, first = np.full(len(states), -1), []
    while (label < 0).any():
        i = int(np.argmin(label >= 0))
        near = np.linalg.norm(states - states[i], axis=1) <= radius
        label[near & (label < 0)] = len(first)
        first.append(i)
    return label, np.asarray(first, int)
