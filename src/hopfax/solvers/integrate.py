"""The part of gradient flow that speaks to diffrax; imported only when a flow is run."""

from collections.abc import Callable

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, ScalarLike

from .._tree import rms, subtract
from ..network import States
from ..problem import Problem
from .flow import GradientFlow, Passage
from .loop import Stopping


def run(flow: GradientFlow, problem: Problem, start: States, stopping: Stopping, trace: int) -> Passage:
    """Integrate from `start` to the steady state, or until the steps run out or the numbers do."""
    solver = _solver(flow)
    controller = _controller(flow, problem, start, stopping)
    solution = dfx.diffeqsolve(
        dfx.ODETerm(_velocity),
        solver,
        *_span(start),
        _first_step(flow, start),
        start,
        args=(problem, stopping),
        stepsize_controller=_limited(controller, problem, stopping, trace),
        event=dfx.Event(_arrived),
        saveat=dfx.SaveAt(t1=True, controller_state=True),
        max_steps=None,
        throw=False,
    )
    count = solution.controller_state
    assert isinstance(count, _Count)
    states = jax.tree.map(lambda x: x[-1], solution.ys)
    tried = jnp.asarray(solution.stats["num_steps"], jnp.int32)
    return Passage(
        {name: jnp.where(tried > 0, states[name], start[name]) for name in start},
        solution.result == dfx.RESULTS.max_steps_reached,
        jnp.asarray(solution.stats["num_accepted_steps"], jnp.int32),
        jnp.asarray(solution.stats["num_rejected_steps"], jnp.int32),
        1 + tried * (1 + _sweeps(solver)),
        count.trace,
    )


def _solver(flow: GradientFlow) -> dfx.AbstractSolver:
    solver = dfx.Tsit5() if flow.solver is None else flow.solver
    if not isinstance(solver, dfx.AbstractSolver):
        raise ValueError(
            f"`GradientFlow(solver={solver!r})` must be a diffrax solver, such as `diffrax.Tsit5()`."
        )
    return solver


def _velocity(t, states: States, args) -> States:
    """`f(z) - z`."""
    return subtract(args[0].image(states), states)


def _arrived(t, states: States, args, **options) -> Array:
    """The steady state by the solve's own tolerance; also where nothing can come of going on."""
    problem, stopping = args
    _, trial = problem.evaluate(states, energy=False)
    # Not "residual > tolerance": NaN has arrived, too.
    return ~(trial.residual > stopping.tolerance(trial)) | (jnp.asarray(stopping.max_steps) < 1)


def _span(start: States) -> tuple[Array, Array]:
    """Time in the precision of the states: diffrax would promote them to that of time."""
    dtype = jnp.result_type(*start.values())
    return jnp.zeros((), dtype), jnp.full((), jnp.inf, dtype)


def _first_step(flow: GradientFlow, start: States) -> Array | None:
    return None if flow.step is None else jnp.asarray(flow.step, jnp.result_type(*start.values()))


def _controller(
    flow: GradientFlow, problem: Problem, start: States, stopping: Stopping
) -> dfx.AbstractStepSizeController:
    """Near the steady state a step's error shows up as residual, so it is held below the tolerance."""
    if isinstance(flow.controller, dfx.AbstractStepSizeController):
        return flow.controller
    if flow.controller is not None:
        raise ValueError(
            f"`GradientFlow(controller={flow.controller!r})` must be a diffrax step-size controller, such as "
            "`diffrax.ConstantStepSize()`."
        )
    _, trial = problem.evaluate(start, energy=False)
    least = jnp.finfo(trial.scale.dtype).eps * trial.scale + jnp.finfo(trial.scale.dtype).tiny
    return dfx.PIDController(rtol=0.0, atol=flow.share * stopping.tolerance(trial) + least)


def _sweeps(solver: dfx.AbstractSolver) -> int:
    """Evaluations of the velocity in a step."""
    if isinstance(solver, dfx.AbstractERK) and isinstance(solver.tableau, dfx.ButcherTableau):
        return solver.tableau.num_stages - int(solver.tableau.fsal)
    return 1


class _Count(eqx.Module):
    inner: object
    tried: Int[Array, ""]
    trace: Float[Array, " trace"]


def _limited(controller: dfx.AbstractStepSizeController, problem: Problem, stopping: Stopping, trace: int):
    if isinstance(controller, dfx.AbstractAdaptiveStepSizeController):
        tolerance = controller.rtol, controller.atol, controller.norm
    else:
        tolerance = stopping.rtol, stopping.atol, rms
    return _Limited(*tolerance, controller, problem, stopping, trace)


class _Limited(dfx.AbstractAdaptiveStepSizeController):
    """A controller that also counts and ends the integration when the steps run out.

    diffrax's own limit is a constant of the compiled program and the same for every example.
    """

    rtol: ScalarLike  # these three for implicit solvers, which solve to the controller's tolerance
    atol: ScalarLike
    norm: Callable
    controller: dfx.AbstractStepSizeController
    problem: Problem
    stopping: Stopping
    slots: int = eqx.field(static=True)

    def wrap(self, direction):
        return eqx.tree_at(lambda c: c.controller, self, self.controller.wrap(direction))

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        end, inner = self.controller.init(terms, t0, t1, y0, dt0, args, func, error_order)
        _, trial = jax.eval_shape(self.problem.evaluate, y0)
        record = jnp.full((self.slots,), jnp.nan, trial.residual.dtype)
        return end, _Count(inner, jnp.zeros((), jnp.int32), record)

    def adapt_step_size(self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state):
        count = controller_state
        found = self.controller.adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, count.inner
        )
        *decision, inner, result = found
        tried = count.tried + 1
        last = tried >= jnp.asarray(self.stopping.max_steps, jnp.int32)
        result = dfx.RESULTS.where(last, dfx.RESULTS.max_steps_reached, result)
        return (*decision, _Count(inner, tried, self._recorded(count, y0)), result)

    def _recorded(self, count: _Count, states: States) -> Array:
        if not self.slots:
            return count.trace
        _, trial = self.problem.evaluate(states, energy=False)
        return count.trace.at[count.tried].set(trial.residual / trial.scale, mode="drop")
