"""Storage rules: the weights of a binary Hopfield network from its patterns, which are rows of -1 and +1."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from .._internal.checks import require_matrix

Patterns = Float[Array, "patterns neurons"]
Synapses = Float[Array, "neurons neurons"]


def hebb(patterns: Patterns) -> Synapses:
    """`W = Xᵀ X / n` with zero diagonal; `n` neurons store about `0.138 n` random patterns.

    Source: [hopfield1982], eq. 2; [amit1985] for the capacity.
    """
    require_matrix("patterns", patterns)
    return _without_diagonal(patterns.T @ patterns / patterns.shape[1])


def projection(patterns: Patterns) -> Synapses:
    """`W = X⁺ X` with zero diagonal, the projector on the span of the patterns; stores up to `n` independent ones.

    Also called pseudo-inverse rule; for correlated patterns. Source: [personnaz1985], eq. 9; Kanter and Sompolinsky
    (1987) for the missing diagonal.
    """
    require_matrix("patterns", patterns)
    return _without_diagonal(jnp.linalg.pinv(patterns) @ patterns)


def storkey(patterns: Patterns) -> Synapses:
    """Storkey's rule, pattern after pattern: `w_ij += (x_i x_j - x_i h_ji - h_ij x_j) / n`.

    Here `h_ij = Σ_{k ≠ i, j} w_ik x_k`. The rule is local and incremental like Hebb's, with a capacity of about
    `n / sqrt(2 ln n)`. The order of the patterns matters little.
    Source: Storkey (1997), "Increasing the capacity of a Hopfield network without sacrificing functionality",
    eq. 2-3.
    """

    def learn(weights, pattern):
        # The diagonal of `weights` is zero, so only `k = j` is left to subtract from the sum.
        field = (weights @ pattern)[:, None] - weights * pattern[None, :]
        change = pattern[:, None] * pattern[None, :] - pattern[:, None] * field.T - field * pattern[None, :]
        return weights + _without_diagonal(change) / pattern.size, None

    require_matrix("patterns", patterns)
    size = patterns.shape[1]
    return lax.scan(learn, jnp.zeros((size, size), patterns.dtype), patterns)[0]


def _without_diagonal(weights: Synapses) -> Synapses:
    return weights - jnp.diag(jnp.diagonal(weights))
