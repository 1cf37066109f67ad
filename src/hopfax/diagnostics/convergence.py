"""The papers' measure of convergence, when the images of a map stop changing: as the papers count it, and corrected."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Bool, Float, Int

from .._internal.tree import rms, subtract
from ..networks.network import States
from ..solvers.loop import AbstractDirectSolver, IterativeSolver, delay_of, fixed_point_function
from ..updates.problem import Problem

Trace = Float[Array, "*examples iterations"]


def paper_iterations(trace: Trace, tolerance: float = 1e-4) -> Int[Array, "*examples"]:
    """The index `n` of the first `trace[n] < tolerance`; `len(trace)` where that is 0, or where there is none.

    An example that starts at its equilibrium therefore counts as one that never converges. The published code does so,
    because it reads the index of the maximum of a mask. With 40 evaluations the largest index is 39.
    Source: [goemaere2024], section 4 and code.
    """
    index = jnp.argmax(trace < tolerance, axis=-1)
    return jnp.where(index == 0, trace.shape[-1], index)


def first_crossing(
    trace: Trace, tolerance: float = 1e-4
) -> tuple[Int[Array, "*examples"], Bool[Array, "*examples"]]:
    """The index `n` of the first `trace[n] < tolerance`, and whether there is one; `len(trace)` where there is none.

    NaN is not below the tolerance.
    """
    below = trace < tolerance
    converged = jnp.any(below, axis=-1)
    return jnp.where(converged, jnp.argmax(below, axis=-1), trace.shape[-1]), converged


def fixed_iterations(
    problem: Problem, solver: IterativeSolver | AbstractDirectSolver, start: States, steps: int
) -> tuple[States, Float[Array, " iterations"]]:
    """The image `s_steps` after exactly `steps` evaluations, and the `steps - 1` relative changes between the images.

    With the points `z_n` at which `solver` evaluates the map and the images `s_{n+1} = f(z_n)`, the changes are
    `|s_{n+1} - s_n| / |s_{n+1}|` for `n >= 1`. Under Picard `z_n = s_n`, so these are the relative residuals of
    `relax` without the first. Under Anderson they are not residuals, but say how far the images still move.

    Args:
        start: the unknown states.
        steps: at least 1.
    Raises: `ValueError` for a solver that does not evaluate a fixed-point map.
    Source: [goemaere2024], code.
    """
    if not isinstance(solver, optx.AbstractFixedPointSolver):
        raise ValueError(
            f"`solver={solver}` does not evaluate a fixed-point map; use `Picard()` or `Anderson()`."
        )
    fn = fixed_point_function(problem, solver)
    image, info = jax.eval_shape(fn, start, None)
    state = solver.init(fn, start, None, {}, image, info, frozenset())
    dynamic, static = eqx.partition(state, eqx.is_array)
    plain_steps = min(delay_of(solver, info), steps)
    change = lambda image, previous: rms(subtract(image, previous)) / rms(image)

    def plain(point, _):
        image = problem.image(point)
        return image, change(image, point)

    def body(carry, _):
        point, dynamic, previous = carry
        image = problem.image(point)  # the compiler shares it with the one in `step`
        new, state, _ = solver.step(fn, point, None, {}, eqx.combine(dynamic, static), frozenset())
        return (new, eqx.filter(state, eqx.is_array), image), change(image, previous)

    point, plain_changes = jax.lax.scan(plain, start, length=plain_steps)
    carry = point, dynamic, point
    (_, _, image), changes = jax.lax.scan(body, carry, length=steps - plain_steps)
    return image, jnp.concatenate([plain_changes, changes])[1:]
