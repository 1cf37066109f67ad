"""Small linear algebra on pytrees of arrays: dtypes, random entries, dot products, norms, selection, chunks of rows."""

import functools as ft
import operator
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Bool, Key, PyTree, Scalar


def tree_sum(tree: PyTree) -> Scalar:
    """Sum of all leaves, which are scalars, in their own dtype (starting from a zero would widen it)."""
    leaves = jax.tree.leaves(tree)
    return ft.reduce(operator.add, leaves) if leaves else jnp.zeros(())


def accumulation_dtype(dtype) -> jnp.dtype:
    """`dtype`, or float32 if that is wider: sums over neurons are accumulated in at least float32."""
    wide = jnp.issubdtype(dtype, jnp.inexact) and jnp.dtype(dtype).itemsize >= 4
    return dtype if wide else jnp.dtype("float32")


def widest_dtype(*dtypes) -> jnp.dtype:
    """The dtype to which JAX promotes all of `dtypes`, also where implicit promotion is strict."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*dtypes)


def tree_dtype(tree: PyTree) -> jnp.dtype:
    """The widest dtype of the leaves."""
    return widest_dtype(*(x.dtype for x in jax.tree.leaves(tree)))


def random_normal(like: PyTree, key: Key[Array, ""]) -> PyTree:
    """A tree with the shapes and dtypes of `like` and entries from N(0, 1)."""
    leaves, structure = jax.tree.flatten(like)
    keys = jr.split(key, len(leaves))
    return structure.unflatten([jr.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)])


def dot(a: PyTree, b: PyTree) -> Scalar:
    """`Σ conj(a) b` over all leaves, accumulated in at least float32."""
    products = jax.tree.map(
        lambda x, y: jnp.vdot(x.astype(accumulation_dtype(x.dtype)), y.astype(accumulation_dtype(y.dtype))),
        a,
        b,
    )
    return ft.reduce(operator.add, jax.tree.leaves(products))


def squares(tree: PyTree) -> Scalar:
    """`Σ |x|²`, real."""
    product = dot(tree, tree)
    return jnp.real(product) if jnp.iscomplexobj(product) else product


def size(tree: PyTree) -> int:
    """The number of entries in all leaves."""
    return sum(x.size for x in jax.tree.leaves(tree))


def rms(tree: PyTree) -> Scalar:
    """Root mean square over all entries, a norm that does not grow with the number of neurons."""
    return jnp.sqrt(squares(tree) / size(tree))


def axpy(scale: ArrayLike, x: PyTree, y: PyTree) -> PyTree:
    """`y + scale x`, in the dtypes of `y`."""
    return jax.tree.map(lambda a, b: b + jnp.asarray(scale).astype(b.dtype) * a, x, y)


def add(a: PyTree, b: PyTree) -> PyTree:
    """`a + b`, leaf by leaf."""
    return jax.tree.map(operator.add, a, b)


def subtract(a: PyTree, b: PyTree) -> PyTree:
    """`a - b`, leaf by leaf."""
    return jax.tree.map(operator.sub, a, b)


def cast(tree: PyTree, dtype: DTypeLike) -> PyTree:
    """`tree` with all floating-point arrays in another dtype."""
    return jax.tree.map(lambda x: jnp.asarray(x, dtype) if eqx.is_inexact_array(x) else x, tree)


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether all entries of the floating-point arrays are finite; other leaves are ignored."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.all(jnp.stack([jnp.array(True), *(jnp.all(jnp.isfinite(leaf)) for leaf in leaves)]))


def select(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """`yes` where the scalar `condition` holds, else `no`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jax.lax.select(condition, a, b), yes, no)


def with_batch_axis_of(example: PyTree, tree: PyTree) -> PyTree:
    """`tree`, whose arrays have the batch axis of `example` under `vmap`; their values are the same.

    For the first carry of a loop: JAX traces a loop again and again until the axes of its carry no longer change.
    """
    never = rms(jax.lax.stop_gradient(example)) < 0
    return select(never, tree, tree)


def in_chunks(function: Callable[[PyTree], PyTree], arrays: PyTree[Array], size: int) -> PyTree:
    """`function` of `arrays`, of `size` rows at a time; all arrays have the same number of rows.

    The last row is repeated to fill the last chunk, so that one compilation serves all lengths.
    """
    count = len(jax.tree.leaves(arrays)[0])
    pad = lambda array: jnp.concatenate([array, jnp.repeat(array[-1:], -count % size, axis=0)])
    padded = jax.tree.map(pad, arrays)
    chunk = lambda i: jax.tree.map(lambda array: array[i : i + size], padded)
    results = [function(chunk(i)) for i in range(0, count, size)]
    return jax.tree.map(lambda *chunks: jnp.concatenate(chunks)[:count], *results)
