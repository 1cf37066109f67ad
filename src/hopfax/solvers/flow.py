"""Gradient flow: the papers' differential equation, integrated to its steady state."""

from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int

from .._internal.checks import require_integer, require_number
from .._internal.optional import needed
from ..networks.network import States
from ..updates.problem import Problem, StepInfo
from .equilibrium import Statistics, Status, Trace
from .loop import AbstractDirectSolver, Stopping

if TYPE_CHECKING:
    from .flow_diffrax import Integration


class GradientFlow(AbstractDirectSolver):
    """Integrates `dz/dt = f(z) - z` to its steady state, with diffrax.

    With `Synchronous()` this is the papers' flow `τ ds/dt = -∂E/∂g`, with time in units of `τ`, and the energy
    falls along it. Forward Euler with step `h` is Picard iteration damped by `1 - h`. The other solvers need fewer
    sweeps; this one is a baseline, and it shows the dynamics. Needs the extra `ode`.

    In the statistics, `steps` counts accepted steps and `rejections` the others. `evaluations` counts the sweeps of
    explicit Runge-Kutta stages and of the stopping test, but not what an implicit solver spends inside a step. `trace`
    has one entry for each accepted step. `stalled` is any other failure than running out of steps.

    Args:
        solver: any diffrax solver of an ordinary differential equation; `None` for `diffrax.Tsit5()`.
        controller: any diffrax step-size controller; `None` for one that keeps the error of a step at `share` of
            the tolerance of the solve.
        step: the first step, or the only one of `diffrax.ConstantStepSize()`; `None` to have it chosen.
        share: in (0, 1].
        max_steps: the most steps tried, including rejected ones. It takes the place of `Method.max_steps`, because
            diffrax needs a limit that is known when it compiles.
    Raises: `ValueError` for values out of range, for a solver or controller that is not diffrax's, and where diffrax is
        not installed.
    Source: [krotov2021], eq. 1; [goemaere2024], eq. 4.
    """

    solver: object = None
    controller: object = None
    step: float | None = None
    share: float = 0.1
    max_steps: int = eqx.field(static=True, default=1000)

    def __check_init__(self):
        if self.step is not None:
            rule = "positive; `None` chooses one"
            require_number("GradientFlow.step", self.step, lambda x: x > 0, rule)
        require_number("GradientFlow.share", self.share, lambda x: 0 < x <= 1, "in (0, 1]")
        require_integer("GradientFlow.max_steps", self.max_steps, 1)

    def solve(
        self, problem: Problem, start: States, stopping: Stopping, trace: Trace
    ) -> tuple[States, Statistics]:
        needed("`GradientFlow` needs diffrax", "diffrax", "'hopfax[ode]'")
        from .flow_diffrax import integrate  # diffrax takes seconds to import

        settings = (self.solver, self.controller, self.step, self.share, self.max_steps)
        return _result(problem, start, stopping, integrate(problem, start, stopping, settings, trace))


def _result(
    problem: Problem, start: States, stopping: Stopping, end: "Integration"
) -> tuple[States, Statistics]:
    """The final state with its own residual; the start where the integration became infinite or NaN."""
    _, info = problem.evaluate(end.states, energy=False)
    finite = jnp.isfinite(info.residual)
    states = {name: jnp.where(finite, end.states[name], start[name]) for name in start}
    statistics = Statistics(
        _status(info, stopping, end.exhausted),
        jnp.where(finite, info.residual, jnp.inf),
        jnp.where(finite, info.residual / info.scale, jnp.inf),
        jnp.where(finite, end.steps, 0),
        end.evaluations,
        end.rejections,
        jnp.zeros((), jnp.int32),
        end.trace,
    )
    return states, statistics


def _status(info: StepInfo, stopping: Stopping, exhausted: Array) -> Int[Array, ""]:
    failed = jnp.where(exhausted, Status.max_steps, Status.stalled)
    failed = jnp.where(jnp.isfinite(info.residual), failed, Status.nonfinite)
    converged = info.residual <= stopping.tolerance(info)
    return jnp.where(converged, Status.converged, failed).astype(jnp.int32)
