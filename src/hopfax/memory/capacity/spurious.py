"""The attractors of a memory: stored patterns, their inverses, mixtures of three patterns, and others."""

import enum

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key, ScalarLike

from ..._internal.checks import as_integer, require
from .memories import Store

Patterns = Float[Array, "patterns neurons"]
States = Float[Array, "states neurons"]


class AttractorKind(enum.IntEnum):
    """Kinds of attractors of memories of signs. A mixture is `sign(±a ±b ±c)` of three patterns. Source: [amit1985]."""

    PATTERN = 0
    INVERSE = 1
    MIXTURE = 2
    OTHER = 3


class AttractorCensus(eqx.Module):
    """The attractors that random starts ended in.

    Args:
        starts: how many.
        fraction: of the starts that ended in each `AttractorKind`.
        distinct: how many different states of each kind were reached.
    """

    starts: int
    fraction: Float[np.ndarray, " kinds"]
    distinct: Int[np.ndarray, " kinds"]


def census(
    store: Store,
    patterns: Patterns,
    starts: int,
    key: Key[Array, ""],
    *,
    overlap: float = 0.95,
    merge: float = 0.99,
) -> AttractorCensus:
    """Recalls random signs and classifies the states they end in.

    Args:
        overlap: a state is of a kind if its cosine with a state of that kind is at least this.
        merge: states with at least this cosine count as the same.
    Raises: `ValueError` for fewer than three patterns, `starts < 1`, or cosines outside (0, 1].
    """
    require(len(patterns) >= 3, f"`number of patterns` must be at least 3, got {len(patterns)}.")
    starts = as_integer("starts", starts, 1)
    require(
        0 < overlap <= 1 and 0 < merge <= 1, f"`overlap` {overlap} and `merge` {merge} must lie in (0, 1]."
    )
    queries = jr.rademacher(key, (starts, patterns.shape[1]), patterns.dtype)
    states = store(patterns)(queries)
    kinds, first = (np.asarray(x) for x in _kinds_and_first(patterns, states, overlap, merge))
    count = lambda chosen: np.bincount(kinds[chosen], minlength=len(AttractorKind))
    return AttractorCensus(starts, count(np.ones(starts, bool)) / starts, count(first))


@jax.jit
def _kinds_and_first(
    patterns: Patterns, states: States, overlap: ScalarLike, merge: ScalarLike
) -> tuple[Array, Array]:
    """The kinds of the states, and whether each is the first of those that count as the same."""
    same = _cosines(states, states) >= merge
    first = jnp.argmax(same, axis=1) == jnp.arange(states.shape[0])
    return classify_attractors(patterns, states, overlap), first


def classify_attractors(
    patterns: Patterns, states: States, overlap: ScalarLike = 0.95
) -> Int[Array, " states"]:
    """The `AttractorKind` of each state, at a cosine of at least `overlap`."""
    cosines = _cosines(states, patterns)
    closest = jax.lax.top_k(jnp.abs(cosines), 3)[1]
    signs = jnp.sign(jnp.take_along_axis(cosines, closest, axis=1))
    mixtures = jnp.sign(jnp.sum(patterns[closest] * signs[:, :, None], axis=1))
    is_mixture = jnp.sum(_unit(mixtures) * _unit(states), axis=1) >= overlap
    kind = jnp.where(is_mixture, AttractorKind.MIXTURE, AttractorKind.OTHER)
    kind = jnp.where(jnp.min(cosines, axis=1) <= -jnp.asarray(overlap), AttractorKind.INVERSE, kind)
    return jnp.where(jnp.max(cosines, axis=1) >= overlap, AttractorKind.PATTERN, kind)


def _cosines(a: States, b: Patterns) -> Float[Array, "states patterns"]:
    return _unit(a) @ _unit(b).T


def _unit(rows: States) -> States:
    norms = jnp.linalg.norm(rows, axis=1, keepdims=True)
    return rows / jnp.where(norms > 0, norms, 1)
