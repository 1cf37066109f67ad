"""Functions of modules with less work at each call: compiled, or with results that are kept."""

import functools as ft
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import equinox as eqx
import jax
from jaxtyping import Array

_ARRAY = object()  # stands for a traced leaf among the static ones

_Static = tuple[Any, tuple[Hashable, ...]]
Function = TypeVar("Function", bound=Callable[..., Any])


def kept_result(function: Function) -> Function:
    """`function` of one module; the result for a module is kept as long as the module exists.

    Nothing is written into the module, as `functools.cached_property` would do: that would change its structure as a
    pytree, and every function that takes it would be compiled again.
    """
    results: dict[int, Any] = {}

    @ft.wraps(function)
    def call(module: eqx.Module) -> Any:
        key = id(module)
        if key not in results:
            results[key] = function(module)
            weakref.finalize(module, results.pop, key, None).atexit = False
        return results[key]

    return call  # pyright: ignore[reportReturnType]


def jit(function: Function) -> Function:
    """`function` compiled: arrays among the leaves of its arguments are traced, other leaves are static.

    Like `equinox.filter_jit`, for functions of positional arguments whose results consist of arrays alone: then no
    signature is bound at a call, and no structure is kept for the result. A module without lists and dictionaries,
    which nothing can change, is flattened once. On a tiny network a call takes three fifths of the time.
    """

    def of_parts(static: tuple[_Static, ...], arrays: list[list[Array]]) -> Any:
        return function(*(_joined(*part) for part in zip(static, arrays, strict=True)))

    of_parts.__name__ = function.__name__  # which profiles and errors show
    compiled = jax.jit(of_parts, static_argnums=0)

    @ft.wraps(function)
    def call(*arguments: Any) -> Any:
        parts = [_parts(argument) for argument in arguments]
        return compiled(tuple(static for static, _ in parts), [arrays for _, arrays in parts])

    return call  # pyright: ignore[reportReturnType]


def _parts(argument: Any) -> tuple[_Static, list[Array]]:
    """The structure and the leaves that are no arrays; and the arrays."""
    kept = _parts_of_module(argument) if isinstance(argument, eqx.Module) else None
    return _divided(argument) if kept is None else kept


@kept_result
def _parts_of_module(module: eqx.Module) -> tuple[_Static, list[Array]] | None:
    """The parts of a module that nothing can change; None for others."""
    changeable = lambda x: isinstance(x, list | dict)
    leaves = jax.tree.leaves(module, is_leaf=changeable)
    return None if any(map(changeable, leaves)) else _divided(module)


def _divided(argument: Any) -> tuple[_Static, list[Array]]:
    leaves, structure = jax.tree.flatten(argument)
    arrays = [leaf for leaf in leaves if eqx.is_array(leaf)]
    return (structure, tuple(_ARRAY if eqx.is_array(leaf) else leaf for leaf in leaves)), arrays


def _joined(static: _Static, arrays: list[Array]) -> Any:
    structure, leaves = static
    traced = iter(arrays)
    return structure.unflatten(next(traced) if leaf is _ARRAY else leaf for leaf in leaves)
