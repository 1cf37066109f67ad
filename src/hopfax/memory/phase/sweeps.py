"""The order parameter followed up and down in inverse temperature: hysteresis."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ..._internal.checks import check_patterns, as_integer
from .effective import check_betas, check_index
from .settling import order_parameter, settle


class Hysteresis(eqx.Module):
    """Order parameter `m` of the largest share against `betas`: `up` from the mean, `down` from a pattern.

    Between spinodal and instability the two differ; elsewhere they agree.
    """

    betas: Float[np.ndarray, " betas"]
    up: Float[np.ndarray, " betas"]
    down: Float[np.ndarray, " betas"]


def hysteresis(
    patterns: Float[Array | np.ndarray, "patterns dimension"],
    betas: Float[Array | np.ndarray, " betas"],
    *,
    index: int = 0,
    nudge: float = 1e-6,
    max_steps: int = 20_000,
) -> Hysteresis:
    """Settles at each `beta` in turn, each time from where the last one ended; first rising, then falling.

    Before each settling on the way up the state is moved by `nudge` of the way from the mean to pattern
    `index`: the centroid is a fixed point at every `beta`, and leaves only when disturbed. Which pattern it
    leaves for does not matter to `m`. In double precision.

    Raises `ValueError` for bad patterns, `betas` that do not rise strictly, or an `index` out of range.
    """
    check_patterns(patterns)
    check_betas(betas)
    check_index(index, len(patterns))
    with jax.enable_x64(True):
        exact = jnp.asarray(np.asarray(patterns), float), jnp.asarray(np.asarray(betas), float)
        up, down = _both_ways(*exact, index, nudge, max_steps)
        return Hysteresis(np.asarray(exact[1]), np.asarray(up), np.asarray(down))


def hysteresis_reduced(
    n: int,
    effective_betas: Float[Array | np.ndarray, " betas"],
    *,
    nudge: float = 1e-6,
    max_steps: int = 20_000,
) -> Hysteresis:
    """`hysteresis` in the space of associations, `p <- softmax(beta_eff p)`, for all equidistant sets.

    The state of orthonormal patterns along the axes *is* its `p`, so this is the sweep over the identity.
    `betas` of the result are effective. Raises `ValueError` as `hysteresis`, and for `n < 2`.

    Source: derived here (papers' own formulas were not available).
    """
    n = as_integer("n", n, 2)
    return hysteresis(np.eye(n), effective_betas, nudge=nudge, max_steps=max_steps)


@eqx.filter_jit
def _both_ways(patterns, betas, index, nudge, max_steps):
    """Order parameters upwards and downwards, both in the order of `betas`."""
    mean = jnp.mean(patterns, axis=0)
    push = nudge * (patterns[index] - mean)

    def follow(push):
        def visit(state, beta):
            state = settle(patterns, state + push, beta, max_steps=max_steps).state
            return state, order_parameter(patterns, state, beta)

        return visit

    up = lax.scan(follow(push), mean, betas)[1]
    down = lax.scan(follow(jnp.zeros_like(push)), patterns[index], betas, reverse=True)[1]
    return up, down
