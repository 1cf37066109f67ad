"""The part of gradient flow that calls diffrax; imported only when a flow is integrated."""

from typing import Any, cast

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from .._internal.tree import all_finite, rms, subtract, tree_dtype
from ..networks.network import States
from ..updates.problem import Problem
from .equilibrium import Trace, Trajectory
from .loop import Stopping

TOLERANCE_FACTOR = (
    0.9  # diffrax compares the residual with `rms(z)`, `Stopping` with `rms(f(z))`: stop safely inside
)


class Integration(eqx.Module):
    """The end of an integration, and what it took."""

    states: States
    exhausted: Bool[Array, ""]  # whether the steps ran out
    steps: Int[Array, ""]
    rejections: Int[Array, ""]
    evaluations: Int[Array, ""]
    trace: Trajectory


def integrate(
    problem: Problem,
    start: States,
    stopping: Stopping,
    settings: tuple[Any, Any, float | None, float, int],
    trace: Trace,
) -> Integration:
    """Integrate from `start` until the steady state is reached, the steps run out, or the flow is not finite.

    Args:
        settings: the fields of `GradientFlow`: solver, controller, first step, share and largest number of steps.
        trace: what to record at each accepted step.
    """
    solver, controller, first, share, max_steps = settings
    solver = _solver(solver)
    dtype = tree_dtype(start)  # of time too: otherwise diffrax would promote the states to the dtype of time
    recorded = dfx.SubSaveAt(steps=True, fn=lambda t, states, args: _observed(problem, trace, states))
    final = dfx.SubSaveAt(t1=True)
    solution = dfx.diffeqsolve(
        dfx.ODETerm(lambda t, states, args: subtract(problem.image(states), states)),
        solver,
        jnp.zeros((), dtype),
        jnp.full((), jnp.inf, dtype),
        None if first is None else jnp.asarray(first, dtype),
        start,
        stepsize_controller=_controller(controller, problem, start, stopping, share),
        event=dfx.Event([_steady(stopping), _not_finite]),
        saveat=dfx.SaveAt(subs=[final, recorded] if trace.steps else [final]),
        max_steps=max_steps,
        throw=False,
    )
    saved, count = solution.ys, lambda name: jnp.asarray(solution.stats[name], jnp.int32)
    assert saved is not None
    tried = count("num_steps")
    end = jax.tree.map(lambda x: x[-1], saved[0])
    return Integration(
        {name: jnp.where(tried > 0, end[name], start[name]) for name in start},
        solution.result == dfx.RESULTS.max_steps_reached,
        count("num_accepted_steps"),
        count("num_rejected_steps"),
        1 + tried * (1 + _sweeps(solver)),
        _first(saved[1], trace.steps) if trace.steps else _unrecorded(problem, start),
    )


def _steady(stopping: Stopping):
    rtol, atol = (cast(float, TOLERANCE_FACTOR * x) for x in (stopping.rtol, stopping.atol))  # may be traced
    return dfx.steady_state_event(rtol, atol, rms)


def _not_finite(t, states, args, *, terms, **options) -> Bool[Array, ""]:
    """Whether the flow, rather than the states, is not finite: diffrax rejects a step to a state that is not finite."""
    return ~all_finite(terms.vf(t, states, args))


def _observed(problem: Problem, trace: Trace, states: States) -> Trajectory:
    """What is recorded at one step."""
    _, info = problem.evaluate(states, energy=trace.energy)
    return Trajectory(
        info.residual / info.scale, info.energy if trace.energy else None, states if trace.state else None
    )


def _unrecorded(problem: Problem, states: States) -> Trajectory:
    info = jax.eval_shape(lambda: problem.evaluate(states, energy=False)[1])
    return Trace().unrecorded(info.residual, info.energy, states)


def _first(recorded: Trajectory, length: int) -> Trajectory:
    """The first `length` entries, NaN after the last step, where diffrax has infinity."""

    def cut(values: Array) -> Array:
        blank = jnp.full((length, *values.shape[1:]), jnp.nan, values.dtype)
        filled = blank.at[: len(values)].set(values[:length])
        return jnp.where(jnp.isfinite(filled), filled, jnp.nan)

    return jax.tree.map(cut, recorded)


def _solver(solver: Any) -> dfx.AbstractSolver:
    solver = dfx.Tsit5() if solver is None else solver
    if not isinstance(solver, dfx.AbstractSolver):
        raise ValueError(
            f"`GradientFlow(solver={solver!r})` must be a diffrax solver, such as `diffrax.Tsit5()`."
        )
    return solver


def _controller(
    controller: Any, problem: Problem, start: States, stopping: Stopping, share: float
) -> dfx.AbstractStepSizeController:
    """Keeps the error of a step below the tolerance, because near the steady state it is part of the residual."""
    if isinstance(controller, dfx.AbstractStepSizeController):
        return controller
    if controller is not None:
        raise ValueError(
            f"`GradientFlow(controller={controller!r})` must be a diffrax step-size controller, such as "
            "`diffrax.ConstantStepSize()`."
        )
    _, info = problem.evaluate(start, energy=False)
    smallest = jnp.finfo(info.scale.dtype).eps * info.scale + jnp.finfo(info.scale.dtype).tiny
    return dfx.PIDController(rtol=0.0, atol=share * stopping.tolerance(info) + smallest)


def _sweeps(solver: dfx.AbstractSolver) -> int:
    """Evaluations of the vector field in a step."""
    if isinstance(solver, dfx.AbstractERK) and isinstance(solver.tableau, dfx.ButcherTableau):
        return solver.tableau.num_stages - int(solver.tableau.fsal)
    return 1
