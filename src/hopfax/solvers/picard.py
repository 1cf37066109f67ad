"""Picard iteration: apply the map again and again."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float, ScalarLike

from .._internal.checks import require_number
from .._internal.tree import rms, subtract


class _PicardState(eqx.Module):
    point: object
    residual: Float[Array, ""]
    scale: Float[Array, ""]


class Picard(optx.AbstractFixedPointSolver):
    """`z ← damping z + (1 - damping) f(z)`; on a synchronous map, forward Euler of step `1 - damping`.

    Undamped and with even-odd elimination this is exact block minimisation: the energy never rises.
    `rtol`, `atol` and `norm` count only where optimistix runs the solver; `hopfax.relax` has its own.
    Args: `damping` in [0, 1). Source: [goemaere2024], section 2.
    """

    watches_energy: ClassVar[bool] = False
    damping: ScalarLike = 0.0
    rtol: float = 1e-5
    atol: float = 1e-6
    norm: Callable = rms

    def __check_init__(self):
        require_number("Picard.damping", self.damping, lambda x: 0 <= x < 1, "in [0, 1); 0 is no damping")

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        far = jnp.full((), jnp.inf, jax.eval_shape(rms, y).dtype)
        return _PicardState(y, far, jnp.zeros_like(far))  # a scale of infinity would pass for convergence

    def step(self, fn, y, args, options, state, tags):
        image, aux = fn(y, args)
        mix = lambda old, new: (
            new if _is_zero(self.damping) else self.damping * old + (1 - self.damping) * new
        )
        state = _PicardState(y, self.norm(subtract(image, y)), self.norm(image))
        return jax.tree.map(mix, y, image), state, aux

    def terminate(self, fn, y, args, options, state, tags):
        return state.residual <= self.atol + self.rtol * state.scale, optx.RESULTS.successful

    def postprocess(self, fn, y, aux, args, options, state, tags, result):
        return state.point, aux, {}


def _is_zero(damping: ScalarLike) -> bool:
    return isinstance(damping, int | float) and damping == 0
