"""Arrays of a tree by their path in it, as files hold them."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, PyTree


def check_arrays(found: Mapping[str, Any], expected: Mapping[str, Any], origin: str) -> None:
    """Raise `ValueError` naming each entry that differs from the expected one in name, shape or dtype."""
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is not expected" for name in found if name not in expected]
    for name in found.keys() & expected.keys():
        here, there = _describe(expected[name]), _describe(found[name])
        if here != there:
            problems.append(f"{name} should be {here}, is {there}")
    if problems:
        raise ValueError(f"`{origin}` does not fit: {'; '.join(sorted(problems))}.")


def arrays_of(tree: PyTree) -> dict[str, np.ndarray]:
    """The arrays of `tree` on the host by their paths in it, random keys as their data."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return {
        path_name(path): np.ascontiguousarray(_data(leaf)).reshape(_data(leaf).shape) for path, leaf in leaves
    }


def replace_arrays(template: PyTree, found: Mapping[str, np.ndarray | Array]) -> PyTree:
    """`template` with its arrays replaced by those that `arrays_of` gave."""

    def fill(path, leaf):
        if not eqx.is_array(leaf):
            return leaf
        data = jnp.asarray(found[path_name(path)])
        return jr.wrap_key_data(data, impl=jr.key_impl(leaf)) if is_key(leaf) else data

    return jax.tree_util.tree_map_with_path(fill, template)


def path_name(path: Any) -> str:
    """The place of a leaf in a tree, by the key path that JAX gives it: `model.synapses.input-hidden.weight`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _data(leaf: Array) -> np.ndarray:
    return np.asarray(jr.key_data(leaf) if is_key(leaf) else leaf)


def is_key(leaf: Array) -> bool:
    """Whether it is a random key of the new style, whose data alone can be saved."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)}"
