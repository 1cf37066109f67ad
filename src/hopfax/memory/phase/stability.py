"""Is a state a minimum? The stability test for any pattern set."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, ScalarLike

from .dynamics import association, update


def largest_eigenvalue(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, ""]:
    """Largest eigenvalue of `J = beta X^T (diag p - p p^T) X`, exact, from the smaller of two Gram matrices.

    `J = beta Y^T Y` with `Y = diag(sqrt p) (X - 1 p^T X)`, so `J` and `beta Y Y^T` share all eigenvalues but
    zeros. Costs `patterns * dimension * min(patterns, dimension)`.

    Raises `ValueError` when `beta` is not positive.

    Source: derived here (papers' own formulas were not available).
    """
    factor = _factor(patterns, state, beta)
    rows, columns = factor.shape
    gram = factor @ factor.T if rows <= columns else factor.T @ factor
    return jnp.linalg.eigvalsh(gram)[-1] * beta


def largest_eigenvalue_matrix_free(
    patterns: Float[Array, "patterns dimension"],
    state: Float[Array, " dimension"],
    beta: ScalarLike,
    *,
    rtol: float = 1e-7,
    max_steps: int = 1000,
) -> Float[Array, ""]:
    """The same eigenvalue by power iteration: two products with the patterns a step, no matrix formed.

    Stops when the Rayleigh quotient grows by less than `rtol` of itself, so the value is a lower bound; it
    is close when the two largest eigenvalues are either equal or well apart.

    Raises `ValueError` when `beta` is not positive.

    Source: derived here (papers' own formulas were not available).
    """
    factor = _factor(patterns, state, beta)
    # The longest row of the factor has a part along the leading direction, as every start should.
    start = factor[jnp.argmax(jnp.sum(factor**2, axis=1))]

    def step(carry):
        vector, quotient, _, count = carry
        image = (factor @ vector) @ factor
        return _unit(image), jnp.dot(vector, image), quotient, count + 1

    def going(carry):
        _, quotient, previous, count = carry
        return (jnp.abs(quotient - previous) > rtol * quotient) & (count < max_steps)

    first = (_unit(start), jnp.ones_like(start[0]), jnp.zeros_like(start[0]), 0)
    return lax.while_loop(going, step, first)[1] * beta


def is_minimum(
    patterns: Float[Array, "patterns dimension"],
    state: Float[Array, " dimension"],
    beta: ScalarLike,
    *,
    tolerance: float = 1e-5,
) -> Bool[Array, ""]:
    """Whether `state` is a fixed point at which every eigenvalue of `J` is below one.

    A fixed point is one that the update moves by at most `tolerance` of the largest pattern norm.

    Raises `ValueError` when `beta` is not positive.

    Source: derived here (papers' own formulas were not available).
    """
    residual = jnp.linalg.norm(update(patterns, state, beta) - state)
    scale = jnp.max(jnp.linalg.norm(patterns, axis=1))
    return (residual <= tolerance * scale) & (largest_eigenvalue(patterns, state, beta) < 1)


def _factor(
    patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"], beta: ScalarLike
) -> Float[Array, "patterns dimension"]:
    """`Y` with `J = beta Y^T Y`."""
    p = association(patterns, state, beta)
    return jnp.sqrt(p)[:, None] * (patterns - (p @ patterns)[None, :])


def _unit(vector: Float[Array, " dimension"]) -> Float[Array, " dimension"]:
    """`v / |v|`, and zero for zero."""
    norm = jnp.linalg.norm(vector)
    return jnp.where(norm > 0, vector / jnp.where(norm > 0, norm, 1.0), 0.0)
