"""The modern Hopfield energy and everything that follows from it, for one state.

Patterns are rows `X` of shape (patterns, dimension). Source: [ramsauer2020], eq. 2 and 3, without its
constants `(1/beta) log N + M^2/2`, which move no minimum.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from hopfax.analysis.phase.checks import check_positive


def energy(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, ""]:
    """`E(x) = -(1/beta) logsumexp(beta X x) + |x|^2 / 2`.

    Raises `ValueError` when `beta` is not positive.
    """
    check_positive("beta", beta)
    return jnp.dot(state, state) / 2 - jax.nn.logsumexp(beta * (patterns @ state)) / beta


def association(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, " patterns"]:
    """`p = softmax(beta X x)`: how much of each pattern the next state holds; sums to one.

    Raises `ValueError` when `beta` is not positive.
    """
    check_positive("beta", beta)
    return jax.nn.softmax(beta * (patterns @ state))


def update(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, " dimension"]:
    """`x' = X^T softmax(beta X x)`, which never raises the energy: `x' = x - grad E(x)`.

    Raises `ValueError` when `beta` is not positive.
    """
    return association(patterns, state, beta) @ patterns


def jacobian(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, "dimension dimension"]:
    """`J = beta X^T (diag p - p p^T) X`: symmetric, no negative eigenvalue.

    Raises `ValueError` when `beta` is not positive.
    """
    p = association(patterns, state, beta)
    # The covariance form keeps J positive semi-definite to rounding; the difference form does not.
    centred = patterns - (p @ patterns)[None, :]
    return centred.T @ (p[:, None] * centred) * beta


def hessian(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, "dimension dimension"]:
    """`I - J`, the Hessian of the energy. Raises `ValueError` when `beta` is not positive."""
    return jnp.eye(state.size, dtype=state.dtype) - jacobian(patterns, state, beta)


def association_entropy(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, ""]:
    """`-sum p log p` in nats, from 0 (one pattern) to `log N` (all alike): a marker of the transition.

    Raises `ValueError` when `beta` is not positive.
    """
    check_positive("beta", beta)
    log_p = jax.nn.log_softmax(beta * (patterns @ state))
    # exp(log p) log p is 0 * -inf when an association underflows; its limit is 0.
    return -jnp.sum(jnp.where(log_p > -jnp.inf, jnp.exp(log_p) * log_p, 0.0))
