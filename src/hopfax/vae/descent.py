"""Descent of a function of one vector: L-BFGS directions, and steps that are halved until the function falls."""

import dataclasses
import functools as ft
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Scalar, ScalarLike

from ..solvers.equilibrium import Status

ARMIJO = 1e-4  # a step must reach this fraction of the decrease that the slope predicts

Point = Float[Array, " dimension"]
Function = Callable[[Point], tuple[Scalar, Bool[Array, ""]]]


class Descent(eqx.Module):
    """Where a descent ended, for one start or a batch of them.

    Attributes:
        point: the last accepted point.
        value: the function there.
        status: a `Status`: `converged`, `max_steps`, `stalled` where no step lowers the function by more than its
            rounding errors, or `nonfinite` where it is not finite at the start.
        steps: accepted steps.
        evaluations: of the function and its gradient.
        trace: the value at the start and after each accepted step, NaN after the last.
    """

    point: Float[Array, "*batch dimension"]
    value: Float[Array, "*batch"]
    status: Int[Array, "*batch"]
    steps: Int[Array, "*batch"]
    evaluations: Int[Array, "*batch"]
    trace: Float[Array, "*batch steps"]


class _Descending(eqx.Module):
    """The last accepted point and the line that is searched from it. `decrease` is minus the slope along it."""

    point: Point
    value: Scalar
    gradient: Point
    memory: optax.OptState
    direction: Point
    decrease: Scalar
    step: Scalar
    steps: Int[Array, ""]
    evaluations: Int[Array, ""]
    trace: Float[Array, " steps"]


def descend(function: Function, start: Point, *, tolerance: ScalarLike, max_steps: int) -> Descent:
    """Minimise `function` from `start`: every accepted step lowers it.

    A step along the L-BFGS direction has length 1 at first. It is halved until it meets Armijo's condition.

    The solvers of optimistix and optax do not fit: `optimistix.LBFGS` stops on the last change of the point and the
    value, and here the tolerance is a decrease. A line search of optax is a loop in each step, and in a batch each step
    would take as long as the longest search. Here one pass of the loop is one evaluation.

    Args:
        function: returns its value, and whether the value is reliable. Points where it is not are rejected.
        tolerance: the descent has converged where the direction predicts a decrease of at most this, `-∇F·d`.
        max_steps: the most evaluations after the one at the start.
    Source: Nocedal and Wright (2006), Numerical Optimization, algorithms 3.1 and 7.5.
    """
    lbfgs = optax.scale_by_lbfgs()
    evaluate = jax.value_and_grad(function, has_aux=True)

    def active(state: _Descending):
        return (_status(state, tolerance) == Status.max_steps) & (state.evaluations <= max_steps)

    def search(state: _Descending) -> _Descending:
        point = state.point + state.step * state.direction
        (value, reliable), gradient = evaluate(point)
        falls = value <= state.value - ARMIJO * state.step * state.decrease
        accepted = falls & reliable & (value < state.value) & jnp.all(jnp.isfinite(gradient))
        moved = _aim(lbfgs, _accept(state, point, value, gradient))
        shorter = dataclasses.replace(state, step=state.step / 2)
        choose = ft.partial(jnp.where, accepted)
        state = jax.tree.map(choose, moved, shorter)
        return dataclasses.replace(state, evaluations=state.evaluations + 1)

    first = _first(lbfgs, start, *evaluate(start), max_steps)
    state = jax.lax.while_loop(active, search, first)
    status = _status(state, tolerance)
    return Descent(state.point, state.value, status, state.steps, state.evaluations, state.trace)


def _first(lbfgs, start: Point, result: tuple[Scalar, Array], gradient: Point, max_steps: int) -> _Descending:
    zero, one = jnp.zeros((), start.dtype), jnp.ones((), int)
    trace = jnp.full(max_steps + 1, jnp.nan, start.dtype).at[0].set(result[0])
    state = _Descending(
        point=start,
        value=result[0],
        gradient=gradient,
        memory=lbfgs.init(start),
        direction=start,
        decrease=zero,
        step=zero,
        steps=0 * one,
        evaluations=one,
        trace=trace,
    )
    return _aim(lbfgs, state)


def _accept(state: _Descending, point: Point, value: Scalar, gradient: Point) -> _Descending:
    steps = state.steps + 1
    trace = state.trace.at[steps].set(value)
    return dataclasses.replace(state, point=point, value=value, gradient=gradient, steps=steps, trace=trace)


def _aim(lbfgs: optax.GradientTransformation, state: _Descending) -> _Descending:
    """The line along the L-BFGS direction; along minus the gradient where that direction does not descend."""
    gradient = state.gradient
    product, memory = lbfgs.update(gradient, state.memory, state.point)
    direction = -jnp.asarray(product, gradient.dtype)
    steepest = -gradient / jnp.maximum(1, jnp.linalg.norm(gradient))
    direction = jnp.where(jnp.vdot(direction, gradient) < 0, direction, steepest)
    decrease, step = -jnp.vdot(direction, gradient), jnp.ones_like(state.step)
    return dataclasses.replace(state, memory=memory, direction=direction, decrease=decrease, step=step)


def _status(state: _Descending, tolerance: ScalarLike) -> Int[Array, ""]:
    """The `Status` if the descent ended here; `max_steps` where it could go on."""
    rounding = jnp.finfo(state.value.dtype).eps * jnp.maximum(1, jnp.abs(state.value))
    stalled = state.step * state.decrease <= rounding
    status = jnp.where(stalled, Status.stalled, Status.max_steps)
    status = jnp.where(state.decrease <= tolerance, Status.converged, status)
    return jnp.where(jnp.isfinite(state.value + state.decrease), status, Status.nonfinite)
