"""The modern Hopfield energy and everything that follows from it, for one state.

Patterns are rows `X` of shape (patterns, dimension). Source: [ramsauer2020], eq. 2 and 3, without its
constants `(1/beta) log N + M^2/2`, which move no minimum. `hopfax.ModernHopfield` as functions of its
patterns and `beta`.
"""

from jaxtyping import Array, Float, ScalarLike

from ..._internal.checks import check_positive
from ..modern import ModernHopfield


def energy(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, ""]:
    """`E(x) = -(1/beta) logsumexp(beta X x) + |x|^2 / 2`.

    Raises `ValueError` when `beta` is not positive.
    """
    return _network(patterns, beta).energy(state)


def association(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, " patterns"]:
    """`p = softmax(beta X x)`: how much of each pattern the next state holds; sums to one.

    Raises `ValueError` when `beta` is not positive.
    """
    return _network(patterns, beta).association(state)


def update(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, " dimension"]:
    """`x' = X^T softmax(beta X x)`, which never raises the energy: `x' = x - grad E(x)`.

    Raises `ValueError` when `beta` is not positive.
    """
    return _network(patterns, beta).update(state)


def jacobian(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, "dimension dimension"]:
    """`J = beta X^T (diag p - p p^T) X`: symmetric, no negative eigenvalue.

    Raises `ValueError` when `beta` is not positive.
    """
    return _network(patterns, beta).jacobian(state)


def hessian(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, "dimension dimension"]:
    """`I - J`, the Hessian of the energy. Raises `ValueError` when `beta` is not positive."""
    return _network(patterns, beta).hessian(state)


def association_entropy(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, ""]:
    """`-sum p log p` in nats, from 0 (one pattern) to `log N` (all alike): a marker of the transition.

    Raises `ValueError` when `beta` is not positive.
    """
    return _network(patterns, beta).entropy(state)


def _network(patterns: Float[Array, "patterns dimension"], beta: ScalarLike) -> ModernHopfield:
    check_positive("beta", beta)
    return ModernHopfield(patterns, beta)
