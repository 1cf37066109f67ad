"""Gradient flow: follow the differential equation of the papers to its steady state."""

from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int

from .._internal.checks import require_integer
from .._internal.optional import needed
from ..networks.network import States
from ..updates.problem import Problem, StepInfo
from .equilibrium import Statistics, Status
from .loop import AbstractDirectSolver, Stopping

if TYPE_CHECKING:
    from .flow_diffrax import Integration


class GradientFlow(AbstractDirectSolver):
    """Integrates `dz/dt = f(z) - z` to its steady state, with diffrax.

    With `Synchronous()` this is the papers' flow `τ ds/dt = -∂E/∂g`, with time in units of `τ`, and the energy
    falls along it. Forward Euler with step `h` is Picard iteration damped by `1 - h`. The other solvers need fewer
    sweeps; this one is a baseline, and it shows the dynamics. Needs the extra `ode`.

    Args:
        solver: any diffrax solver of an ordinary differential equation; `None` for `diffrax.Tsit5()`.
        controller: any diffrax step-size controller; `None` for one that keeps the error of a step at `share` of
            the tolerance of the solve.
        step: the first step, or the only one of `diffrax.ConstantStepSize()`; `None` to have it chosen.
        share: in (0, 1].
        max_steps: the most steps tried, rejected ones included. It takes the place of `Method.max_steps`, because
            diffrax needs a limit that is known when it compiles.
    In the statistics, `steps` counts accepted steps and `rejections` the others. `evaluations` counts the sweeps of
    explicit Runge-Kutta stages and of the stopping test; what an implicit solver spends inside is not counted.
    `trace` has one entry for each accepted step. `stalled` is any other failure.
    Raises: `ValueError` for a solver or controller that is not diffrax's, or where diffrax is not installed.
    Source: [krotov2021], eq. 1; [goemaere2024], eq. 4.
    """

    solver: object = None
    controller: object = None
    step: float | None = None
    share: float = 0.1
    max_steps: int = eqx.field(static=True, default=1000)

    def __check_init__(self):
        if self.step is not None and not self.step > 0:
            raise ValueError(f"`GradientFlow(step={self.step})` must be positive; `None` chooses one.")
        if not 0 < self.share <= 1:
            raise ValueError(f"`GradientFlow(share={self.share})` must lie in (0, 1].")
        require_integer("GradientFlow.max_steps", self.max_steps, 1)

    def solve(
        self, problem: Problem, start: States, stopping: Stopping, trace: int
    ) -> tuple[States, Statistics]:
        needed("`GradientFlow` needs diffrax", "diffrax", "'hopfax[ode]'")
        from .flow_diffrax import integrate  # diffrax takes seconds to import

        steps = (self.solver, self.controller, self.step, self.share, self.max_steps)
        return _judged(problem, start, stopping, integrate(problem, start, stopping, steps, trace))


def _judged(
    problem: Problem, start: States, stopping: Stopping, end: "Integration"
) -> tuple[States, Statistics]:
    """The final state with its own residual; the start where the integration left the finite numbers."""
    _, trial = problem.evaluate(end.states, energy=False)
    finite = jnp.isfinite(trial.residual)
    states = {name: jnp.where(finite, end.states[name], start[name]) for name in start}
    statistics = Statistics(
        _status(trial, stopping, end.exhausted),
        jnp.where(finite, trial.residual, jnp.inf),
        jnp.where(finite, trial.residual / trial.scale, jnp.inf),
        jnp.where(finite, end.steps, 0),
        end.evaluations,
        end.rejections,
        jnp.zeros((), jnp.int32),
        end.trace,
    )
    return states, statistics


def _status(trial: StepInfo, stopping: Stopping, exhausted: Array) -> Int[Array, ""]:
    failed = jnp.where(exhausted, Status.max_steps, Status.stalled)
    failed = jnp.where(jnp.isfinite(trial.residual), failed, Status.nonfinite)
    converged = trial.residual <= stopping.tolerance(trial)
    return jnp.where(converged, Status.converged, failed).astype(jnp.int32)
