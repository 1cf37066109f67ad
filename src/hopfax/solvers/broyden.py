"""Broyden's good method with limited memory and an energy safeguard."""

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from .._internal.checks import require_integer, require_kind, require_number
from .._internal.tree import accumulation_dtype, select
from ..updates.problem import StepInfo
from .guarded import AbstractGuardedSolver, fallback_of, halved, initial_info
from .safeguards import AbstractSafeguard, EnergyEstimate

CANCELLATION = 1e-8  # a pair is skipped where its denominator is smaller than this, relative to its terms


class _Inverse(eqx.Module):
    """`H = -β I + Σ u_k v_kᵀ`, an approximate inverse of the Jacobian of `g(z) = f(z) - z`.

    The newest pair comes first, and rows not in use are zero. Rows are shifted rather than indexed: the examples of a
    batch have different counts.
    """

    left: Float[Array, "m n"]
    right: Float[Array, "m n"]
    used: Bool[Array, " m"]
    mixing: Float[Array, ""]

    @staticmethod
    def initial(slots: int, mixing: float, like: Array) -> "_Inverse":
        """`-β I`."""
        dtype = accumulation_dtype(like.dtype)
        zeros = jnp.zeros((slots, like.size), dtype)
        return _Inverse(zeros, zeros, jnp.zeros(slots, bool), jnp.asarray(mixing, dtype))

    def apply(self, vector: Array) -> Array:
        """`H x`."""
        return (self.right @ vector) @ self.left - self.mixing * vector

    def apply_transpose(self, vector: Array) -> Array:
        """`Hᵀ x`."""
        return (self.left @ vector) @ self.right - self.mixing * vector

    def clear_if(self, condition: Bool[Array, ""]) -> "_Inverse":
        clear = lambda rows: jnp.where(condition, 0, rows)
        return _Inverse(clear(self.left), clear(self.right), self.used & ~condition, self.mixing)

    def update(self, step: Array, change: Array) -> "_Inverse":
        """`H + (s - H y) (Hᵀ s)ᵀ / (sᵀ H y)`, so that `H y = s`; unchanged where the denominator is near zero."""
        right = self.apply_transpose(step)
        denominator = right @ change
        usable = jnp.abs(denominator) > CANCELLATION * jnp.linalg.norm(right) * jnp.linalg.norm(change)
        left = (step - self.apply(change)) / jnp.where(usable, denominator, 1)
        shift = lambda old, new: jnp.concatenate([new[None], old[:-1]])
        used = shift(self.used, jnp.array(True))
        new = _Inverse(shift(self.left, left), shift(self.right, right), used, self.mixing)
        return select(usable & jnp.all(jnp.isfinite(left)), new, self)


class _BroydenState(eqx.Module):
    inverse: _Inverse
    accepted: StepInfo
    point: Float[Array, " n"]
    image: Float[Array, " n"]
    fallback: Float[Array, " n"]
    extrapolated: Bool[Array, ""]


class Broyden(AbstractGuardedSolver):
    """`z ← z - H g`, `H ← H + (s - H y) (Hᵀ s)ᵀ / (sᵀ H y)`, where `g = f(z) - z`, `s = Δz` and `y = Δg`.

    `H` starts as `-β I`, which is plain iteration. When the memory is full it is emptied rather than overwritten,
    because each pair depends on all earlier ones. Extrapolated points are accepted or rejected. After a rejection the
    solver takes a plain Picard step from the last accepted point, at no further evaluation, and empties its memory.

    Args:
        memory: how many pairs are stored, at least 1; `2 memory` vectors.
        safeguard: `EnergyEstimate()`, `Energy()`, `Residual()`, `PaperSafeguard()` or `Unguarded()`.
        reach: a step is at most this many times as long as a plain one, `|f(z) - z|`; at least 1.
        mixing: `β`, in (0, 1].
        rtol, atol: tolerances where optimistix runs the solver; `hopfax.relax` has its own.
    Raises: `ValueError` for values out of range.
    Source: [broyden1965], the first ("good") method; the energy safeguard follows the idea of [peng2018].
    """

    memory: int = eqx.field(static=True, default=8)
    safeguard: AbstractSafeguard = EnergyEstimate()
    reach: float = 100.0
    mixing: float = 1.0
    rtol: float = 1e-5
    atol: float = 1e-6

    def __check_init__(self):
        require_integer("Broyden.memory", self.memory, 1)
        require_kind("Broyden.safeguard", self.safeguard, AbstractSafeguard, "EnergyEstimate()")
        rule = "at least 1, the length of a plain step"
        require_number("Broyden.reach", self.reach, lambda x: x >= 1, rule)
        require_number("Broyden.mixing", self.mixing, lambda x: 0 < x <= 1, "in (0, 1]; 1 is no mixing")

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        flat, _ = ravel_pytree(y)
        inverse = _Inverse.initial(self.memory, self.mixing, flat)
        return _BroydenState(inverse, initial_info(aux_struct, flat), flat, flat, flat, jnp.array(False))

    def advance(self, point, image, info, rejected, state):
        full = jnp.all(state.inverse.used) & ~rejected
        inverse = state.inverse.clear_if(rejected | full)
        fallback = _BroydenState(
            inverse, state.accepted, state.point, state.image, halved(state), jnp.array(False)
        )
        after_acceptance = self._step(point, image, info, inverse, state)
        return *select(rejected, (state.fallback, fallback), after_acceptance), full

    def _step(self, point, image, info, inverse, state) -> tuple[Array, _BroydenState]:
        """The next point and state from an accepted point, after the update by the pair that led to it."""
        residual = (image - point).astype(inverse.left.dtype)
        # At the first point the pair is zero, and is skipped.
        change = residual - (state.image - state.point).astype(residual.dtype)
        inverse = inverse.update((point - state.point).astype(residual.dtype), change)
        candidate = point + self._clip(-inverse.apply(residual), residual).astype(point.dtype)
        admitted = jnp.any(inverse.used) & self.safeguard.admits(candidate, image, point)
        use = admitted & jnp.all(jnp.isfinite(candidate))
        new = _BroydenState(inverse, info, point, image, fallback_of(point, image, use), use)
        return jnp.where(use, candidate, image), new

    def _clip(self, step: Array, residual: Array) -> Array:
        """The step, shortened to `reach` times the length of a plain one."""
        longest, length = self.reach * jnp.linalg.norm(residual), jnp.linalg.norm(step)
        return step * jnp.where(length > longest, longest / jnp.where(length > 0, length, 1), 1)
