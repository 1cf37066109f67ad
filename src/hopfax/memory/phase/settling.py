"""Relaxing one state to its fixed point, and the order parameter read from it."""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from .dynamics import association, update


class Settled(eqx.Module):
    """Where a state came to rest; `residual` is the length of its last step over the largest pattern norm."""

    state: Float[Array, " dimension"]
    residual: Float[Array, ""]
    steps: Int[Array, ""]
    converged: Bool[Array, ""]


def settle(
    patterns: Float[Array, "patterns dimension"],
    state: Float[Array, " dimension"],
    beta: ScalarLike,
    *,
    tolerance: float | None = None,
    max_steps: int = 20_000,
) -> Settled:
    """Repeats the update from `state` until a step is at most `tolerance` of the largest pattern norm.

    `tolerance` defaults to `eps^(3/4)`, 2e-12 in double precision: passing the ghost of a minimum just below
    its threshold takes small steps, and must not be taken for rest. Batch with `jax.vmap`.

    Raises `ValueError` when `beta` is not positive.
    """
    scale = jnp.max(jnp.linalg.norm(patterns, axis=1))
    limit = float(jnp.finfo(jnp.result_type(patterns, state)).eps) ** 0.75 if tolerance is None else tolerance

    def step(carry):
        state, _, count = carry
        new = update(patterns, state, beta)
        return new, jnp.linalg.norm(new - state) / scale, count + 1

    def going(carry):
        return (carry[1] > limit) & (carry[2] < max_steps)

    start = (state, jnp.full_like(scale, jnp.inf), jnp.zeros((), int))
    state, residual, steps = lax.while_loop(going, step, start)
    return Settled(state, residual, steps, residual <= limit)


def order_parameter(
    patterns: Float[Array, "patterns dimension"],
    state: Float[Array, " dimension"],
    beta: ScalarLike,
    index: int | None = None,
) -> Float[Array, ""]:
    """`m = (N p_i - 1) / (N - 1)`: 0 at the centroid, 1 at pattern `i` alone, `a - b` at pattern states.

    `p` is the association of `state`, and `i` is `index`, or the pattern with the largest share without one.

    Raises `ValueError` when `beta` is not positive.

    Source: derived here (papers' own formulas were not available).
    """
    n, p = patterns.shape[0], association(patterns, state, beta)
    share = jnp.max(p) if index is None else p[index]
    return (n * share - 1) / (n - 1)
