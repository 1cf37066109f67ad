"""Retrieval: the update of a memory, repeated until it reaches a fixed point."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, ScalarLike

from ..solvers.batched_loop import batch_sizes, run_and_drop

States = Float[Array, "*batch dimension"]
Progress = tuple[States, Float[Array, "*batch"], Int[Array, "*batch"]]
"""States, their residuals, and how often each was updated."""


class Retrieval(eqx.Module):
    """The states that the update reaches from its starts.

    Args:
        state: the last state of each start.
        residual: the length of its last step, divided by the largest norm of a pattern.
        steps: how many updates were made.
        converged: whether `residual` is at most the tolerance.
    """

    state: States
    residual: Float[Array, "*batch"]
    steps: Int[Array, "*batch"]
    converged: Bool[Array, "*batch"]


def largest_norm(patterns: Float[Array, "patterns dimension"]) -> Float[Array, ""]:
    """The largest norm of a pattern, the unit of distances."""
    return jnp.sqrt(jnp.max(jnp.sum(jnp.square(patterns), axis=1)))


def advance(progress: Progress, new: States, scale: Float[Array, ""], tolerance: ScalarLike) -> Progress:
    """The progress after the update to `new`; states that have converged do not change."""
    state, residual, steps = progress
    active = residual > tolerance
    # Its derivative would be NaN at a fixed point, and is of no use.
    length = lax.stop_gradient(jnp.linalg.norm(new - state, axis=-1) / jnp.where(scale > 0, scale, 1))
    state = jnp.where(active[..., None], new, state)
    return state, jnp.where(active, length, residual), steps + active


def _updated(
    update: Callable[[States], States],
    state: States,
    start: States,
    known: Bool[Array, "*batch dimension"] | None,
) -> States:
    """The updated states, with the known elements of their starts."""
    return update(state) if known is None else jnp.where(known, start, update(state))


def initial_progress(start: States) -> Progress:
    """The progress before the first update."""
    batch = start.shape[:-1]
    return start, jnp.full(batch, jnp.inf, start.dtype), jnp.zeros(batch, int)


def repeat_update(
    update: Callable[[States], States],
    start: States,
    known: Bool[Array, "*batch dimension"] | None = None,
    *,
    scale: Float[Array, ""],
    tolerance: ScalarLike,
    max_steps: ScalarLike,
    unroll: bool = False,
) -> Retrieval:
    """Repeats `update` until the steps are short; states of a batch that have converged no longer change.

    Args:
        start: one state, or a batch in rows.
        known: which elements keep their values of `start`; none by default.
        scale: the largest norm of a pattern.
        tolerance: a state has converged when its step is at most this fraction of `scale`.
        max_steps: the largest number of updates.
        unroll: make exactly `max_steps` updates, an integer then, so that the states can be differentiated in reverse
            mode. Updates after convergence have no effect.
    """

    def step(carry):
        *progress, count = carry
        new = _updated(update, carry[0], start, known)
        return *advance(tuple(progress), new, scale, tolerance), count + 1

    def unfinished(carry):
        return jnp.any(carry[1] > tolerance) & (carry[3] < max_steps)

    first = (*initial_progress(start), 0)
    if unroll:
        last = lax.fori_loop(0, max_steps, lambda _, carry: step(carry), first)
    else:
        last = lax.while_loop(unfinished, step, first)
    state, residual, steps, _ = last
    return Retrieval(state, residual, steps, residual <= tolerance)


def repeat_update_of_batch(
    update: Callable[[States], States],
    start: Float[Array, "batch dimension"],
    known: Bool[Array, "batch dimension"] | None = None,
    *,
    scale: Float[Array, ""],
    tolerance: ScalarLike,
    max_steps: ScalarLike,
) -> Retrieval:
    """`repeat_update` of the rows of a batch; rows that have converged are dropped from the batch.

    So one slow state does not cost an update of the whole batch. `update` takes batches of any size.
    """
    running = lambda progress: (progress[1] > tolerance) & (progress[2] < max_steps)

    def run(_, inputs, progress, limit):
        step = lambda progress: advance(progress, _updated(update, progress[0], *inputs), scale, tolerance)
        return lax.while_loop(lambda progress: jnp.sum(running(progress)) > limit, step, progress)

    inputs = (start, known)
    batched, sizes = jax.tree.map(lambda _: True, inputs), batch_sizes(len(start))
    state, residual, steps = run_and_drop(running, run, batched, inputs, initial_progress(start), sizes)
    return Retrieval(state, residual, steps, residual <= tolerance)
