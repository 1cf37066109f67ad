"""Small linear algebra on pytrees of arrays: dot products, norms, selection."""

import functools as ft
import operator

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, PyTree, Scalar


def tree_sum(tree: PyTree) -> Scalar:
    """Sum of all leaves, each already a scalar, in their own dtype: a zero to start from would widen it."""
    leaves = jax.tree.leaves(tree)
    return ft.reduce(operator.add, leaves) if leaves else jnp.zeros(())


def accumulation_dtype(dtype) -> jnp.dtype:
    """At least float32: sums over neurons are never taken in a shorter type."""
    return jnp.promote_types(dtype, jnp.float32)


def dot(a: PyTree, b: PyTree) -> Scalar:
    """`Σ conj(a) b` over all leaves, accumulated in at least float32."""
    products = jax.tree.map(
        lambda x, y: jnp.vdot(x.astype(accumulation_dtype(x.dtype)), y.astype(accumulation_dtype(y.dtype))), a, b
    )
    return ft.reduce(operator.add, jax.tree.leaves(products))


def squares(tree: PyTree) -> Scalar:
    """`Σ |x|²`, real."""
    return jnp.real(dot(tree, tree))


def size(tree: PyTree) -> int:
    return sum(x.size for x in jax.tree.leaves(tree))


def rms(tree: PyTree) -> Scalar:
    """Root mean square over all entries: a norm that does not grow with width."""
    return jnp.sqrt(squares(tree) / size(tree))


def axpy(scale: ArrayLike, x: PyTree, y: PyTree) -> PyTree:
    """`y + scale x`, in the dtypes of `y`."""
    return jax.tree.map(lambda a, b: b + jnp.asarray(scale).astype(b.dtype) * a, x, y)


def subtract(a: PyTree, b: PyTree) -> PyTree:
    return jax.tree.map(operator.sub, a, b)


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Whether every entry of the floating-point arrays is; other leaves do not count."""
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))
    return jnp.all(jnp.stack([jnp.array(True), *(jnp.all(jnp.isfinite(leaf)) for leaf in leaves)]))


def select(condition: Array, yes: PyTree, no: PyTree) -> PyTree:
    """`yes` where the scalar `condition` holds, else `no`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
