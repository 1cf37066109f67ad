"""The loop that drives every iterative solver, ours or optimistix's, for one example.

A solver proposes points. The loop stops on the residual of the point that it returns, keeps the finite point of
smallest residual, counts, and records how the solve ended. Under `vmap` each example stops by itself.
"""

import abc
import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Bool, Float, Int, PyTree, ScalarLike

from .._internal.checks import require_integer
from .._internal.tree import select, subtract, with_batch_axis_of
from ..networks.network import States
from ..updates.problem import AbstractMap, Problem, StepInfo
from .batched_loop import batched_while_loop
from .equilibrium import Statistics, Status, Trace, Trajectory

RUNNING = -1
ROUNDING = 16  # a residual below this many eps of `rms(f(z))` is at the rounding level; rounding errors leave about one
GROWTH = 1e6  # where `rms(f(z))` exceeds its first value, or 1, by this factor, the states grow without end
PATIENCE = 30  # evaluations in a row that do not lower a residual at rounding level: the example has stalled

IterativeSolver = optx.AbstractFixedPointSolver | optx.AbstractRootFinder


class Stopping(eqx.Module):
    """When a solve ends: at `rms(f(z) - z) <= atol + rtol rms(f(z))`, or after `max_steps` updates.

    The first three may be arrays; a compiled function then takes other values without compiling again.

    Args:
        rtol: relative tolerance.
        atol: absolute tolerance.
        max_steps: the most updates.
        check_every: steps between two checks of whether any example is still running. The result does not depend on it.
    Raises: `ValueError` where `check_every` is not a whole number, at least 1.
    """

    rtol: ScalarLike
    atol: ScalarLike
    max_steps: ScalarLike
    check_every: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        require_integer("Stopping.check_every", self.check_every, 1)

    def tolerance(self, info: StepInfo) -> Float[Array, ""]:
        """`atol + rtol rms(f(z))`, in the dtype of the residual."""
        rtol, atol = (jnp.asarray(x, info.scale.dtype) for x in (self.rtol, self.atol))
        return atol + rtol * info.scale


class AbstractDirectSolver(eqx.Module):
    """A solver that is not stepped by the loop: an integrator, for example."""

    @abc.abstractmethod
    def solve(
        self, problem: Problem, start: States, stopping: Stopping, trace: Trace
    ) -> tuple[States, Statistics]:
        """The unknown states at an equilibrium near `start`, and the statistics, with what `trace` asks for."""


class _Best(eqx.Module):
    """The accepted point of smallest residual so far."""

    point: States
    residual: Float[Array, ""]
    relative_residual: Float[Array, ""]
    steps: Int[Array, ""]


class Progress(eqx.Module):
    """The progress of one example."""

    best: _Best
    first_scale: Float[Array, ""]  # `rms(f(z))` at the start; NaN before
    idle: Int[Array, ""]  # evaluations in a row at the rounding level that did not lower the residual
    evaluations: Int[Array, ""]
    rejections: Int[Array, ""]
    restarts: Int[Array, ""]
    status: Int[Array, ""]
    trace: Trajectory

    @staticmethod
    def begin(start: States, info: StepInfo, trace: Trace) -> "Progress":
        """The progress before the first evaluation, in the types of `info`."""
        zero, infinity = jnp.zeros((), jnp.int32), jnp.full((), jnp.inf, info.residual.dtype)
        best = _Best(start, infinity, infinity, zero)
        trajectory = trace.unrecorded(info.residual, info.energy, start)
        unknown = jnp.full((), jnp.nan, info.scale.dtype)
        return Progress(best, unknown, zero, zero, zero, zero, zero + RUNNING, trajectory)

    def update(self, point: States, info: StepInfo, stopping: Stopping) -> "Progress":
        """The progress after one more evaluation, which was made at `point`."""
        converged = info.accepted & _finite(info) & (info.residual <= stopping.tolerance(info))
        better = converged | (info.accepted & (info.residual < self.best.residual))
        relative = info.residual / jnp.where(info.scale > 0, info.scale, 1)
        new_best = _Best(point, info.residual, relative, self.evaluations)
        idle = self._idle(info)
        return Progress(
            best=select(better, new_best, self.best),
            first_scale=jnp.where(self.evaluations == 0, info.scale, self.first_scale),
            idle=idle,
            evaluations=self.evaluations + 1,
            rejections=self.rejections + jnp.where(info.accepted, 0, 1),
            restarts=self.restarts + jnp.where(info.restarted, 1, 0),
            status=self._status(info, converged, idle, stopping),
            trace=self.trace.record(self.evaluations, info.accepted, relative, info.energy, point),
        )

    def _idle(self, info: StepInfo) -> Int[Array, ""]:
        """One more, or zero after an accepted point whose residual is above the rounding level or fell by 1 %."""
        rounding = ROUNDING * jnp.finfo(info.residual.dtype).eps * info.scale
        lowered = info.residual < 0.99 * self.best.residual
        active = info.accepted & (lowered | (info.residual > rounding))
        return jnp.where(active, 0, self.idle + 1)

    def _status(
        self, info: StepInfo, converged: Bool[Array, ""], idle: Int[Array, ""], stopping: Stopping
    ) -> Int[Array, ""]:
        last = self.evaluations >= jnp.asarray(stopping.max_steps, jnp.int32)
        status = jnp.where(last, Status.max_steps, RUNNING)
        status = jnp.where(idle >= PATIENCE, Status.stalled, status)
        # Near a saddle the first scale may be tiny, and a bounded network grows from it by any factor.
        grown = info.scale > GROWTH * jnp.maximum(self.first_scale, 1)
        status = jnp.where(info.accepted & grown, Status.unbounded, status)
        status = jnp.where(info.accepted & ~_finite(info), Status.nonfinite, status)
        return jnp.where(converged, Status.converged, status).astype(jnp.int32)

    def statistics(self) -> Statistics:
        """How the solve went."""
        best = self.best
        return Statistics(
            self.status,
            best.residual,
            best.relative_residual,
            best.steps,
            self.evaluations,
            self.rejections,
            self.restarts,
            self.trace,
        )


def _finite(info: StepInfo) -> Bool[Array, ""]:
    """Whether residual and scale are finite. Any residual would be small beside a scale that overflows."""
    return jnp.isfinite(info.residual) & jnp.isfinite(info.scale)


def iterate(
    problem: AbstractMap,
    solver: IterativeSolver,
    start: States,
    stopping: Stopping,
    trace: Trace = Trace(),
    unroll: int | None = None,
) -> tuple[States, Statistics]:
    """Step `solver` from `start` until one example converges, stalls or has taken all its steps.

    Args:
        trace: what to record at each evaluation.
        unroll: make exactly that many evaluations in a `scan`, so that the whole solve can be differentiated.
            Evaluations after convergence have no effect.
    Returns: the states of smallest residual, and the statistics.
    """
    function_of = _traced_once(problem, solver, trace.energy)
    fn = function_of(problem, solver)
    image, info = jax.eval_shape(fn, start, None)
    state = solver.init(fn, start, None, {}, image, info, frozenset())
    dynamic, static = eqx.partition(state, eqx.is_array)

    def step(inputs, carry):
        problem, solver, stopping = inputs
        point, dynamic, progress = carry
        state = eqx.combine(dynamic, static)
        fn = function_of(problem, solver)
        new, state, info = solver.step(fn, point, None, {}, state, frozenset())
        return new, eqx.filter(state, eqx.is_array), progress.update(point, info, stopping)

    delay = delay_of(solver, info)
    delay = delay if unroll is None else min(delay, unroll)
    carry = start, Progress.begin(start, info, trace)
    point, progress = _plain_steps(problem, carry, stopping, trace, delay, unroll is not None)
    inputs, carry = (problem, solver, stopping), (point, dynamic, progress)
    if unroll is None:
        carry = batched_while_loop(_running, step, inputs, carry, stopping.check_every)
    else:
        carry = _scan(lambda carry: step(inputs, carry), carry, unroll - delay)
    return carry[-1].best.point, carry[-1].statistics()


def delay_of(solver: IterativeSolver, info: StepInfo) -> int:
    """How many plain steps precede those of the solver: none where plain steps need a guard too."""
    return getattr(solver, "delay", 0) if info.descends else 0


def _running(carry) -> Bool[Array, ""]:
    """Whether an example goes on; its progress is the last of `carry`."""
    return carry[-1].status == RUNNING


def _plain_steps(
    problem: AbstractMap, carry, stopping: Stopping, trace: Trace, count: int, unrolled: bool
) -> tuple[States, Progress]:
    """Point and progress after `count` steps `z <- f(z)`, or fewer where the solve ends before."""

    def step(carry):
        point, progress = carry
        image, info = problem.evaluate(point, energy=trace.energy)
        return image, progress.update(point, info, stopping)

    if not count:
        return carry
    if unrolled or stopping.check_every > 1:
        return _scan(step, carry, count)
    # A batch is not cut here: to do so costs more than these few steps.
    carry = with_batch_axis_of(carry[0], carry)
    return jax.lax.while_loop(lambda carry: _running(carry) & (carry[-1].evaluations < count), step, carry)


def _traced_once(problem: AbstractMap, solver: IterativeSolver, energy: bool):
    """`(problem, solver) -> function`, as `_solver_function`, for other arrays in the same problem and solver.

    All its functions share one trace: that of the shapes serves in the loop too.
    """
    constants = eqx.filter((problem, solver), eqx.is_array, inverse=True)

    @ft.partial(jax.jit, inline=True)
    def evaluate(arrays, states):
        problem, solver = eqx.combine(arrays, constants)
        return _solver_function(problem, solver, energy)(states, None)

    def function_of(problem, solver):
        arrays = eqx.filter((problem, solver), eqx.is_array)
        return lambda states, args: evaluate(arrays, states)

    return function_of


def _solver_function(problem: AbstractMap, solver: IterativeSolver, energy: bool):
    """The function that the solver is given: the map, or for a root finder its residual.

    With `energy`, the energy is computed even if the solver does not watch it.
    """

    def residual(states, args):
        image, info = problem.evaluate(states, energy=energy)
        return subtract(image, states), info

    if isinstance(solver, optx.AbstractRootFinder):
        return residual
    return fixed_point_function(problem, solver, energy)


def fixed_point_function(problem: AbstractMap, solver: optx.AbstractFixedPointSolver, energy: bool = False):
    """`(states, args) -> (f(states), info)`; `info` has the energy or its slope if the solver watches them.

    With `energy`, `info` has the energy in any case. Tracing and compiling the energy is expensive.
    """
    slope = problem.gives_slope and getattr(solver, "watches_slope", False)
    wanted = energy or (getattr(solver, "watches_energy", True) and not slope)
    return lambda states, args: problem.evaluate(states, wanted, slope)


def _scan(body, carry, steps: int) -> PyTree:
    """`body` applied `steps` times, without effect once the example has ended."""

    def step(carry, _):
        return select(_running(carry), body(carry), carry), None

    return jax.lax.scan(step, carry, None, length=steps)[0]
