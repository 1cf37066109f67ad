"""The distinct minima that a set of patterns settles into, for any patterns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, ScalarLike

from ..._internal.checks import check_patterns, check_positive
from .effective import check_betas
from .settling import settle


class Minima(eqx.Module):
    """Where each pattern settles. `label`: the first pattern to end there too. `count`: of the states."""

    states: Float[Array, "patterns dimension"]
    label: Int[Array, " patterns"]
    count: Int[Array, ""]


def distinct_minima(
    patterns: Float[Array, "patterns dimension"],
    beta: ScalarLike,
    *,
    merge: float = 1e-3,
    max_steps: int = 20_000,
) -> Minima:
    """Settles a start at every pattern; states closer than `merge` of the largest pattern norm count as one.

    Needs memory for `patterns * patterns` numbers. Raises `ValueError` for bad patterns, or `beta` or `merge`
    not positive.
    """
    check_patterns(patterns)
    check_positive("beta", beta)
    check_positive("merge", merge)
    states = jax.vmap(lambda x: settle(patterns, x, beta, max_steps=max_steps).state)(patterns)
    near = _squared_distances(states) <= merge**2 * jnp.max(jnp.sum(patterns**2, axis=1))
    label = jnp.argmax(near, axis=1)
    return Minima(states, label, jnp.sum(label == jnp.arange(label.size)))


def count_minima(
    patterns: Float[Array | np.ndarray, "patterns dimension"],
    betas: Float[Array | np.ndarray, " betas"],
    *,
    merge: float = 1e-3,
) -> Int[np.ndarray, " betas"]:
    """The number of `distinct_minima` at each of `betas`, in double precision.

    Raises `ValueError` for bad patterns, `betas` that do not rise strictly, or `merge` not positive.
    """
    check_patterns(patterns)
    check_betas(betas)
    with jax.enable_x64(True):
        exact = jnp.asarray(np.asarray(patterns), float), jnp.asarray(np.asarray(betas), float)
        return np.asarray(_counts(*exact, merge))


@eqx.filter_jit
def _counts(patterns, betas, merge):
    return lax.map(lambda beta: distinct_minima(patterns, beta, merge=merge).count, betas)


def _squared_distances(states: Float[Array, "patterns dimension"]) -> Float[Array, "patterns patterns"]:
    """Squared distances between all rows, from products: no array (patterns, patterns, dimension) is made."""
    # Distances do not see a common shift, and without it less is lost to cancellation.
    centred = states - jnp.mean(states, axis=0, keepdims=True)
    squares = jnp.sum(centred**2, axis=1)
    return jnp.maximum(squares[:, None] + squares[None, :] - 2 * (centred @ centred.T), 0.0)
