"""The arrays of a pytree by their paths, as files store them."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, PyTree


def check_arrays(stored: Mapping[str, Any], expected: Mapping[str, Any], origin: str) -> None:
    """Check names, shapes and dtypes of the arrays stored in `origin`. Raises: `ValueError` naming each difference."""
    problems = [f"{name} is missing" for name in expected if name not in stored]
    problems += [f"{name} is not expected" for name in stored if name not in expected]
    for name in stored.keys() & expected.keys():
        should, actual = _describe(expected[name]), _describe(stored[name])
        if should != actual:
            problems.append(f"{name} should be {should}, is {actual}")
    if problems:
        raise ValueError(f"`{origin}` does not fit: {'; '.join(sorted(problems))}.")


def arrays_of(tree: PyTree) -> dict[str, np.ndarray]:
    """The arrays of `tree`, on the host, by their paths in it; random keys are given as their data."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {
        path_name(path): np.ascontiguousarray(_data(leaf)).reshape(_data(leaf).shape) for path, leaf in leaves
    }


def replace_arrays(template: PyTree, arrays: Mapping[str, np.ndarray | Array]) -> PyTree:
    """`template` with its arrays replaced by `arrays`, named as by `arrays_of`."""

    def replace(path, leaf):
        if not eqx.is_array(leaf):
            return leaf
        data = jnp.asarray(arrays[path_name(path)])
        return jr.wrap_key_data(data, impl=jr.key_impl(leaf)) if is_key(leaf) else data

    return jax.tree_util.tree_map_with_path(replace, template)


def path_name(path: Any) -> str:
    """The name of a leaf, made from its key path in JAX, such as `model.synapses.input-hidden.weight`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _data(leaf: Array) -> np.ndarray:
    return np.asarray(jr.key_data(leaf) if is_key(leaf) else leaf)


def is_key(leaf: Array) -> bool:
    """Whether `leaf` is a typed random key, of which only the data can be saved."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)}"
