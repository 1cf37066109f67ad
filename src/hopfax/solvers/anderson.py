"""Anderson acceleration, type II, guarded by the energy."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from .._internal.checks import require_kind
from .._internal.tree import accumulation_dtype, rms
from ..updates.problem import StepInfo
from . import guarded as trials
from .guarded import AbstractGuarded
from .ridges import AbstractRidge, Relative
from .safeguards import AbstractSafeguard, Energy


class _History(eqx.Module):
    """The last accepted points and their residuals `f(z) - z`, newest first.

    Shifted rather than indexed: examples of a batch stand at different counts, and scatters are slow.
    """

    points: Float[Array, "m n"]
    residuals: Float[Array, "m n"]
    used: Bool[Array, " m"]

    @staticmethod
    def empty(slots: int, like: Array) -> "_History":
        blank = jnp.zeros((slots, like.size), like.dtype)
        return _History(blank, blank, jnp.zeros(slots, bool))

    def push(self, point: Array, residual: Array) -> "_History":
        shift = lambda old, new: jnp.concatenate([new[None], old[:-1]])
        return _History(
            shift(self.points, point), shift(self.residuals, residual), shift(self.used, jnp.array(True))
        )

    def dropped_if(self, condition: Bool[Array, ""]) -> "_History":
        return eqx.tree_at(lambda h: h.used, self, self.used & ~condition)


class _AndersonState(eqx.Module):
    history: _History
    accepted: StepInfo
    image: Float[Array, " n"]
    point: Float[Array, " n"]
    extrapolated: Bool[Array, ""]
    count: Int[Array, ""]
    stride: Float[Array, ""]  # of the coming long step; 1 while extrapolating


class Anderson(AbstractGuarded):
    """`z ← z + β g - (ΔZ + β ΔG) γ`, `γ = argmin |g - ΔG γ|²`, with `g = f(z) - z` and differences to earlier points.

    A point that its safeguard gives up is replaced by the plain image `f(z)` of the last accepted one, at no
    further evaluation, and the history is dropped.

    Args:
        window: points used, the newest included; at least 2.
        safeguard: `Energy()`, `Residual()`, `Published()` or `Unguarded()`.
        ridge: `Relative()` or `Absolute()`.
        period: extrapolate at each `period`-th step only (alternating Anderson-Picard).
        delay: plain steps before the first extrapolation.
        restart: drop the history at each `restart`-th step; 0 never.
        start_rtol: extrapolate only where the relative residual is at most this: far out the map is not near linear,
            and a long step may leave the basin in which plain steps would end.
        max_overrelaxation: after a rejected extrapolation, steps of 2, 4, ... up to `max_overrelaxation` times `g` are tried until one is
            rejected too: near a saddle, extrapolation points back at it, and long steps leave it. 1 for none.
        mixing: `β` in (0, 1].
    `rtol`, `atol` and `norm` count only where optimistix runs the solver; `hopfax.relax` has its own.
    Source: [walkerni2011]; [goemaere2024], Appendix C; the energy guard follows the idea of [peng2018].
    """

    window: int = eqx.field(static=True, default=5)
    safeguard: AbstractSafeguard = Energy()
    ridge: AbstractRidge = Relative()
    period: int = eqx.field(static=True, default=1)
    delay: int = eqx.field(static=True, default=0)
    restart: int = eqx.field(static=True, default=0)
    start_rtol: float = 0.1
    max_overrelaxation: float = 64.0
    mixing: float = 1.0
    rtol: float = 1e-5
    atol: float = 1e-6
    norm: Callable = rms

    def __check_init__(self):
        for name, least in (("window", 2), ("period", 1), ("delay", 0), ("restart", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"`Anderson({name}={value!r})` must be a whole number, at least {least}.")
        require_kind("Anderson.safeguard", self.safeguard, AbstractSafeguard, "Energy()")
        require_kind("Anderson.ridge", self.ridge, AbstractRidge, "Relative()")
        if not 0 < self.mixing <= 1:
            raise ValueError(f"`Anderson(mixing={self.mixing})` must lie in (0, 1]; 1 is no mixing.")
        if not self.start_rtol >= 0:
            raise ValueError(
                f"`Anderson(start_rtol={self.start_rtol})` is a relative residual; infinity is no limit."
            )
        if not self.max_overrelaxation >= 1:
            raise ValueError(
                f"`Anderson(max_overrelaxation={self.max_overrelaxation})` must be at least 1, which is no long steps."
            )

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        flat, _ = ravel_pytree(y)
        trial = trials.nothing_accepted(aux_struct, flat)
        history, zero = _History.empty(self.window - 1, flat), jnp.zeros((), jnp.int32)
        return _AndersonState(
            history, trial, flat, flat, jnp.array(False), zero, jnp.ones_like(trial.residual)
        )

    def advance(self, point, image, trial, rejected, state):
        restarts = self._restarts(state.count)
        residual = image - point
        history = state.history.dropped_if(rejected | restarts)
        striding = state.stride > 1
        step = jnp.where(striding, state.stride * residual, self._extrapolate(point, residual, history))
        candidate = point + step.astype(point.dtype)
        due = self._due(state.count) & (trial.residual <= self.start_rtol * trial.scale) & ~rejected
        use = due & (striding | jnp.any(history.used)) & self.safeguard.admits(candidate, image, point)
        stride = self._stride(state.stride, rejected, use)
        plain = jnp.where(rejected, state.image, image)
        kept = jax.tree.map(lambda old, new: jnp.where(rejected, old, new), state.accepted, trial)
        history = jax.tree.map(lambda a, b: jnp.where(rejected, a, b), history, history.push(point, residual))
        anchor = jnp.where(rejected, state.point, point)
        after = _AndersonState(history, kept, plain, anchor, use, state.count + 1, stride)
        return jnp.where(use, candidate, plain), after, restarts

    def _extrapolate(self, point: Array, residual: Array, history: _History) -> Array:
        """`β g - (ΔZ + β ΔG) γ`; zero coefficients where the small system is not solvable."""
        dtype = accumulation_dtype(point.dtype)
        mask = history.used[:, None]
        steps = jnp.where(mask, point[None] - history.points, 0).astype(dtype)
        changes = jnp.where(mask, residual[None] - history.residuals, 0).astype(dtype)
        gram, right = self.ridge.add(changes @ changes.T, changes @ residual.astype(dtype), history.used)
        weights = _solve_masked(gram, right, history.used)
        return self.mixing * residual - (steps + self.mixing * changes).T @ weights

    def _stride(self, stride: Array, rejected: Array, used: Array) -> Array:
        """Twice as long after each long step; begun by a rejected extrapolation, ended by a rejected long step."""
        longer = jnp.where(used & (stride > 1), jnp.minimum(2 * stride, self.max_overrelaxation), stride)
        return jnp.where(
            rejected, jnp.where(stride > 1, 1, min(2.0, self.max_overrelaxation)), longer
        ).astype(stride.dtype)

    def _due(self, count: Int[Array, ""]) -> Bool[Array, ""]:
        return (count >= self.delay) & ((count + 1) % self.period == 0)

    def _restarts(self, count: Int[Array, ""]) -> Bool[Array, ""]:
        return jnp.array(False) if self.restart == 0 else (count > 0) & (count % self.restart == 0)


def _solve_masked(
    gram: Float[Array, "m m"], right: Float[Array, " m"], used: Bool[Array, " m"]
) -> Float[Array, " m"]:
    """The weights of the used slots; all zero, that is a plain step, if they would not be finite or sane."""
    diagonal = jnp.where(used & (jnp.diag(gram) > 0), 0, 1).astype(gram.dtype)
    weights = _solve_small(gram + jnp.diag(diagonal), right)
    sane = jnp.all(jnp.isfinite(weights)) & (jnp.max(jnp.abs(weights)) < 1e6)
    return jnp.where(used & sane, weights, 0)


def _solve_small(matrix: Float[Array, "m m"], right: Float[Array, " m"]) -> Float[Array, " m"]:
    """Gaussian elimination without pivoting, for a positive definite matrix of a handful of rows.

    Written out so that a batch of systems is one fused vector operation: LAPACK calls cost more than a sweep.
    """
    table = jnp.concatenate([matrix, right[:, None]], axis=1)
    for k in range(len(right)):
        row = table[k] / table[k, k]
        table = (table - table[:, k, None] * row[None]).at[k].set(row)
    return table[:, -1]
