"""Where random starts end: the share of each kind of state against inverse temperature."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from ..._internal.checks import check_patterns, as_integer
from .classifier import Kind, classify
from .effective import check_betas
from .settling import settle


class Shares(eqx.Module):
    """Share of starts that end in each `Kind` at each of `betas`; the three shares sum to one."""

    betas: Float[np.ndarray, " betas"]
    whole: Float[np.ndarray, " betas"]
    subset: Float[np.ndarray, " betas"]
    pattern: Float[np.ndarray, " betas"]


def random_start_shares(
    patterns: Float[Array | np.ndarray, "patterns dimension"],
    betas: Float[Array | np.ndarray, " betas"],
    *,
    starts: int = 400,
    key: PRNGKeyArray,
) -> Shares:
    """Settles states drawn uniformly on the sphere of the patterns' mean norm, and classifies where they end.

    The same starts serve every `beta`. In double precision. `whole` is the share of `Kind.GLOBAL`.

    Raises `ValueError` for bad patterns, `betas` that do not rise strictly, or `starts < 1`.
    """
    check_patterns(patterns)
    check_betas(betas)
    starts = as_integer("starts", starts, 1)
    with jax.enable_x64(True):
        exact = jnp.asarray(np.asarray(patterns), float), jnp.asarray(np.asarray(betas), float)
        shares = np.asarray(_shares(*exact, random_states(exact[0], starts, key)))
        return Shares(np.asarray(exact[1]), *shares.T)


def random_states(
    patterns: Float[Array, "patterns dimension"], count: int, key: PRNGKeyArray
) -> Float[Array, "count dimension"]:
    """`count` states, uniform on the sphere whose radius is the mean norm of the patterns."""
    raw = jr.normal(key, (count, patterns.shape[1]), patterns.dtype)
    radius = jnp.mean(jnp.linalg.norm(patterns, axis=1))
    return radius * raw / jnp.linalg.norm(raw, axis=1, keepdims=True)


@jax.jit
def _shares(patterns, betas, states):
    """Shares of the kinds, an array (betas, kinds)."""

    def kind(state, beta):
        # A coarse end of settling: the kind is decided long before the last digits are.
        rest = settle(patterns, state, beta, tolerance=1e-9).state
        return classify(patterns, rest, beta).kind

    def share(beta):
        kinds = jax.vmap(kind, in_axes=(0, None))(states, beta)
        return jnp.mean(kinds[:, None] == jnp.arange(len(Kind))[None, :], axis=0, dtype=float)

    return lax.map(share, betas)
