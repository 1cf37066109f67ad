"""The kind of a state: the average over all patterns, over a subset of them, or one pattern."""

import enum

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..._internal.checks import require
from ..modern import ModernHopfield

LEAST_CONTRAST = 0.25  # of the weights of members beyond those of the others; below it a state is global


class StateKind(enum.IntEnum):
    """The three kinds of states, in the order of falling size."""

    GLOBAL = 0
    SUBSET = 1
    PATTERN = 2


class StateClassification(eqx.Module):
    """The patterns that a state averages over.

    Args:
        kind: a `StateKind`.
        members: the patterns averaged over.
        size: their number.
        index: the pattern with the largest weight.
        confidence: `Σ min(p_i, u_i)`, from 0 to 1, with equal weights `u` for the members: 1 for a state
            exactly of its kind.
        contrast: the weight of the members beyond the background, `k (a - b)`, from 0 to 1.
    """

    kind: Int[Array, ""]
    members: Bool[Array, " patterns"]
    size: Int[Array, ""]
    index: Int[Array, ""]
    confidence: Float[Array, ""]
    contrast: Float[Array, ""]


def classify(
    network: ModernHopfield, state: Float[Array, " dimension"], *, least_contrast: float = LEAST_CONTRAST
) -> StateClassification:
    """Splits the weights `p` of the state into `k` large and `N - k` small ones; `k` gives the kind.

    The fixed points of equidistant patterns have weights of two values, so `k` is the split with the least squared
    deviation from the two means `a` and `b`. The members exceed the background by `k (a - b)` in all; below
    `least_contrast` the state is global. Batch with `jax.vmap`.

    Raises: `ValueError` for fewer than two patterns, or a state of another width.
    """
    count = len(network.patterns)
    require(count >= 2, f"`network` must store two patterns or more to tell kinds of states, got {count}.")
    return classify_weights(network.weights(state), least_contrast)


def classify_weights(
    p: Float[Array, " patterns"], least_contrast: float = LEAST_CONTRAST
) -> StateClassification:
    """`classify` of a state with these weights."""
    n = p.size
    size, contrast = split(-jnp.sort(-p)[:-1], n)
    apart = contrast >= least_contrast
    size = jnp.where(apart, size, n)
    kind = jnp.where(apart, jnp.where(size == 1, StateKind.PATTERN, StateKind.SUBSET), StateKind.GLOBAL)
    members = jnp.argsort(jnp.argsort(-p)) < size
    confidence = jnp.sum(jnp.where(members, jnp.minimum(p, 1 / size), 0.0))
    return StateClassification(kind, members, size, jnp.argmax(p), confidence, contrast)


def split(ranked: Float[Array, " k"], n: int | Int[Array, ""]) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """The best split `k` of `n` weights, of which `ranked` are the largest in falling order, and its `k (a - b)`.

    `k` is at most the number of `ranked` weights, and less than `n`.
    """
    k = jnp.arange(1, ranked.size + 1)
    top = jnp.cumsum(ranked)
    gap = top / k - (1 - top) / jnp.maximum(n - k, 1)
    # Least deviation within the two groups is largest deviation between them, k (N - k) (a - b)^2 / N.
    best = jnp.argmax(jnp.where(k < n, k * (n - k) * gap**2, -1))
    return k[best], k[best] * gap[best]


def order_parameter(
    network: ModernHopfield, state: Float[Array, " dimension"], index: int | None = None
) -> Float[Array, ""]:
    """`m = (N p_i - 1) / (N - 1)`: 0 at the centroid, 1 at pattern `i` alone, `a - b` at pattern states.

    `p` are the weights of `state`, and `i` is `index`, by default the pattern with the largest weight.
    """
    n, p = network.patterns.shape[0], network.weights(state)
    return (n * (jnp.max(p) if index is None else p[index]) - 1) / (n - 1)
