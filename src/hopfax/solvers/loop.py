"""The one loop that drives every solver, ours or optimistix's own, for one example.

A solver proposes points, this loop judges them: it stops on the residual of the point that is returned, keeps
the best finite one, counts, and says how it ended. Under `vmap` each example stops for itself.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array, Float, Int, PyTree, ScalarLike

from .._internal.checks import require_number, require_integer
from .._internal.tree import select, subtract
from ..networks.network import States
from ..updates.problem import AbstractMap, Problem, StepInfo
from .batched_loop import batched_while_loop
from .equilibrium import Statistics, Status

RUNNING = -1
PATIENCE = 30  # evaluations without improvement after which an example counts as stalled
NEAR = 10.0  # only this many tolerances away from convergence is a stall worth stopping for

AnySolver = optx.AbstractFixedPointSolver | optx.AbstractRootFinder


class Stopping(eqx.Module):
    """Stop at `rms(f(z) - z) <= atol + rtol rms(f(z))`, or after `max_steps` updates; arrays, so free to change.

    `check_every` so many steps the loop asks whether anything is still running, which on a GPU makes it wait; what is
    returned does not depend on it.
    """

    rtol: ScalarLike
    atol: ScalarLike
    max_steps: ScalarLike
    check_every: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.check_every < 1:
            raise ValueError(f"`check_every={self.check_every}` must be at least 1.")

    @staticmethod
    def of_arrays(
        rtol: ScalarLike, atol: ScalarLike, max_steps: ScalarLike, check_every: int = 1
    ) -> "Stopping":
        """Numbers made arrays: a compiled function takes others without compiling again.

        Raises: `ValueError` for tolerances below 0 or NaN, or steps that are no whole number.
        """
        check_stopping(rtol, atol, max_steps)
        return Stopping(jnp.asarray(rtol), jnp.asarray(atol), jnp.asarray(max_steps), check_every)

    def tolerance(self, trial: StepInfo) -> Float[Array, ""]:
        return jnp.asarray(self.atol + self.rtol * trial.scale)


def check_stopping(rtol: ScalarLike, atol: ScalarLike, max_steps: ScalarLike) -> None:
    """Raises: `ValueError` for tolerances below 0 or NaN, or steps that are no whole number."""
    require_number("rtol", rtol, lambda x: x >= 0, "a number, 0 or more")
    require_number("atol", atol, lambda x: x >= 0, "a number, 0 or more")
    require_integer("max_steps", max_steps, 0)


class AbstractDirectSolver(eqx.Module):
    """A way to solve a problem: an iterative solver in the loop, or something that integrates or delegates."""

    @abc.abstractmethod
    def solve(
        self, problem: Problem, start: States, stopping: Stopping, trace: int
    ) -> tuple[States, Statistics]:
        """An equilibrium near `start` with its statistics."""


class Progress(eqx.Module):
    """How far one example has come."""

    best: States
    best_residual: Float[Array, ""]
    best_relative: Float[Array, ""]
    since_best: Int[Array, ""]
    evaluations: Int[Array, ""]
    best_at: Int[Array, ""]
    rejections: Int[Array, ""]
    restarts: Int[Array, ""]
    status: Int[Array, ""]
    trace: Float[Array, " trace"]

    @staticmethod
    def begin(start: States, trial: StepInfo, trace: int) -> "Progress":
        zero, far = jnp.zeros((), jnp.int32), jnp.full((), jnp.inf, trial.residual.dtype)
        record = jnp.full((trace,), jnp.nan, trial.residual.dtype)
        return Progress(start, far, far, zero, zero, zero, zero, zero, zero + RUNNING, record)

    def judge(self, point: States, trial: StepInfo, stopping: Stopping) -> "Progress":
        """Account for one evaluation, made at `point`."""
        tolerance = stopping.tolerance(trial).astype(trial.residual.dtype)
        converged = trial.accepted & (trial.residual <= tolerance)
        improved = converged | (trial.accepted & (trial.residual < self.best_residual))
        since_best = jnp.where(trial.residual < 0.99 * self.best_residual, 0, self.since_best + 1)
        relative = trial.residual / trial.scale
        return Progress(
            best=select(improved, point, self.best),
            best_residual=jnp.where(improved, trial.residual, self.best_residual),
            best_relative=jnp.where(improved, relative, self.best_relative),
            since_best=since_best,
            evaluations=self.evaluations + 1,
            best_at=jnp.where(improved, self.evaluations, self.best_at),
            rejections=self.rejections + ~trial.accepted,
            restarts=self.restarts + trial.restarted,
            status=jnp.where(
                converged, Status.converged, self._status(trial, tolerance, since_best, stopping)
            ),
            trace=self._record(relative),
        )

    def _status(
        self, trial: StepInfo, tolerance: Array, since_best: Array, stopping: Stopping
    ) -> Int[Array, ""]:
        near = self.best_residual < NEAR * tolerance
        last = self.evaluations >= jnp.asarray(stopping.max_steps, jnp.int32)
        stale = since_best >= PATIENCE
        status = jnp.where(last, jnp.where(stale, Status.stalled, Status.max_steps), RUNNING)
        status = jnp.where(stale & near, Status.stalled, status)
        return jnp.where(trial.accepted & ~jnp.isfinite(trial.residual), Status.nonfinite, status).astype(
            jnp.int32
        )

    def _record(self, relative: Float[Array, ""]) -> Float[Array, " trace"]:
        if not self.trace.size:
            return self.trace
        return self.trace.at[self.evaluations].set(relative, mode="drop")

    def statistics(self) -> Statistics:
        return Statistics(
            self.status,
            self.best_residual,
            self.best_relative,
            self.best_at,
            self.evaluations,
            self.rejections,
            self.restarts,
            self.trace,
        )


def iterate(
    problem: AbstractMap,
    solver: AnySolver,
    start: States,
    stopping: Stopping,
    trace: int = 0,
    unroll: int | None = None,
) -> tuple[States, Statistics]:
    """Drive `solver` from `start` until it converges or gives up.

    `unroll` runs exactly that many evaluations in a `scan` (points past convergence are frozen), so that the
    whole solve can be differentiated.
    """
    fn = _function(problem, solver)
    image, trial = jax.eval_shape(fn, start, None)
    state = solver.init(fn, start, None, {}, image, trial, frozenset())
    dynamic, static = eqx.partition(state, eqx.is_array)

    def advance(given, carry):
        problem, solver, stopping = given
        point, dynamic, progress = carry
        state = eqx.combine(dynamic, static)
        new, state, trial = solver.step(_function(problem, solver), point, None, {}, state, frozenset())
        return new, eqx.filter(state, eqx.is_array), progress.judge(point, trial, stopping)

    running = lambda carry: carry[2].status == RUNNING
    given, carry = (problem, solver, stopping), (start, dynamic, Progress.begin(start, trial, trace))
    if unroll is None:
        carry = batched_while_loop(running, advance, given, carry, stopping.check_every)
    else:
        carry = _scan(running, lambda carry: advance(given, carry), carry, unroll)
    return carry[2].best, carry[2].statistics()


def _function(problem: AbstractMap, solver: AnySolver):
    """What the solver iterates or zeroes: the map, or for a root finder its residual."""

    def residual(states, args):
        image, trial = problem.evaluate(states, energy=False)
        return subtract(image, states), trial

    return residual if isinstance(solver, optx.AbstractRootFinder) else iterated(problem, solver)


def iterated(problem: AbstractMap, solver: optx.AbstractFixedPointSolver):
    """The map, with the energy unless the solver has `watches_energy = False`: it is dear to trace."""
    watched = getattr(solver, "watches_energy", True)
    return lambda states, args: problem.evaluate(states, energy=watched)


def _scan(running, body, carry, steps: int) -> PyTree:
    """`body` applied `steps` times, without effect once `running` is false."""

    def step(carry, _):
        return select(running(carry), body(carry), carry), None

    return jax.lax.scan(step, carry, None, length=steps)[0]
