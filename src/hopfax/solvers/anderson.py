"""Anderson acceleration, type II, with an energy safeguard."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from .._internal.checks import require_integer, require_kind, require_number
from .._internal.tree import accumulation_dtype, select
from ..updates.problem import StepInfo
from .guarded import AbstractGuardedSolver, fallback_of, halved, initial_info
from .safeguards import AbstractSafeguard, EnergyEstimate

MAX_WEIGHT = 1e6  # least-squares weights above this are taken for an unsolvable system
MAX_ACCELERATED = 20  # steps in a row that are not plain where the energy is guarded, for convergence


class AbstractRidge(eqx.Module):
    """How the normal equations `(ΔGᵀΔG) γ = ΔGᵀ g` of Anderson acceleration are regularised.

    `ΔG` has the differences of the residuals in its columns.
    """

    @abc.abstractmethod
    def add(
        self, gram: Float[Array, "m m"], right: Float[Array, " m"], used: Bool[Array, " m"]
    ) -> tuple[Float[Array, "m m"], Float[Array, " m"]]:
        """The regularised matrix and right-hand side. `used` says which slots of the history are in use."""


class Relative(AbstractRidge):
    """`λ tr(ΔGᵀΔG) I`: the same acceleration whatever the scale of the residual.

    Args:
        factor: `λ`, at least 0; `None` for a tenth of the eps of the working precision.
    Raises: `ValueError` for another `factor`.
    """

    factor: float | None = None

    def __check_init__(self):
        if self.factor is not None:
            require_number("Relative.factor", self.factor, lambda x: x >= 0, "a number, 0 or more")

    def add(self, gram, right, used):
        factor = 0.1 * jnp.finfo(gram.dtype).eps if self.factor is None else self.factor
        return gram + factor * jnp.trace(gram) * jnp.eye(len(gram), dtype=gram.dtype), right


class Absolute(AbstractRidge):
    """`λ |a|²` on the weights `a` of the images, which sum to one: the papers' `(FᵀF + λ I) a = 1`.

    In differences `a = (γ, 1 - Σγ)`, so `λ (I + 11ᵀ)` is added to the matrix and `λ 1` to the right-hand side. As it
    does not scale with the residual, it slows the last digits.

    Args:
        factor: `λ`, at least 0.
    Raises: `ValueError` for another `factor`.
    Source: [goemaere2024], Appendix C; [walkerni2011], form 1.1.
    """

    factor: float = 1e-10

    def __check_init__(self):
        require_number("Absolute.factor", self.factor, lambda x: x >= 0, "a number, 0 or more")

    def add(self, gram, right, used):
        ones = used.astype(gram.dtype)
        ridge = jnp.diag(ones) + jnp.outer(ones, ones)
        return gram + self.factor * ridge, right + self.factor * ones


class _History(eqx.Module):
    """The last accepted points and their residuals `f(z) - z`, newest first.

    They are shifted rather than indexed: the examples of a batch have different counts, and scatters are slow.
    """

    points: Float[Array, "m n"]
    residuals: Float[Array, "m n"]
    used: Bool[Array, " m"]

    @staticmethod
    def empty(slots: int, like: Array) -> "_History":
        zeros = jnp.zeros((slots, like.size), like.dtype)
        return _History(zeros, zeros, jnp.zeros(slots, bool))

    def push(self, point: Array, residual: Array) -> "_History":
        shift = lambda old, new: jnp.concatenate([new[None], old[:-1]])
        used = shift(self.used, jnp.array(True))
        return _History(shift(self.points, point), shift(self.residuals, residual), used)

    def clear_if(self, condition: Bool[Array, ""]) -> "_History":
        return eqx.tree_at(lambda h: h.used, self, self.used & ~condition)


class _AndersonState(eqx.Module):
    history: _History
    accepted: StepInfo
    point: Float[Array, " n"]
    fallback: Float[Array, " n"]
    extrapolated: Bool[Array, ""]
    overrelaxation: Float[Array, ""]  # of the next step; 1 while the solver extrapolates
    accelerated: Int[Array, ""]  # steps in a row that were not plain


class Anderson(AbstractGuardedSolver):
    """`z ← z + β g - (ΔZ + β ΔG) γ` with `γ = argmin |g - ΔG γ|²`, where `g = f(z) - z`.

    `ΔZ` and `ΔG` are the differences of `z` and `g` to those of earlier points. Extrapolated points are accepted or
    rejected. After a rejection the solver takes a plain Picard step from the last accepted point, at no further
    evaluation, and empties its history.

    Convergence: `Energy()` lets no step raise the energy, and then at least one step in 21 is plain. Where plain steps
    lower the energy, it has a compact level set at the start, and its block minimisers are unique, every limit point
    of the points at which plain steps are taken is therefore an equilibrium, by the spacer step theorem. The theorem
    does not say how many steps that takes. `EnergyEstimate()` has as many plain steps.

    Args:
        window: how many points are used, including the newest; at least 2.
        safeguard: `EnergyEstimate()`, `Energy()`, `Residual()`, `PaperSafeguard()` or `Unguarded()`.
        ridge: `Relative()` or `Absolute()`.
        start_rtol: extrapolate only where the relative residual is at most this. Far from the equilibrium the map is
            not nearly linear, and a long step may leave the basin in which plain steps would end.
        max_overrelaxation: after a rejected extrapolation, overrelaxed steps `z + ω g` are tried, with `ω` = 2, 4, ...
            up to this, until one is rejected too. Near a saddle extrapolation leads back to it, and overrelaxation
            leaves it. 1 for none.
        mixing: `β`, in (0, 1].
        delay: how many steps of a solve are plain before the acceleration begins, at least 0. They cost what steps of
            `Picard()` cost, so an easy solve ends before acceleration costs anything. `hopfax.relax` takes these steps
            where a plain step cannot raise the energy; optimistix does not take them.
        rtol, atol: tolerances where optimistix runs the solver; `hopfax.relax` has its own.
    Raises: `ValueError` for values out of range.
    Source: [walkerni2011]; [goemaere2024], Appendix C; the energy safeguard follows the idea of [peng2018];
        [luenberger2008], the spacer step theorem.
    """

    window: int = eqx.field(static=True, default=5)
    safeguard: AbstractSafeguard = EnergyEstimate()
    ridge: AbstractRidge = Relative()
    start_rtol: float = 0.1
    max_overrelaxation: float = 64.0
    mixing: float = 1.0
    delay: int = eqx.field(static=True, default=6)
    rtol: float = 1e-5
    atol: float = 1e-6

    def __check_init__(self):
        require_integer("Anderson.window", self.window, 2)
        require_kind("Anderson.safeguard", self.safeguard, AbstractSafeguard, "EnergyEstimate()")
        require_kind("Anderson.ridge", self.ridge, AbstractRidge, "Relative()")
        rule = "a relative residual, 0 or more; infinity is no limit"
        require_number("Anderson.start_rtol", self.start_rtol, lambda x: x >= 0, rule)
        rule = "at least 1; 1 is no overrelaxation"
        require_number("Anderson.max_overrelaxation", self.max_overrelaxation, lambda x: x >= 1, rule)
        require_number("Anderson.mixing", self.mixing, lambda x: 0 < x <= 1, "in (0, 1]; 1 is no mixing")
        require_integer("Anderson.delay", self.delay, 0)

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        flat, _ = ravel_pytree(y)
        info, history = initial_info(aux_struct, flat), _History.empty(self.window - 1, flat)
        plain, zero = jnp.array(False), jnp.zeros((), jnp.int32)
        return _AndersonState(history, info, flat, flat, plain, jnp.ones_like(info.residual), zero)

    def advance(self, point, image, info, rejected, state):
        history = state.history.clear_if(rejected)
        fallback = _AndersonState(
            history,
            state.accepted,
            state.point,
            halved(state),
            jnp.array(False),
            self._after_rejection(state),
            jnp.zeros_like(state.accelerated),
        )
        after_acceptance = self._step(point, image, info, state)
        return *select(rejected, (state.fallback, fallback), after_acceptance), jnp.array(False)

    def _step(self, point: Array, image: Array, info: StepInfo, state) -> tuple[Array, _AndersonState]:
        """The next point and state from an accepted one: extrapolated, overrelaxed or plain."""
        residual, overrelaxing = image - point, state.overrelaxation > 1
        overrelaxed = state.overrelaxation.astype(point.dtype) * residual
        step = jnp.where(overrelaxing, overrelaxed, self._extrapolate(point, residual, state.history))
        candidate = point + step.astype(point.dtype)
        near = info.residual <= self.start_rtol * info.scale
        possible = near & (overrelaxing | jnp.any(state.history.used))
        if self.watches_energy:
            possible = possible & (state.accelerated < MAX_ACCELERATED)
        use = possible & self.safeguard.admits(candidate, image, point)
        after = _AndersonState(
            state.history.push(point, residual),
            info,
            point,
            fallback_of(point, image, use),
            use,
            self._after_acceptance(state.overrelaxation, use),
            jnp.where(use, state.accelerated + 1, 0),
        )
        return jnp.where(use, candidate, image), after

    def _extrapolate(self, point: Array, residual: Array, history: _History) -> Array:
        """`β g - (ΔZ + β ΔG) γ`; `γ = 0` where the least-squares problem cannot be solved."""
        dtype = accumulation_dtype(point.dtype)
        mask = history.used[:, None]
        steps = jnp.where(mask, point[None] - history.points, 0).astype(dtype)
        changes = jnp.where(mask, residual[None] - history.residuals, 0).astype(dtype)
        residual = residual.astype(dtype)
        gram, right = self.ridge.add(changes @ changes.T, changes @ residual, history.used)
        weights = _solve_masked(gram, right, history.used)
        return self.mixing * residual - (steps + self.mixing * changes).T @ weights

    def _after_rejection(self, state: _AndersonState) -> Array:
        """A rejected extrapolation starts overrelaxation; a rejected overrelaxed or plain step ends it."""
        first = min(2.0, self.max_overrelaxation)
        ends = (state.overrelaxation > 1) | ~state.extrapolated
        return jnp.where(ends, 1, first).astype(state.overrelaxation.dtype)

    def _after_acceptance(self, overrelaxation: Array, used: Array) -> Array:
        """Doubled after each overrelaxed step."""
        doubled = jnp.minimum(2 * overrelaxation, self.max_overrelaxation)
        return jnp.where(used & (overrelaxation > 1), doubled, overrelaxation)


def _solve_masked(
    gram: Float[Array, "m m"], right: Float[Array, " m"], used: Bool[Array, " m"]
) -> Float[Array, " m"]:
    """The weights of the slots in use; all zero, which is a plain step, where some are not finite or too large."""
    diagonal = jnp.where(used & (jnp.diag(gram) > 0), 0, 1).astype(gram.dtype)
    weights = _solve_small(gram + jnp.diag(diagonal), right)
    usable = jnp.all(jnp.isfinite(weights)) & (jnp.max(jnp.abs(weights)) < MAX_WEIGHT)
    return jnp.where(used & usable, weights, 0)


def _solve_small(matrix: Float[Array, "m m"], right: Float[Array, " m"]) -> Float[Array, " m"]:
    """Gaussian elimination without pivoting, for a positive definite matrix of a few rows.

    It is written out so that a batch of systems is one fused vector operation: LAPACK calls cost more than a sweep.
    """
    table = jnp.concatenate([matrix, right[:, None]], axis=1)
    for k in range(len(right)):
        row = table[k] / table[k, k]
        table = (table - table[:, k, None] * row[None]).at[k].set(row)
    return table[:, -1]
