"""The dynamics against inverse temperature: hysteresis, and the kinds of state that random starts end in."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from ..._internal.checks import as_integer, check_patterns
from ..modern import ModernHopfield
from .classification import StateKind, classify, order_parameter
from .effective import check_betas, check_index


class Hysteresis(eqx.Module):
    """The order parameter `m` of the largest weight against `betas`: `up` from the mean, `down` from a pattern.

    The two differ between spinodal and instability, and agree elsewhere.
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
    """Retrieves at each `beta` in turn, from where the last retrieval ended; first rising, then falling.

    Before each retrieval on the way up the state is moved by `nudge` of the way from the mean to pattern `index`: the
    centroid is a fixed point at every `beta`, and is left only after a disturbance. `m` does not depend on which
    pattern the state then reaches. In double precision.

    Raises: `ValueError` for bad patterns, `betas` that are not strictly increasing, or an `index` out of range.
    """
    check_patterns(patterns)
    check_betas(betas)
    check_index(index, len(patterns))
    with jax.enable_x64(True):
        rows, temperatures = (jnp.asarray(np.asarray(x), float) for x in (patterns, betas))
        up, down = _both_ways(rows, temperatures, index, nudge, max_steps)
        return Hysteresis(np.asarray(temperatures), np.asarray(up), np.asarray(down))


def hysteresis_reduced(
    n: int,
    effective_betas: Float[Array | np.ndarray, " betas"],
    *,
    nudge: float = 1e-6,
    max_steps: int = 20_000,
) -> Hysteresis:
    """`hysteresis` in the space of weights, `p ← softmax(beta_eff p)`, the same for all equidistant sets.

    The state of orthonormal patterns along the axes is its `p`, so these are the patterns used. The `betas` of the
    result are effective.

    Raises: `ValueError` as `hysteresis`, and for `n < 2`.
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
            network = ModernHopfield(patterns, beta)
            state = network.retrieve(state + push, max_steps=max_steps).state
            return state, order_parameter(network, state)

        return visit

    up = lax.scan(follow(push), mean, betas)[1]
    down = lax.scan(follow(jnp.zeros_like(push)), patterns[index], betas, reverse=True)[1]
    return up, down


class StartFractions(eqx.Module):
    """The fraction of random starts that end in each `StateKind` at each of `betas`; the three sum to one."""

    betas: Float[np.ndarray, " betas"]
    global_average: Float[np.ndarray, " betas"]
    subset: Float[np.ndarray, " betas"]
    pattern: Float[np.ndarray, " betas"]


def random_start_fractions(
    patterns: Float[Array | np.ndarray, "patterns dimension"],
    betas: Float[Array | np.ndarray, " betas"],
    *,
    starts: int = 400,
    key: PRNGKeyArray,
) -> StartFractions:
    """Retrieves from states drawn uniformly on the sphere of the patterns' mean norm, and classifies the results.

    The same starts serve every `beta`. In double precision.

    Raises: `ValueError` for bad patterns, `betas` that are not strictly increasing, or `starts < 1`.
    """
    check_patterns(patterns)
    check_betas(betas)
    starts = as_integer("starts", starts, 1)
    with jax.enable_x64(True):
        rows, temperatures = (jnp.asarray(np.asarray(x), float) for x in (patterns, betas))
        fractions = np.asarray(_fractions(rows, temperatures, _random_states(rows, starts, key)))
        return StartFractions(np.asarray(temperatures), *fractions.T)


def _random_states(
    patterns: Float[Array, "patterns dimension"], count: int, key: PRNGKeyArray
) -> Float[Array, "count dimension"]:
    """`count` states, uniform on the sphere whose radius is the mean norm of the patterns."""
    raw = jr.normal(key, (count, patterns.shape[1]), patterns.dtype)
    radius = jnp.mean(jnp.linalg.norm(patterns, axis=1))
    return radius * raw / jnp.linalg.norm(raw, axis=1, keepdims=True)


@jax.jit
def _fractions(patterns, betas, states):
    """The fractions of the kinds, an array (betas, kinds)."""

    def kind(state, beta):
        network = ModernHopfield(patterns, beta)
        # The kind is decided long before the last digits are, so a coarse tolerance is enough.
        return classify(network, network.retrieve(state, tolerance=1e-9).state).kind

    def fractions(beta):
        kinds = jax.vmap(kind, in_axes=(0, None))(states, beta)
        return jnp.mean(kinds[:, None] == jnp.arange(len(StateKind))[None, :], axis=0, dtype=float)

    return lax.map(fractions, betas)
