"""What a state stands for: the average over all patterns, over a subset of them, or one pattern."""

import enum

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from ..._internal.checks import require
from .dynamics import association


class Kind(enum.IntEnum):
    """The three kinds of state, in the order of falling size."""

    GLOBAL = 0
    SUBSET = 1
    PATTERN = 2


class Classification(eqx.Module):
    """What one state stands for.

    `kind`: a value of `Kind`. `members`: the patterns it averages over. `size`: their number. `index`: the
    pattern with the largest share. `confidence`: `sum_i min(p_i, u_i)`, from 0 to 1, with `u` equal shares
    for the members: 1 for a state exactly of its kind. `contrast`: the share of the members beyond the
    background, `k (a - b)`, from 0 to 1.
    """

    kind: Int[Array, ""]
    members: Bool[Array, " patterns"]
    size: Int[Array, ""]
    index: Int[Array, ""]
    confidence: Float[Array, ""]
    contrast: Float[Array, ""]


def classify(
    patterns: Float[Array, "patterns dimension"],
    state: Float[Array, " dimension"],
    beta: ScalarLike,
    *,
    least_contrast: float = 0.25,
) -> Classification:
    """Splits `p = softmax(beta X x)` into `k` large and `N - k` small shares and reads the kind off `k`.

    The fixed points of equidistant patterns take two values, so `k` is the split with the least squared
    deviation from the two means `a` and `b`. The members stand out from the background by `k (a - b)` in all;
    below `least_contrast` the state is global. Batch with `jax.vmap(classify, in_axes=(None, 0, None))`.

    Raises `ValueError` for fewer than two patterns, or a `beta` that is not positive.

    Source: derived here (papers' own formulas were not available).
    """
    require(len(patterns) >= 2, f"`number of patterns` must be at least 2, got {len(patterns)}.")
    return classify_shares(association(patterns, state, beta), least_contrast)


def classify_shares(p: Float[Array, " patterns"], least_contrast: float = 0.25) -> Classification:
    """`classify` of a state with these shares."""
    n = p.size
    size, contrast = split(-jnp.sort(-p)[:-1], n)
    apart = contrast >= least_contrast
    size = jnp.where(apart, size, n)
    kind = jnp.where(apart, jnp.where(size == 1, Kind.PATTERN, Kind.SUBSET), Kind.GLOBAL)
    members = jnp.argsort(jnp.argsort(-p)) < size
    confidence = jnp.sum(jnp.where(members, jnp.minimum(p, 1 / size), 0.0))
    return Classification(kind, members, size, jnp.argmax(p), confidence, contrast)


def split(ranked: Float[Array, " leaders"], n: int) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """The best `k` up to the number of `ranked` shares, the largest of `n` in falling order; its `k (a -
    b)`.
    """
    k = jnp.arange(1, ranked.size + 1)
    top = jnp.cumsum(ranked)
    gap = top / k - (1 - top) / (n - k)
    # Least deviation within the two groups is largest deviation between them, k (N - k) (a - b)^2 / N.
    best = jnp.argmax(k * (n - k) * gap**2)
    return k[best], k[best] * gap[best]
