"""What kinds of states a memory comes to rest in: patterns, their inverses, mixtures of three, and others."""

import enum

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key, ScalarLike

from ..._internal.checks import require, as_integer
from .memories import Store

Patterns = Float[Array, "patterns neurons"]
States = Float[Array, "states neurons"]


class Outcome(enum.IntEnum):
    """Kinds of resting states of memories of signs. A mixture is `sign(±a ±b ±c)` of three patterns."""

    PATTERN = 0
    INVERSE = 1
    MIXTURE = 2
    OTHER = 3


class Census(eqx.Module):
    """Of random starts: `share` that end in each `Outcome`, and how many `distinct` states of each were
    seen.
    """

    starts: int
    share: Float[np.ndarray, " outcomes"]
    distinct: Int[np.ndarray, " outcomes"]


def census(
    store: Store,
    patterns: Patterns,
    starts: int,
    key: Key[Array, ""],
    *,
    overlap: float = 0.95,
    merge: float = 0.99,
) -> Census:
    """Recalls random signs and sorts where they end by cosine: at least `overlap` is a hit, `merge` the same
    state.

    Raises: `ValueError` for fewer than three patterns, `starts < 1`, or cosines outside (0, 1].
    """
    require(len(patterns) >= 3, f"`number of patterns` must be at least 3, got {len(patterns)}.")
    starts = as_integer("starts", starts, 1)
    require(
        0 < overlap <= 1 and 0 < merge <= 1, f"`overlap` {overlap} and `merge` {merge} must lie in (0, 1]."
    )
    queries = jr.rademacher(key, (starts, patterns.shape[1]), patterns.dtype)
    states = store(patterns)(queries)
    kinds, first = (np.asarray(x) for x in _sorted(patterns, states, overlap, merge))
    count = lambda chosen: np.bincount(kinds[chosen], minlength=len(Outcome))
    return Census(starts, count(np.ones(starts, bool)) / starts, count(first))


@jax.jit
def _sorted(
    patterns: Patterns, states: States, overlap: ScalarLike, merge: ScalarLike
) -> tuple[Array, Array]:
    """Kinds of the states, and which are the first of their like."""
    same = _cosines(states, states) >= merge
    return outcomes(patterns, states, overlap), jnp.argmax(same, axis=1) == jnp.arange(states.shape[0])


def outcomes(patterns: Patterns, states: States, overlap: ScalarLike = 0.95) -> Int[Array, " states"]:
    """The `Outcome` of each state."""
    cosines = _cosines(states, patterns)
    top = jax.lax.top_k(jnp.abs(cosines), 3)[1]
    signs = jnp.sign(jnp.take_along_axis(cosines, top, axis=1))
    blends = jnp.sign(jnp.sum(patterns[top] * signs[:, :, None], axis=1))
    blended = jnp.sum(_unit(blends) * _unit(states), axis=1) >= overlap
    rest = jnp.where(blended, Outcome.MIXTURE, Outcome.OTHER)
    inverse = jnp.where(jnp.min(cosines, axis=1) <= -jnp.asarray(overlap), Outcome.INVERSE, rest)
    return jnp.where(jnp.max(cosines, axis=1) >= overlap, Outcome.PATTERN, inverse)


def _cosines(a: States, b: Patterns) -> Float[Array, "states patterns"]:
    return _unit(a) @ _unit(b).T


def _unit(rows: States) -> States:
    norms = jnp.linalg.norm(rows, axis=1, keepdims=True)
    return rows / jnp.where(norms > 0, norms, 1)
