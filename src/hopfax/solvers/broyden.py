"""Broyden's good method with limited memory, guarded by the energy."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from .._internal.tree import accumulation_dtype, rms, select
from ..updates.problem import StepInfo
from . import guarded as trials
from .guarded import AbstractGuarded
from .safeguards import AbstractSafeguard, Energy

PARALLEL = 1e-8  # an update is skipped where its denominator is this far cancelled


class _Inverse(eqx.Module):
    """`H = -β I + Σ u_k v_kᵀ`, an approximate inverse of the Jacobian of `g(z) = f(z) - z`.

    Rows not in use are zero.

    Newest first, and shifted rather than indexed: examples of a batch stand at different counts.
    """

    left: Float[Array, "m n"]
    right: Float[Array, "m n"]
    used: Bool[Array, " m"]
    mixing: Float[Array, ""]

    @staticmethod
    def plain(slots: int, mixing: float, like: Array) -> "_Inverse":
        dtype = accumulation_dtype(like.dtype)
        blank = jnp.zeros((slots, like.size), dtype)
        return _Inverse(blank, blank, jnp.zeros(slots, bool), jnp.asarray(mixing, dtype))

    def apply(self, vector: Array) -> Array:
        return (self.right @ vector) @ self.left - self.mixing * vector

    def transposed(self, vector: Array) -> Array:
        return (self.left @ vector) @ self.right - self.mixing * vector

    def dropped_if(self, condition: Bool[Array, ""]) -> "_Inverse":
        keep = lambda rows: jnp.where(condition, 0, rows)
        return _Inverse(keep(self.left), keep(self.right), self.used & ~condition, self.mixing)

    def learned(self, step: Array, change: Array) -> "_Inverse":
        """`H + (s - H y) (Hᵀ s)ᵀ / (sᵀ H y)`, so that `H y = s`; as it is where that is not sane."""
        right = self.transposed(step)
        slope = right @ change
        sane = jnp.abs(slope) > PARALLEL * jnp.linalg.norm(right) * jnp.linalg.norm(change)
        left = (step - self.apply(change)) / jnp.where(sane, slope, 1)
        shift = lambda old, new: jnp.concatenate([new[None], old[:-1]])
        new = _Inverse(
            shift(self.left, left), shift(self.right, right), shift(self.used, jnp.array(True)), self.mixing
        )
        return select(sane & jnp.all(jnp.isfinite(left)), new, self)


class _BroydenState(eqx.Module):
    inverse: _Inverse
    accepted: StepInfo
    point: Float[Array, " n"]
    image: Float[Array, " n"]
    extrapolated: Bool[Array, ""]


class Broyden(AbstractGuarded):
    """`z ← z - H g`, `H ← H + (s - H y) (Hᵀ s)ᵀ / (sᵀ H y)`, with `g = f(z) - z`, `s = Δz`, `y = Δg`.

    `H` starts as `-β I`, which is plain iteration.

    When the memory is full it is emptied, not overwritten: each pair was made with all earlier ones in place.
    A point that its safeguard gives up is replaced by the plain image `f(z)` of the last accepted one, at no
    further evaluation, and the memory is emptied.

    Args:
        memory: pairs kept, at least 1; `2 memory` vectors.
        safeguard: `Energy()`, `Residual()`, `Published()` or `Unguarded()`.
        reach: a step is at most this many times as long as the plain one, `|f(z) - z|`.
        mixing: `β` in (0, 1].
    `rtol`, `atol` and `norm` count only where optimistix runs the solver; `hopfax.relax` has its own.
    Source: [broyden1965], the first ("good") method; the energy guard follows the idea of [peng2018].
    """

    memory: int = eqx.field(static=True, default=8)
    safeguard: AbstractSafeguard = Energy()
    reach: float = 100.0
    mixing: float = 1.0
    rtol: float = 1e-5
    atol: float = 1e-6
    norm: Callable = rms

    def __check_init__(self):
        if not isinstance(self.memory, int) or self.memory < 1:
            raise ValueError(f"`Broyden(memory={self.memory!r})` must be a whole number, at least 1.")
        if not self.reach >= 1:
            raise ValueError(f"`Broyden(reach={self.reach})` must be at least 1, the length of a plain step.")
        if not 0 < self.mixing <= 1:
            raise ValueError(f"`Broyden(mixing={self.mixing})` must lie in (0, 1]; 1 is no mixing.")

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        flat, _ = ravel_pytree(y)
        inverse = _Inverse.plain(self.memory, self.mixing, flat)
        return _BroydenState(inverse, trials.nothing_accepted(aux_struct, flat), flat, flat, jnp.array(False))

    def advance(self, point, image, trial, rejected, state):
        full = jnp.all(state.inverse.used) & ~rejected
        inverse = state.inverse.dropped_if(rejected | full)
        new, taken = self._learn_and_step(point, image, trial, inverse, state)
        fallback = _BroydenState(inverse, state.accepted, state.point, state.image, jnp.array(False))
        return *select(rejected, (state.image, fallback), (new, taken)), full

    def _learn_and_step(self, point, image, trial, inverse, state) -> tuple[Array, _BroydenState]:
        """From an accepted point: learn the pair that led to it, then step."""
        residual = (image - point).astype(inverse.left.dtype)
        # At the very first point the "pair" is zero and is skipped.
        change = residual - (state.image - state.point)
        inverse = inverse.learned((point - state.point).astype(residual.dtype), change)
        candidate = point + self._clip(-inverse.apply(residual), residual).astype(point.dtype)
        admitted = jnp.any(inverse.used) & self.safeguard.admits(candidate, image, point)
        use = admitted & jnp.all(jnp.isfinite(candidate))
        return jnp.where(use, candidate, image), _BroydenState(inverse, trial, point, image, use)

    def _clip(self, step: Array, residual: Array) -> Array:
        max_overrelaxation = self.reach * jnp.linalg.norm(residual)
        length = jnp.linalg.norm(step)
        return step * jnp.where(
            length > max_overrelaxation, max_overrelaxation / jnp.where(length > 0, length, 1), 1
        )
