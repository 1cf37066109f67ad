"""Consolidation: groups of patterns that a memory recalls as one are replaced by their means."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from .._internal.checks import as_integer, check_positive, require
from .._internal.numerics import bisect
from .emergent import distinct_states
from .memory import Memory

_HALVINGS = 40  # of beta; if recall then still ends at more states, no lower beta merges them


class Consolidation(eqx.Module):
    """What became of the patterns.

    Args:
        patterns: the mean of each group, in rows.
        values: the mean of the values of each group, where the memory has values.
        label: the group of each pattern.
        beta: the inverse temperature at which the patterns of a group are recalled as one.
    """

    patterns: Float[np.ndarray, "groups dimension"]
    values: Float[np.ndarray, "groups outputs"] | None
    label: Int[np.ndarray, " patterns"]
    beta: float


def consolidate(memory: Memory, count: int, *, rtol: float = 0.01, merge: float = 1e-3) -> Consolidation:
    """At most `count` groups of patterns, each recalled as one state at a lower `beta`, and their means.

    As `beta` falls, minima of close patterns merge. `beta` is halved, then bisected to `rtol`, until recall from all
    patterns ends at no more than `count` states. `Memory.store(result.patterns)` is the smaller memory, with a `beta`
    calibrated anew. Each recall compares all patterns with all.

    Args:
        count: at least 2, less than the number of patterns.
        merge: states at most this fraction of the largest norm of a pattern apart count as one.
    Raises: `ValueError` for another `count`, `rtol` or `merge` not positive, or where more states are recalled at any
        `beta`. Derived here.
    """
    number = int(memory.stored.number)
    count = as_integer("count", count, 2)
    require(count < number, f"`count={count}` must be less than the {number} patterns.")
    check_positive("rtol", rtol)
    check_positive("merge", merge)
    patterns, radius = np.asarray(memory.patterns), merge * float(memory.stored.scale())

    def labels(beta: float) -> np.ndarray:
        warmer = dataclasses.replace(memory, beta=jnp.asarray(beta, memory.beta.dtype), values=None)
        return distinct_states(np.asarray(warmer.recall(patterns, max_steps=1000).state), radius)[0]

    holds = lambda beta: labels(beta).max() < count
    betas = (float(memory.beta) / 2**i for i in range(_HALVINGS + 1))
    low = next(filter(holds, betas), None)
    if low is None:
        raise ValueError(f"`count={count}` is not reached at any beta; take more.")
    middle, close = lambda a, b: (a * b) ** 0.5, lambda yes, no: no <= yes * (1 + rtol)
    beta = bisect(holds, low, 2 * low, middle=middle, close=close)[0]
    label = labels(beta)
    values = None if memory.values is None else _means(np.asarray(memory.values)[:number], label)
    return Consolidation(_means(patterns, label), values, label, beta)


def _means(rows: Float[np.ndarray, "patterns width"], label: Int[np.ndarray, " patterns"]) -> np.ndarray:
    """The mean of the rows of each group."""
    return np.stack([rows[label == group].mean(axis=0) for group in range(label.max() + 1)])
