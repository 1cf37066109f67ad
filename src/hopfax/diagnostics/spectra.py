"""Spectra at an equilibrium: how fast updates contract, whether it is a strict minimum, how far a nudge may go."""

import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Key, Scalar, ScalarLike

from .._internal.checks import require_key
from .._internal.tree import dot, rms
from ..costs import AbstractCost
from ..gradients.adjoints import ConjugateGradient
from ..networks.network import AbstractNetwork, Clamp, States
from ..updates.base import AbstractUpdate
from ..updates.block import Coloured
from ..updates.problem import Problem


def spectral_radius(
    model: AbstractNetwork,
    clamp: Clamp,
    states: States,
    update: AbstractUpdate,
    *,
    key: Key[Array, ""],
    steps: int = 200,
) -> Scalar:
    """The largest `|λ|` of `J = ∂f/∂z` at the equilibrium `states` of one example, by power iteration on `J²`.

    The eigenvalues of an energy model are real and those of a synchronous map come in pairs `±λ`, so `J²` is
    iterated and the square root taken. Even-odd is the square of synchronous. Source: derived in this project.
    """
    problem = Problem(model.condition(clamp), update)
    point = problem.restrict(states)
    twice = lambda v: _jacobian_product(problem, point, _jacobian_product(problem, point, v))
    return jnp.sqrt(jnp.abs(_power_iteration(twice, point, key, steps)))


def smallest_hessian_eigenvalue(
    model: AbstractNetwork, clamp: Clamp, states: States, *, key: Key[Array, ""], steps: int = 200
) -> Scalar:
    """The smallest eigenvalue of `I - D^½ A D^½`, the Hessian in scaled activations; positive at a strict minimum.

    `D = ∂g/∂s`, `A` the second derivative of the interaction. Taken on the kept half, where the
    largest eigenvalue `μ` of the even-odd map gives `1 - √μ` for a bipartite graph.
    """
    free = model.condition(clamp)
    update = Coloured().eliminated(free)
    radius = spectral_radius(model, clamp, states, update, key=key, steps=steps)
    return 1 - jnp.sqrt(radius) if update.names else 1 - radius


def critical_nudge(
    model: AbstractNetwork,
    clamp: Clamp,
    states: States,
    cost: AbstractCost,
    target: Array,
    *,
    key: Key[Array, ""],
    steps: int = 20,
) -> Scalar:
    """The nudge `β` at which `E - β C` loses its minimum at the equilibrium `states`: `1 / λ_max(C'' H⁻¹)`.

    `H` is the Hessian of the energy in the activations, `C''` that of the cost; by power iteration, each product
    one adjoint solve. Beyond a tenth of it the bias of centred equilibrium propagation grows fast.
    """
    free = model.condition(clamp)
    problem = Problem(free, Coloured().eliminated(free))
    point = problem.restrict(states)
    if hidden := [name for name in cost.layers if name not in point]:
        raise ValueError(
            f"the cost is on layer {hidden[0]!r}, which is clamped or eliminated; put it on the last layer."
        )
    activations = {name: free.activations(point)[name] for name in cost.layers}
    slope = jax.grad(lambda g: cost(point, g, target))
    bend = lambda v: jax.jvp(slope, (activations,), (v,))[1]
    product = lambda v: bend(_inverse_hessian(problem, point, v))
    return 1 / jnp.abs(_power_iteration(product, activations, key, steps))


def check_beta(beta: ScalarLike, critical: Float[ArrayLike, "*batch"]) -> None:
    """Warn where `beta` is above a tenth of the smallest `critical_nudge`."""
    beta, least = jnp.asarray(beta).item(), jnp.min(jnp.asarray(critical)).item()
    if beta > 0.1 * least:
        warnings.warn(
            f"beta = {beta:g} is above a tenth of the critical nudge {least:.3g}: equilibrium propagation is "
            f"biased there; use beta <= {0.1 * least:.2g}.",
            stacklevel=2,
        )


def _jacobian_product(problem: Problem, point: States, direction: States) -> States:
    return jax.jvp(problem.image, (point,), (direction,))[1]


def _inverse_hessian(problem: Problem, point: States, direction: States) -> States:
    """`H⁻¹ v` on the layers of `v`: `(I - D K)⁻¹ D v`."""
    curve = lambda v: jax.jvp(problem.model.activations, (point,), (v,))[1]
    zeros = jax.tree.map(jnp.zeros_like, point)
    solved, _ = ConjugateGradient(rtol=1e-6).solve(problem, point, curve({**zeros, **direction}))
    return {name: solved[name] for name in direction}


def _power_iteration(product: Callable, like, key: Key[Array, ""], steps: int) -> Scalar:
    """The Rayleigh quotient after `steps` normalised products from a random start."""
    leaves, structure = jax.tree.flatten(like)
    require_key("spectra", key)
    keys = jr.split(key, len(leaves))
    start = structure.unflatten([jr.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)])
    unit = lambda v: jax.tree.map(lambda x: x / jnp.maximum(rms(v), jnp.finfo(x.dtype).tiny), v)
    vector = jax.lax.fori_loop(0, steps, lambda _, v: unit(product(v)), unit(start))
    return dot(vector, product(vector)) / dot(vector, vector)
