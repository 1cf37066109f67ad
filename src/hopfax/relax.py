"""Clamp some layers, relax the rest to equilibrium."""

import functools as ft
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, PyTree

from ._internal.checks import as_real_array, is_integer, require_kind
from ._internal.jit import jit
from ._internal.tree import accumulation_dtype, widest_dtype
from .gradients.base import Solve
from .method import Method
from .networks.layers import Clamp, Layer, PartialClamp, split_clamp
from .networks.network import AbstractNetwork, States
from .solvers.equilibrium import Equilibrium, Statistics, Trace
from .solvers.starts import AbstractStart
from .updates.problem import Problem


def relax(
    model: AbstractNetwork,
    clamp: Mapping[str, ArrayLike | PartialClamp] | None = None,
    *,
    start: Mapping[str, ArrayLike] | None = None,
    method: Method = Method(),
    trace: int | Trace = 0,
    throw: bool = False,
) -> Equilibrium:
    """The equilibrium of the layers that are not clamped, for one example or for every example of a batch.

    Each example of a batch stops when it has converged. An example whose clamp or start is not finite does not affect
    the others; its status is `nonfinite`.

    Args:
        model: the network.
        clamp: layer -> the state (before the activation) at which it is clamped. `PartialClamp(state, mask)` clamps
            some neurons. An array has the shape of the layer, or one more leading axis for a batch.
        start: layer -> the state to start from. Free layers that are left out start at their drive. If `start` has no
            free layer, all layers start as `method.start` says. The gradient with respect to `start` is zero, except by
            `Unrolled`; differentiating with respect to it gives a warning.
        method: the update, the solver, the gradient and the tolerances.
        trace: what to record at each evaluation: `Trace(100, energy=True, state=True)`, or a number of relative
            residuals alone. It is returned as `Equilibrium.trace`.
        throw: raise an error if any example does not converge. Otherwise see `Equilibrium.status`.
    Raises: `ValueError` for an unknown layer, a wrong shape, complex numbers, or a clamp of all layers.
    """
    require_kind("method", method, Method, "Method(solver=Picard())")
    clamp, start, batch = prepare_inputs(model, clamp, start)
    equilibrium = _relax(model, clamp, start, method.with_arrays, _as_trace(trace), batch)
    return _throw_unless_converged(equilibrium) if throw else equilibrium


def _as_trace(trace: Any) -> Trace:
    """A `Trace` as it is; a number of evaluations as the `Trace` of their residuals alone."""
    if is_integer(trace):
        return _trace_of_residuals(int(trace))
    require_kind("trace", trace, Trace, "Trace(100, energy=True)")
    return trace


_trace_of_residuals = ft.lru_cache(maxsize=16)(Trace)  # making a `Trace` takes a tenth of a call of `relax`


class Batch(NamedTuple):
    """Which arrays of clamp and start have a batch axis, and how many examples there are.

    Attributes:
        axes: for clamp and start, 0 for each array with a batch axis and None for the others.
        size: the number of examples; None where no array has a batch axis.
    """

    axes: tuple[PyTree, PyTree]
    size: int | None

    def map(self, function: Callable, clamp: PyTree, start: PyTree, *others: PyTree) -> Any:
        """`function(clamp, start, *others)` of each example. In a batch, all arrays of `others` have a batch axis."""
        if self.size is None:
            return function(clamp, start, *others)
        axes = (*self.axes, *(0 for _ in others))
        return jax.vmap(function, in_axes=axes)(clamp, start, *others)


@jit
def _relax(model, clamp, start, method, trace: Trace, batch: Batch) -> Equilibrium:
    solve = lambda clamp, start: solve_example(model, clamp, start, method, trace)
    return batch.map(solve, clamp, start)


def solve_example(
    model: AbstractNetwork,
    clamp: Mapping[str, Array | PartialClamp],
    start: States,
    method: Method,
    trace: Trace = Trace(),
) -> Equilibrium:
    """`relax` for one example, unchecked and not compiled, for use under `vmap` and in other functions."""
    free = model.condition(clamp)
    problem = Problem(free, method.update)
    solve = make_solve(problem, start, method, trace)
    states, activations, statistics = method.gradient.connect(problem, solve, None)
    everything = lambda unknowns: all_states(model, free, clamp, problem.reconstruct(unknowns))
    recorded = eqx.filter_vmap(everything)(statistics.trace.state) if trace.state else None
    statistics = eqx.tree_at(lambda s: s.trace.state, statistics, recorded, is_leaf=lambda x: x is None)
    return assemble(model, free, clamp, (states, activations), statistics)


def make_solve(problem: Problem, start: States, method: Method, trace: Trace = Trace()) -> Solve:
    """The solve of `problem` by `method`, from the states in `start`."""
    if not method.gradient.differentiates_start:
        start = _without_gradient(start)
    return Solve(method.solver, _initial_unknowns(problem, start, method.start), method.stopping(), trace)


@eqx.filter_custom_jvp
def _without_gradient(start: States) -> States:
    """`start` with a gradient of zero. Differentiating it warns once, when it is traced."""
    return start


@_without_gradient.def_jvp
def _without_gradient_jvp(primals, tangents):
    if jax.tree.leaves(tangents):
        warnings.warn(
            "the gradient with respect to `start` is zero: an equilibrium does not depend on where its solve starts. "
            "`jax.lax.stop_gradient(start)` says so; `Unrolled()` differentiates the steps of the solve instead.",
            stacklevel=2,
        )
    return primals[0], jax.tree.map(jnp.zeros_like, primals[0])


def assemble(
    model: AbstractNetwork,
    free: AbstractNetwork,
    clamp: Clamp,
    point: tuple[States, States],
    statistics: Statistics,
) -> Equilibrium:
    """The equilibrium of all layers, from states and activations of the free layers."""
    states, activations = point
    everything = {**model.activations(split_clamp(clamp)[0]), **activations}
    ordered = {name: everything[name] for name in model.order}
    return Equilibrium(all_states(model, free, clamp, states), ordered, free.energy(states), statistics)


def all_states(model: AbstractNetwork, free: AbstractNetwork, clamp: Clamp, states: States) -> States:
    """The states of all layers in order, from those in `clamp` and those of the free layers."""
    relaxed = {name: free.layers[name].lagrangian.state_at(state) for name, state in states.items()}
    everything = {**split_clamp(clamp)[0], **relaxed}
    return {name: everything[name] for name in model.order}


def _initial_unknowns(problem: Problem, start: States, default: AbstractStart) -> States:
    """The states in `start`, and other layers at their drive; those of `default` if `start` has no free layer."""
    known = {name: state for name, state in start.items() if name in problem.model.layers}
    dtype = common_dtype((problem.model, start))
    states = {**problem.model.zeros(dtype), **known} if known else default.states(problem.model, dtype)
    unknowns = problem.restrict(states)
    others = tuple(name for name in unknowns if name not in known)
    if not known or not others:
        return unknowns
    return {**unknowns, **problem.model.drive(problem.model.activations(states), others)}


def common_dtype(tree: PyTree) -> jnp.dtype:
    """The widest floating-point dtype in `tree`, at least float32."""
    dtypes = [x.dtype for x in jax.tree.leaves(tree) if eqx.is_inexact_array(x)]
    return widest_dtype(jnp.float32, *dtypes)


def prepare_inputs(
    model: AbstractNetwork, clamp: Mapping | None, start: Mapping | None
) -> tuple[dict, dict, Batch]:
    """Clamp and start as checked arrays, and their batch axes. Raises: `ValueError` as `relax` does."""
    require_kind("model", model, AbstractNetwork, "hopfax.chain([784, 512, 10], key=key)")
    clamp, start = _as_arrays(model, clamp, "clamp"), _as_arrays(model, start, "start")
    if set(split_clamp(clamp)[0]) == set(model.order):
        raise ValueError(
            "`clamp` clamps every layer, so nothing is left to relax; use `model.energy` for an energy."
        )
    return clamp, start, _batch_of(model, clamp, start)


def _as_arrays(model: AbstractNetwork, values: Mapping | None, label: str) -> dict[str, Array | PartialClamp]:
    """The values as floating-point arrays, checked against the layers."""
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise ValueError(f"`{label}` must be {{layer: state}}, got {type(values).__name__}.")
    for name in values:
        if name not in model.layers:
            raise ValueError(
                f"`{label}` names an unknown layer {name!r}; the layers are {list(model.order)}."
            )
    whole, partial = split_clamp(values)
    arrays = {name: _as_state(value, f"{label}[{name!r}]") for name, value in whole.items()}
    for name, array in arrays.items():
        _check_shape(model.layers[name].shape, array, f"{label}[{name!r}]")
    clamps = {
        name: _as_partial_clamp(name, model.layers[name], value, f"{label}[{name!r}]")
        for name, value in partial.items()
    }
    return {name: {**arrays, **clamps}[name] for name in values}


def _as_partial_clamp(name: str, layer: Layer, clamp: PartialClamp, label: str) -> PartialClamp:
    shape = layer.shape
    _check_shape(shape, clamp.state, label)
    _check_shape(shape, clamp.mask, label)
    if not jnp.issubdtype(getattr(clamp.mask, "dtype", object), bool):
        raise ValueError(f"`{label}` has a mask that is not bool; compare, as in `mask > 0`.")
    state = _as_state(jnp.where(clamp.mask, clamp.state, 0), label)
    _check_shape(shape, state, label)
    mask = jnp.asarray(clamp.mask)
    return PartialClamp(state, _whole_rows(name, layer, mask))


def _whole_rows(name: str, layer: Layer, mask: Array) -> Array:
    """`mask`. Raises: `ValueError` where it divides neurons that are not independent; inside `jit`, at run time."""
    if layer.lagrangian.elementwise:
        return mask
    divided = layer.divided_by(name, mask)
    message = (
        f"layer {name!r} cannot be clamped in part: the mask divides neurons which belong together in "
        f"`{type(layer.lagrangian).__name__}`; clamp all or none of them."
    )
    if isinstance(divided, Tracer):
        return eqx.error_if(mask, divided, message)
    if divided:
        raise ValueError(message)
    return mask


def _as_state(value: ArrayLike, label: str) -> Array:
    array = as_real_array(label, value)
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    dtype = accumulation_dtype(array.dtype) if floating else jnp.float32
    return array if array.dtype == dtype else array.astype(dtype)


def _check_shape(shape: tuple[int, ...], array: ArrayLike, label: str) -> None:
    actual = np.shape(array)
    if actual[-len(shape) :] != shape or len(actual) > len(shape) + 1:
        raise ValueError(
            f"`{label}` has shape {actual}; the layer needs {shape}, or (batch, "
            f"{', '.join(map(str, shape))}) for a batch."
        )


def _batch_of(model: AbstractNetwork, clamp: Mapping, start: Mapping) -> Batch:
    has_axis = lambda name, x: x.ndim > len(model.layers[name].shape)
    arrays = [
        (name, x) for tree in (clamp, start) for name, value in tree.items() for x in jax.tree.leaves(value)
    ]
    sizes = {name: x.shape[0] for name, x in arrays if has_axis(name, x)}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"`clamp` and `start` have batches of different sizes {sizes}; make them equal.")
    if 0 in sizes.values():
        raise ValueError(f"`clamp` and `start` have an empty batch {sizes}; give at least one example.")
    axis = lambda name: lambda x: 0 if has_axis(name, x) else None
    axes = lambda tree: {name: jax.tree.map(axis(name), value) for name, value in tree.items()}
    return Batch((axes(clamp), axes(start)), next(iter(sizes.values()), None))


def _throw_unless_converged(equilibrium: Equilibrium) -> Equilibrium:
    failed = ~jnp.all(equilibrium.converged)
    message = (
        "`relax` did not converge for every example; look at `Equilibrium.status` with `throw=False`, allow more "
        "`max_steps`, a larger `rtol`, or another solver."
    )
    return eqx.error_if(equilibrium, failed, message)
