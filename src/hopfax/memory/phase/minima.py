"""Minima of the energy of modern Hopfield networks: the test of stability, and the distinct minima of any patterns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ..._internal.checks import check_patterns, check_positive
from ..modern import ModernHopfield
from .effective import check_betas

_State = Float[Array, " dimension"]


class DistinctMinima(eqx.Module):
    """The states that the update reaches from each pattern.

    Args:
        states: one for each pattern.
        label: the first pattern that reaches the same state.
        count: the number of different states.
    """

    states: Float[Array, "patterns dimension"]
    label: Int[Array, " patterns"]
    count: Int[Array, ""]


def largest_eigenvalue(network: ModernHopfield, state: _State) -> Float[Array, ""]:
    """The largest eigenvalue of the update's Jacobian `J = c Yᵀ H Y`, exact; below one at a minimum.

    `H` is the Hessian of the memory layer's Lagrangian, `Y` are the centred patterns, and `c` is the gain of the
    visible neurons. If there are fewer patterns than dimensions, it is computed from `c H^½ Y Yᵀ H^½`, which is smaller
    and has the same eigenvalues except for zeros. For large networks, `hopfax.diagnostics.spectral_radius` of
    `network.ham()` finds it without forming a matrix.

    Raises: `ValueError` for visible neurons that are not linear.
    """
    gain = network.visible.linear_gain
    if gain is None:
        raise ValueError(
            f"`network.visible` must be linear, such as `Identity()`, got {network.visible}; use "
            "`hopfax.diagnostics.spectral_radius` of `network.ham()`."
        )
    patterns, dimension = network.patterns.shape
    if patterns >= dimension:
        return jnp.linalg.eigvalsh(network.jacobian(state))[-1]
    curvature = jax.linearize(network.memory.activation, network.drive(state))[1]
    values, vectors = jnp.linalg.eigh(jax.vmap(curvature)(jnp.eye(patterns, dtype=state.dtype)))
    factor = jnp.sqrt(jnp.maximum(values, 0))[:, None] * (vectors.T @ network.centred(state))
    return gain * jnp.linalg.eigvalsh(factor @ factor.T)[-1]


def is_minimum(network: ModernHopfield, state: _State, *, tolerance: float = 1e-5) -> Bool[Array, ""]:
    """Whether `state` is a fixed point at which every eigenvalue of `J` is below one.

    A fixed point is a state that the update moves by at most `tolerance` of the largest norm of a pattern.
    Raises: `ValueError` for visible neurons that are not linear.
    """
    residual = jnp.linalg.norm(network.update(state) - state)
    scale = jnp.max(jnp.linalg.norm(network.patterns, axis=1))
    return (residual <= tolerance * scale) & (largest_eigenvalue(network, state) < 1)


def distinct_minima(
    network: ModernHopfield, *, merge: float = 1e-3, max_steps: int = 20_000
) -> DistinctMinima:
    """Retrieves from every pattern; states closer than `merge` of the largest norm of a pattern count as one.

    Needs memory for `patterns * patterns` numbers. Raises: `ValueError` unless `merge` is positive.
    """
    check_positive("merge", merge)
    patterns = network.patterns
    states = jax.vmap(lambda x: network.retrieve(x, max_steps=max_steps).state)(patterns)
    near = _squared_distances(states) <= merge**2 * jnp.max(jnp.sum(patterns**2, axis=1))
    label = jnp.argmax(near, axis=1)
    return DistinctMinima(states, label, jnp.sum(label == jnp.arange(label.size)))


def count_minima(
    patterns: Float[Array | np.ndarray, "patterns dimension"],
    betas: Float[Array | np.ndarray, " betas"],
    *,
    merge: float = 1e-3,
) -> Int[np.ndarray, " betas"]:
    """The number of `distinct_minima` at each of `betas`, in double precision.

    Raises: `ValueError` for bad patterns, `betas` that do not increase strictly, or `merge` not positive.
    """
    check_patterns(patterns)
    check_betas(betas)
    with jax.enable_x64(True):
        patterns, betas = jnp.asarray(np.asarray(patterns), float), jnp.asarray(np.asarray(betas), float)
        return np.asarray(_count_minima(patterns, betas, merge))


@eqx.filter_jit
def _count_minima(patterns, betas, merge):
    return lax.map(lambda beta: distinct_minima(ModernHopfield(patterns, beta), merge=merge).count, betas)


def _squared_distances(states: Float[Array, "patterns dimension"]) -> Float[Array, "patterns patterns"]:
    """Squared distances between all rows, from products: no array (patterns, patterns, dimension) is formed."""
    # Distances do not depend on a common shift, and without it less is lost to cancellation.
    centred = states - jnp.mean(states, axis=0, keepdims=True)
    squares = jnp.sum(centred**2, axis=1)
    return jnp.maximum(squares[:, None] + squares[None, :] - 2 * (centred @ centred.T), 0.0)
