"""Solvers without a safeguard: Picard iteration, and Newton's method without a dense Jacobian."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jaxtyping import Array, Float, ScalarLike

from .._internal.checks import require_integer, require_number
from .._internal.tree import rms, subtract


class _PicardState(eqx.Module):
    point: object
    residual: Float[Array, ""]
    scale: Float[Array, ""]


class Picard(optx.AbstractFixedPointSolver):
    """`z ← damping z + (1 - damping) f(z)`. On a synchronous map this is forward Euler of step `1 - damping`.

    Without damping and with even-odd elimination it is exact block minimisation: the energy never rises.

    Args:
        damping: in [0, 1).
        rtol, atol, norm: tolerances where optimistix runs the solver; `hopfax.relax` has its own.
    Raises: `ValueError` for another `damping`.
    Source: [goemaere2024], section 2.
    """

    watches_energy: ClassVar[bool] = False
    damping: ScalarLike = 0.0
    rtol: float = 1e-5
    atol: float = 1e-6
    norm: Callable = rms

    def __check_init__(self):
        require_number("Picard.damping", self.damping, lambda x: 0 <= x < 1, "in [0, 1); 0 is no damping")

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        infinity = jnp.full((), jnp.inf, jax.eval_shape(rms, y).dtype)
        return _PicardState(
            y, infinity, jnp.zeros_like(infinity)
        )  # with an infinite scale it would have converged

    def step(self, fn, y, args, options, state, tags):
        image, aux = fn(y, args)
        state = _PicardState(y, self.norm(subtract(image, y)), self.norm(image))
        return (image if self._undamped else jax.tree.map(self._mix, y, image)), state, aux

    def terminate(self, fn, y, args, options, state, tags):
        return state.residual <= self.atol + self.rtol * state.scale, optx.RESULTS.successful

    def postprocess(self, fn, y, aux, args, options, state, tags, result):
        return state.point, aux, {}

    @property
    def _undamped(self) -> bool:
        return isinstance(self.damping, int | float) and self.damping == 0

    def _mix(self, old: Array, new: Array) -> Array:
        damping = jnp.asarray(self.damping, jnp.finfo(old.dtype).dtype)
        return damping * old + (1 - damping) * new


def newton(rtol: float = 1e-4, restart: int = 30, max_products: int = 90) -> optx.Newton:
    """`z ← z - (J - I)⁻¹ (f(z) - z)`: optimistix's `Newton` with restarted GMRES, so without a dense Jacobian.

    It is for the last digits from a good start, such as the equilibrium of another solver: a few steps reach machine
    precision. Far from an equilibrium it may converge to a saddle or diverge, because it has no safeguard. Where GMRES
    misses `rtol` within `max_products`, its best vector is used and nothing is raised.

    `hopfax.solvers.Newton(rtol, atol)` works in `hopfax.relax` too. It forms the Jacobian of the unknown layers and is
    faster where these are small. `Chord`, with the Jacobian at the start, works with a direct linear solver only.

    Args:
        rtol: relative tolerance of each linear solve, in (0, 1).
        restart: directions that GMRES stores, at least 1.
        max_products: the most Jacobian products of a linear solve, at least 1.
    Raises: `ValueError` for values out of range.
    """
    require_number("newton.rtol", rtol, lambda x: 0 < x < 1, "in (0, 1); 1e-4 gains four digits a step")
    require_integer("newton.restart", restart, 1)
    require_integer("newton.max_products", max_products, 1)
    solver = lx.GMRES(rtol=rtol, atol=0.0, restart=restart, max_steps=max_products)
    return optx.Newton(rtol=1e-5, atol=1e-6, linear_solver=solver)
