"""A loop over a batch that leaves finished examples behind, so that the slowest does not make the rest wait."""

import functools as ft
from collections.abc import Callable, Sequence
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from .._internal.tree import select

BATCH_FRACTIONS = (2, 4, 8)  # a batch is cut to each of these parts of it as soon as no more are running
MIN_BATCH = 32  # rows of a batch below which cutting gains less than it costs to compile

Carry = TypeVar("Carry")


def batched_while_loop(
    running: Callable[[Carry], Bool[Array, ""]],
    step: Callable[[PyTree, Carry], Carry],
    given: PyTree,
    carry: Carry,
    check_every: int = 1,
) -> Carry:
    """`lax.while_loop` of one example, `carry ← step(given, carry)` while `running(carry)`.

    Under `vmap` the same for each example, by itself; when a half, a quarter, an eighth of them are left, only these
    are worked on (no oftener: for each width the loop is compiled anew). Whether anything runs is asked every
    `check_every` steps; examples that have ended stay as they are, whenever it is asked. Not differentiable. All arrays
    that `step` and `running` use must be in `given` or `carry`.
    """
    arrays, static = eqx.partition(given, eqx.is_array)
    # Traced once for all widths.
    full_step = jax.jit(lambda arrays, carry: step(eqx.combine(arrays, static), carry))

    @jax.custom_batching.custom_vmap
    def one(arrays, carry):
        once = lambda carry: full_step(arrays, carry)
        kept = once if check_every == 1 else lambda carry: select(running(carry), once(carry), carry)
        return jax.lax.while_loop(running, _repeated(kept, check_every), carry)

    @one.def_vmap
    def _(size, batched, arrays, carry):
        carry = _widened(carry, batched[1], size)
        return _rows(running, full_step, batched[0], check_every)(arrays, carry), jax.tree.map(
            lambda _: True, carry
        )

    return one(arrays, carry)


def _rows(running, step, has_rows: PyTree, check_every: int):
    """The loop over a leading axis of `carry`, and of the leaves of `given` that `has_rows` marks.

    A further `vmap` makes its axis one with the rows.
    """
    work = ft.partial(_loop, running, step, check_every)

    @jax.custom_batching.custom_vmap
    def rows(given, carry):
        widths = _widths(jax.tree.leaves(carry)[0].shape[0])
        return _narrowing(running, work, has_rows, given, carry, widths)

    @rows.def_vmap
    def _(size, batched, given, carry):
        inner = jax.tree.leaves(carry)[0].shape[1 if jax.tree.leaves(batched[1])[0] else 0]
        merge = lambda x, outer, has: _merged(x, outer, has, size, inner) if outer or has else x
        marked = jax.tree.map(lambda outer, has: outer or has, batched[0], has_rows)
        given = jax.tree.map(merge, given, batched[0], has_rows)
        carry = jax.tree.map(lambda x, outer: merge(x, outer, True), carry, batched[1])
        found = _rows(running, step, marked, check_every)(given, carry)
        split = lambda x: x.reshape(size, inner, *x.shape[1:])
        return jax.tree.map(split, found), jax.tree.map(lambda _: True, found)

    return rows


def _widths(size: int) -> list[int]:
    """The numbers of rows to which a batch is cut, one after the other."""
    return [size // share for share in BATCH_FRACTIONS] if size >= MIN_BATCH else []


def _narrowing(running, work, has_rows, given, carry, widths: Sequence[int]):
    """Work on all rows until no more than `widths[0]` are running, then on these apart from the others, and so on."""
    if not widths:
        return work(has_rows, given, carry, 0)
    carry = work(has_rows, given, carry, widths[0])
    first = jnp.argsort(~jax.vmap(running)(carry), stable=True)[: widths[0]]
    taken = jax.tree.map(lambda x, has: x[first] if has else x, given, has_rows)
    rest = jax.tree.map(lambda x: x[first], carry)
    worked = _narrowing(running, work, has_rows, taken, rest, widths[1:])
    return jax.tree.map(lambda x, new: x.at[first].set(new), carry, worked)


def _loop(running, step, check_every: int, has_rows, given, carry, left: int):
    """Until at most `left` rows are running; the others stay as they ended."""
    advance = lambda given, carry: select(running(carry), step(given, carry), carry)
    axes = jax.tree.map(lambda has: 0 if has else None, has_rows)
    once = lambda carry: jax.vmap(advance, in_axes=(axes, 0))(given, carry)
    going = lambda carry: jnp.sum(jax.vmap(running)(carry)) > left
    return jax.lax.while_loop(going, _repeated(once, check_every), carry)


def _repeated(once, times: int):
    """`carry -> carry`, `times` times in a loop of known length."""
    return once if times == 1 else lambda carry: jax.lax.fori_loop(0, times, lambda _, c: once(c), carry)


def _widened(carry, batched: PyTree, size: int):
    """With the batch's axis on every leaf."""
    widen = lambda x, has: x if has else jnp.broadcast_to(x, (size, *jnp.shape(x)))
    return jax.tree.map(widen, carry, batched)


def _merged(x: Array, outer: bool, has_rows: bool, size: int, rows: int) -> Array:
    """`(size, rows, ...)` as `(size rows, ...)`, from an array that may lack either axis."""
    x = x if outer else jnp.asarray(x)[None]
    x = x if has_rows else x[:, None]
    return jnp.broadcast_to(x, (size, rows, *x.shape[2:])).reshape(size * rows, *x.shape[2:])
