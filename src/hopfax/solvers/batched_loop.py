"""A `while_loop` over a batch that drops converged examples, so that one slow example does not cost a whole batch."""

import functools as ft
from collections.abc import Callable, Sequence
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from .._internal.tree import select

MIN_BATCH = 32  # examples below which dropping some saves less than it costs to compile
LARGE_BATCH = 256  # examples from which dropping some a second time saves more than it costs to compile

Carry = TypeVar("Carry")


def batched_while_loop(
    running: Callable[[Carry], Bool[Array, ""]],
    step: Callable[[PyTree, Carry], Carry],
    inputs: PyTree,
    carry: Carry,
    check_every: int = 1,
) -> Carry:
    """`lax.while_loop` of one example: `carry ← step(inputs, carry)` while `running(carry)`. Not differentiable.

    Under `vmap` each example runs until it ends by itself. When a sixth of the examples are left, the others are
    dropped from the batch; in large batches this is done twice, when a third and a twelfth are left. The loop is
    compiled once for each of these batch sizes.

    Args:
        running: whether one example goes on.
        step: one step of one example.
        inputs: what `step` needs and does not change. All arrays that `step` and `running` use must be in `inputs` or
            `carry`.
        carry: what `step` changes.
        check_every: steps between two checks of whether any example is running. Examples that have ended do not
            change in between, so the result does not depend on it.
    """
    arrays, static = eqx.partition(inputs, eqx.is_array)
    # Traced once for all batch sizes.
    traced_step = jax.jit(lambda arrays, carry: step(eqx.combine(arrays, static), carry))

    @jax.custom_batching.custom_vmap
    def loop(arrays, carry):
        once = lambda carry: traced_step(arrays, carry)
        guarded = once if check_every == 1 else lambda carry: select(running(carry), once(carry), carry)
        return jax.lax.while_loop(running, _repeat(guarded, check_every), carry)

    @loop.def_vmap
    def _(size, batched, arrays, carry):
        carry = _broadcast(carry, batched[1], size)
        result = _batch_loop(running, traced_step, batched[0], check_every)(arrays, carry)
        return result, jax.tree.map(lambda _: True, result)

    return loop(arrays, carry)


def _batch_loop(running, step, batched: PyTree, check_every: int):
    """The loop over the leading axis of `carry`, and of those leaves of `inputs` that `batched` marks.

    A further `vmap` is merged into that axis.
    """
    run = ft.partial(_run_until, running, step, check_every)

    @jax.custom_batching.custom_vmap
    def loop(inputs, carry):
        sizes = batch_sizes(jax.tree.leaves(carry)[0].shape[0])
        return run_and_drop(running, run, batched, inputs, carry, sizes)

    @loop.def_vmap
    def _(outer, outer_batched, inputs, carry):
        inner = jax.tree.leaves(carry)[0].shape[1 if jax.tree.leaves(outer_batched[1])[0] else 0]
        merge = lambda x, o, i: _merge_axes(x, o, i, outer, inner) if o or i else x
        marks = jax.tree.map(lambda o, i: o or i, outer_batched[0], batched)
        inputs = jax.tree.map(merge, inputs, outer_batched[0], batched)
        carry = jax.tree.map(lambda x, o: merge(x, o, True), carry, outer_batched[1])
        result = _batch_loop(running, step, marks, check_every)(inputs, carry)
        split = lambda x: x.reshape(outer, inner, *x.shape[1:])
        return jax.tree.map(split, result), jax.tree.map(lambda _: True, result)

    return loop


def batch_sizes(size: int) -> list[int]:
    """The sizes to which a batch is cut, one after the other."""
    if size < MIN_BATCH:
        return []
    return [size // 6] if size < LARGE_BATCH else [size // 3, size // 12]


def run_and_drop(
    running: Callable[[Carry], Bool[Array, ""]],
    run: Callable[[PyTree, PyTree, Carry, int], Carry],
    batched: PyTree,
    inputs: PyTree,
    carry: Carry,
    sizes: Sequence[int],
) -> Carry:
    """Run all examples until at most `sizes[0]` are running, then these alone, and so on.

    Args:
        running: whether one example goes on.
        run: `(batched, inputs, carry, limit) -> carry` for a batch: until at most `limit` of its examples are running.
        batched: which of the `inputs` have a batch axis.
        inputs: what `run` needs and does not change.
        carry: what `run` changes, with a batch axis in front.
        sizes: the sizes to which the batch is cut, one after the other, in falling order.
    """
    if not sizes:
        return run(batched, inputs, carry, 0)
    carry = run(batched, inputs, carry, sizes[0])
    drop = lambda: _drop_and_run(running, run, batched, inputs, carry, sizes)
    return jax.lax.cond(jnp.any(jax.vmap(running)(carry)), drop, lambda: carry)


def _drop_and_run(running, run, batched: PyTree, inputs, carry, sizes: Sequence[int]):
    """Run `sizes[0]` examples alone, among them all that are still running."""
    remaining = jnp.argsort(~jax.vmap(running)(carry), stable=True)[: sizes[0]]
    # Of signed indices, JAX traces for each array what negative ones mean.
    remaining = remaining.astype(jnp.uint32)
    taken = jax.tree.map(lambda x, has_axis: x[remaining] if has_axis else x, inputs, batched)
    results = run_and_drop(
        running, run, batched, taken, jax.tree.map(lambda x: x[remaining], carry), sizes[1:]
    )
    return jax.tree.map(lambda x, new: x.at[remaining].set(new), carry, results)


def _run_until(running, step, check_every: int, batched: PyTree, inputs, carry, limit: int):
    """Steps of all examples that are running, until at most `limit` of them are."""
    advance = lambda inputs, carry: select(running(carry), step(inputs, carry), carry)
    axes = jax.tree.map(lambda has_axis: 0 if has_axis else None, batched)
    once = lambda carry: jax.vmap(advance, in_axes=(axes, 0))(inputs, carry)
    above_limit = lambda carry: jnp.sum(jax.vmap(running)(carry)) > limit
    return jax.lax.while_loop(above_limit, _repeat(once, check_every), carry)


def _repeat(once, times: int):
    """`carry -> carry`, applied `times` times."""
    return once if times == 1 else lambda carry: jax.lax.fori_loop(0, times, lambda _, c: once(c), carry)


def _broadcast(carry, batched: PyTree, size: int):
    """`carry` with the batch axis on every leaf."""
    widen = lambda x, has_axis: x if has_axis else jnp.broadcast_to(x, (size, *jnp.shape(x)))
    return jax.tree.map(widen, carry, batched)


def _merge_axes(x: Array, has_outer: bool, has_inner: bool, outer: int, inner: int) -> Array:
    """`(outer, inner, ...)` as `(outer inner, ...)`, from an array that may lack one of the two axes."""
    x = x if has_outer else jnp.asarray(x)[None]
    x = x if has_inner else x[:, None]
    return jnp.broadcast_to(x, (outer, inner, *x.shape[2:])).reshape(outer * inner, *x.shape[2:])
