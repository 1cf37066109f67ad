"""Gradient flow: follow the differential equation of the papers to its steady state."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int

from ..equilibrium import Statistics, Status
from ..network import States
from ..problem import Problem, Trial
from .loop import AbstractMethod, Stopping


class GradientFlow(AbstractMethod):
    """Integrates `dz/dt = f(z) - z` until its right-hand side is below the tolerance of the solve.

    With `Synchronous()` this is the papers' flow `τ ds/dt = -∂E/∂g`, time in units of `τ`, and the energy
    falls along it; forward Euler of step `h` is Picard iteration damped by `1 - h`. A baseline, and for those
    who want the dynamics; the other solvers get there in fewer sweeps.

    Args:
        solver: any diffrax solver of an ordinary differential equation; `None` for `diffrax.Tsit5()`.
        controller: any diffrax step-size controller; `None` for one that keeps a step's error at `share` of
            the tolerance of the solve.
        step: the first step, or the only one of `diffrax.ConstantStepSize()`; `None` to have it chosen.
        share: in (0, 1].
    `max_steps` counts steps tried. In the statistics `steps` are those accepted, `rejections` those not,
    `evaluations` the sweeps of explicit Runge-Kutta stages and of the stopping test (what an implicit solver
    spends inside is not seen), `trace` has one entry for each step tried, and `stalled` is any other failure.
    Raises: `ValueError` for a solver or controller that is not diffrax's.
    Source: [krotov2021], eq. 1; [goemaere2024], eq. 4.
    """

    solver: object = None
    controller: object = None
    step: float | None = None
    share: float = 0.1

    def __check_init__(self):
        if self.step is not None and not self.step > 0:
            raise ValueError(f"`GradientFlow(step={self.step})` must be positive; `None` chooses one.")
        if not 0 < self.share <= 1:
            raise ValueError(f"`GradientFlow(share={self.share})` must lie in (0, 1].")

    def solve(
        self, problem: Problem, start: States, stopping: Stopping, trace: int
    ) -> tuple[States, Statistics]:
        from . import integrate  # only now: diffrax takes seconds to import

        return _account(problem, start, stopping, integrate.run(self, problem, start, stopping, trace))


class Passage(eqx.Module):
    """Where an integration ended, and what it took."""

    states: States
    exhausted: Array  # ended for want of steps
    steps: Int[Array, ""]
    rejections: Int[Array, ""]
    evaluations: Int[Array, ""]
    trace: Array


def _account(
    problem: Problem, start: States, stopping: Stopping, passage: Passage
) -> tuple[States, Statistics]:
    """The final state judged by its own residual; the start where the integration left the finite numbers."""
    _, trial = problem.evaluate(passage.states, energy=False)
    finite = jnp.isfinite(trial.residual)
    states = {name: jnp.where(finite, passage.states[name], start[name]) for name in start}
    statistics = Statistics(
        _status(trial, stopping, passage.exhausted),
        jnp.where(finite, trial.residual, jnp.inf),
        jnp.where(finite, trial.residual / trial.scale, jnp.inf),
        jnp.where(finite, passage.steps, 0),
        passage.evaluations,
        passage.rejections,
        jnp.zeros((), jnp.int32),
        passage.trace,
    )
    return states, statistics


def _status(trial: Trial, stopping: Stopping, exhausted: Array) -> Int[Array, ""]:
    failed = jnp.where(exhausted, Status.max_steps, Status.stalled)
    failed = jnp.where(jnp.isfinite(trial.residual), failed, Status.nonfinite)
    converged = trial.residual <= stopping.tolerance(trial)
    return jnp.where(converged, Status.converged, failed).astype(jnp.int32)
