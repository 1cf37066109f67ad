"""Spectra at an equilibrium: how fast an update contracts, whether it is a strict minimum, how large a nudge may be."""

import warnings
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Key, PyTree, Scalar, ScalarLike

from .._internal.checks import require_key
from .._internal.numerics import power_iteration
from .._internal.tree import random_normal
from ..costs import AbstractCost
from ..gradients.adjoints import ConjugateGradient
from ..networks.layers import Clamp
from ..networks.network import AbstractNetwork, States
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
    """The largest `|λ|` of `J = ∂f/∂z` at an equilibrium of one example, by power iteration.

    The eigenvalues of an energy model are real, and those of a synchronous map come in pairs `±λ`. So `J²` is iterated,
    and the square root taken. The even-odd radius is the square of the synchronous one.

    Args:
        states: of all free layers, at the equilibrium.
        update: whose map `f` is.
        key: for the random start.
        steps: of power iteration.
    Raises: `ValueError` where a state is missing, or for another key.
    Source: derived in this project.
    """
    problem = Problem(model.condition(clamp), update)
    point = problem.restrict(states)
    product = lambda v: jax.jvp(problem.image, (point,), (v,))[1]
    return jnp.sqrt(jnp.abs(_power_iteration(lambda v: product(product(v)), point, key, steps)))


def smallest_hessian_eigenvalue(
    model: AbstractNetwork, clamp: Clamp, states: States, *, key: Key[Array, ""], steps: int = 200
) -> Scalar:
    """The smallest eigenvalue of `I - D^½ A D^½`, the Hessian in scaled activations; positive at a strict minimum.

    `D = ∂g/∂s`, and `A` is minus the second derivative of the interaction. It is computed on the unknown layers of the
    even-odd map: the largest eigenvalue `μ` of that map gives `1 - √μ` for a bipartite graph.

    Args:
        states: of all free layers, at the equilibrium.
        key: for the random start.
        steps: of power iteration.
    Raises: `ValueError` where a state is missing, or for another key.
    Source: derived in this project.
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
    """The nudge `β` at which `E - β C` loses its minimum at an equilibrium: `1 / λ_max(C'' H⁻¹)`.

    `H` is the Hessian of the energy in the activations, and `C''` that of the cost. The critical nudge is
    computed by power iteration, in which each product is an adjoint solve. Beyond a tenth of it, the bias of centred
    equilibrium propagation grows fast.

    Args:
        states: of all free layers, at the equilibrium.
        cost: of unknown layers of the even-odd map, such as the last layer.
        target: of the cost, for one example.
        key: for the random start.
        steps: of power iteration.
    Raises: `ValueError` for a cost of another layer, where a state is missing, or for another key.
    Source: derived in this project.
    """
    free = model.condition(clamp)
    problem = Problem(free, Coloured()).eliminated()
    point = problem.restrict(states)
    if others := [name for name in cost.layers if name not in point]:
        raise ValueError(
            f"the cost reads layer {others[0]!r}, which is clamped or eliminated; let it read the last layer."
        )
    activations = {name: free.activations(point)[name] for name in cost.layers}
    slope = jax.grad(lambda g: cost(point, g, target))
    curvature = lambda v: jax.jvp(slope, (activations,), (v,))[1]
    product = lambda v: curvature(_inverse_hessian(problem, point, v))
    return 1 / jnp.abs(_power_iteration(product, activations, key, steps))


def warn_of_large_nudge(beta: ScalarLike, critical: Float[ArrayLike, "*batch"]) -> None:
    """Warn where the nudge `beta` is above a tenth of the smallest of the `critical` nudges."""
    beta, smallest = jnp.asarray(beta).item(), jnp.min(jnp.asarray(critical)).item()
    if beta > 0.1 * smallest:
        warnings.warn(
            f"beta = {beta:g} is above a tenth of the critical nudge {smallest:.3g}, where equilibrium propagation is "
            f"biased; use beta <= {0.1 * smallest:.2g}.",
            stacklevel=2,
        )


def _inverse_hessian(problem: Problem, point: States, direction: States) -> States:
    """`H⁻¹ v = (I - D K)⁻¹ D v`, on the layers of `v`."""
    curvature = lambda v: jax.jvp(problem.model.activations, (point,), (v,))[1]
    zeros = jax.tree.map(jnp.zeros_like, point)
    solution, _ = ConjugateGradient(rtol=1e-6).solve(problem, point, curvature({**zeros, **direction}))
    return {name: solution[name] for name in direction}


def _power_iteration(product: Callable, like: PyTree, key: Key[Array, ""], steps: int) -> Scalar:
    """The Rayleigh quotient after `steps` normalised products from a random start."""
    require_key("spectra", key)
    return power_iteration(product, random_normal(like, key), steps)
