"""The entry point: clamp some layers, relax the rest to equilibrium."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PyTree, ScalarLike

from ._checks import real_array, require_kind, require_whole
from ._tree import accumulator
from .equilibrium import Equilibrium
from .gradients.base import AbstractGradient, Report, Solve
from .gradients.implicit import Implicit
from .layers import Held, Known
from .network import AbstractNetwork, States
from .problem import Problem
from .solvers.anderson import Anderson
from .solvers.loop import AbstractMethod, AnySolver, Stopping
from .updates import AbstractUpdate, Coloured


def relax(
    model: AbstractNetwork,
    clamp: Mapping[str, ArrayLike | Known] | None = None,
    *,
    start: Mapping[str, ArrayLike] | None = None,
    update: AbstractUpdate = Coloured(),
    solver: AnySolver | AbstractMethod = Anderson(),
    gradient: AbstractGradient = Implicit(),
    rtol: ScalarLike = 1e-4,
    atol: ScalarLike = 1e-6,
    max_steps: ScalarLike = 200,
    check_every: int = 1,
    trace: int = 0,
    report: Report | None = None,
    throw: bool = False,
) -> Equilibrium:
    """States `z` with `rms(f(z) - z) <= atol + rtol rms(f(z))`, for one example or for each of a batch by itself.

    Args:
        clamp: layer -> state (before the activation) at which it is held; `Known(state, mask)` holds some neurons.
            An array of the layer's shape, or with one more leading axis for a batch.
        start: layer -> state to start from. Layers left out start at their drive if something else is given,
            and all at zero if nothing is.
        update: which map is solved. `Coloured()` is even-odd splitting wherever the free layers are bipartite.
        solver: how; ours, or a fixed-point solver or root finder of optimistix.
        gradient: how the result is differentiated, with respect to the model and the clamp.
        rtol, atol, max_steps: when to stop; may change from call to call without compiling again.
        check_every: sweeps between two looks at whether to stop; more than 1 where a device is slow to tell, as a GPU.
        trace: how many relative residuals to record.
        report: `Report.blank(batch)`, to be differentiated for an account of the backward solve.
        throw: raise if any example does not converge, rather than say so in `Equilibrium.status`.
    An example whose clamp or start is not finite harms no other: its status is `nonfinite`.
    Raises: `ValueError` for a layer that is not there, a wrong shape, complex numbers, or nothing left to relax.
    """
    check_method(update, solver, gradient)
    require_whole("trace", trace, 0)
    clamp, start, axes, batch = prepare(model, clamp, start)
    report = Report.blank(batch) if report is None else report
    stopping = Stopping.of_arrays(rtol, atol, max_steps, check_every)
    found = _relax(model, clamp, start, update, solver, gradient, stopping, trace, report, axes, batch)
    return _throw_unless_converged(found) if throw else found


def prepare(
    model: AbstractNetwork, clamp: Mapping | None, start: Mapping | None
) -> tuple[dict, dict, tuple[PyTree, PyTree], int | None]:
    """Clamp and start as checked arrays, which of their axes are the batch's, and its length."""
    require_kind("model", model, AbstractNetwork, "hopfax.chain([784, 512, 10], key=key)")
    clamp, start = _as_arrays(model, clamp, "clamp"), _as_arrays(model, start, "start")
    _check_free(model, clamp)
    return clamp, start, *_batch_axes(model, clamp, start)


def check_method(update: object, solver: object, gradient: object) -> None:
    """Raises: `ValueError` for one that is given by its name or its class."""
    require_kind("update", update, AbstractUpdate, "EvenOdd()")
    require_kind("solver", solver, (AnySolver, AbstractMethod), "Anderson()")
    require_kind("gradient", gradient, AbstractGradient, "Implicit()")


@eqx.filter_jit
def _relax(
    model, clamp, start, update, solver, gradient, stopping, trace, report, axes, batch
) -> Equilibrium:
    def one(clamp, start, report):
        return relax_one(model, clamp, start, update, solver, gradient, stopping, trace, report)

    if batch is None:
        return one(clamp, start, report)
    return jax.vmap(one, in_axes=(axes[0], axes[1], 0))(clamp, start, report)


def relax_one(model, clamp, start, update, solver, gradient, stopping, trace, report) -> Equilibrium:
    """`relax` for one example, unchecked and uncompiled: the piece to `vmap` or to build on."""
    free = model.condition(clamp)
    problem = Problem(free, update)
    solve = Solve(solver, begin(problem, start), stopping, trace)
    kept, statistics = gradient.connect(problem, solve, report)
    return assemble(model, free, clamp, problem.complete(kept), statistics)


def assemble(
    model: AbstractNetwork,
    free: AbstractNetwork,
    clamp: Mapping[str, Array | Known],
    states: States,
    statistics,
) -> Equilibrium:
    """The result over all layers, from the states of the free ones."""
    whole = all_states(model, free, clamp, states)
    return Equilibrium(whole, model.activations(whole), free.energy(states), statistics)


def all_states(
    model: AbstractNetwork, free: AbstractNetwork, clamp: Mapping[str, Array | Known], states: States
) -> States:
    """The clamped states and those of the free layers."""
    states = {name: _revealed(free, name, state) for name, state in states.items()}
    whole = {**{n: v for n, v in clamp.items() if not isinstance(v, Known)}, **states}
    return {name: whole[name] for name in model.order}


def begin(problem: Problem, start: States) -> States:
    """Kept states to start from: as given, else the drive of what is given, else zero."""
    zeros = problem.model.zeros(common_dtype((problem.model, start)))
    given = {name: state for name, state in start.items() if name in zeros}
    kept = problem.restrict({**zeros, **given})
    missing = tuple(name for name in kept if name not in given)
    if not given or not missing:
        return kept
    return {**kept, **problem.model.drive(problem.model.activations({**zeros, **given}), missing)}


def _revealed(free: AbstractNetwork, name: str, state: Array) -> Array:
    lagrangian = free.layers[name].lagrangian
    return lagrangian.hold(state) if isinstance(lagrangian, Held) else state


def _as_arrays(model: AbstractNetwork, values: Mapping | None, what: str) -> dict[str, Array | Known]:
    """The values as floating-point arrays, checked against the layers."""
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise ValueError(f"`{what}` must be {{layer: state}}, got {type(values).__name__}.")
    for name in values:
        if name not in model.layers:
            raise ValueError(f"`{what}` names an unknown layer {name!r}; the layers are {list(model.order)}.")
    labels = {name: f"{what}[{name!r}]" for name in values}
    for name, value in values.items():
        if isinstance(value, Known):
            _check_shape(model.layers[name].shape, value, labels[name])
    arrays = {name: _as_array(value, labels[name]) for name, value in values.items()}
    for name, array in arrays.items():
        _check_shape(model.layers[name].shape, array, labels[name])
    return arrays


def _as_array(value, label: str) -> Array | Known:
    if isinstance(value, Known):
        if not jnp.issubdtype(getattr(value.mask, "dtype", object), bool):
            raise ValueError(f"`{label}` has a mask that is not bool; compare, as in `mask > 0`.")
        state = _as_real(jnp.where(value.mask, value.state, 0), label)
        return Known(state, jnp.asarray(value.mask))
    return _as_real(value, label)


def _as_real(value: ArrayLike, label: str) -> Array:
    array = real_array(label, value)
    return array.astype(
        accumulator(array.dtype) if jnp.issubdtype(array.dtype, jnp.floating) else jnp.float32
    )


def _check_shape(shape: tuple[int, ...], value: ArrayLike | Known, label: str) -> None:
    for array in (value.state, value.mask) if isinstance(value, Known) else (value,):
        given = np.shape(array)
        if given[-len(shape) :] != shape or len(given) > len(shape) + 1:
            raise ValueError(
                f"`{label}` has shape {given}; the layer needs {shape}, or (batch, "
                f"{', '.join(map(str, shape))}) for a batch."
            )


def _check_free(model: AbstractNetwork, clamp: Mapping[str, Array | Known]) -> None:
    if all(name in clamp and not isinstance(clamp[name], Known) for name in model.order):
        raise ValueError(
            "`clamp` holds every layer, so nothing is left to relax; use `model.energy` for an energy."
        )


def _batch_axes(model: AbstractNetwork, clamp, start) -> tuple[tuple[PyTree, PyTree], int | None]:
    """Which arrays carry the batch axis, and how long it is."""
    arrays = [
        (name, x) for tree in (clamp, start) for name, value in tree.items() for x in jax.tree.leaves(value)
    ]
    sizes = {name: x.shape[0] for name, x in arrays if x.ndim > len(model.layers[name].shape)}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"`clamp` and `start` have batches of different sizes {sizes}; make them equal.")
    if 0 in sizes.values():
        raise ValueError(f"`clamp` and `start` have an empty batch {sizes}; give at least one example.")
    axis = lambda name: lambda x: 0 if x.ndim > len(model.layers[name].shape) else None
    axes = lambda tree: {name: jax.tree.map(axis(name), value) for name, value in tree.items()}
    return (axes(clamp), axes(start)), next(iter(sizes.values()), None)


def common_dtype(tree: PyTree) -> jnp.dtype:
    """The widest floating type in `tree`, at least float32."""
    floats = [x.dtype for x in jax.tree.leaves(tree) if eqx.is_inexact_array(x)]
    return jnp.result_type(jnp.float32, *floats)


def _throw_unless_converged(found: Equilibrium) -> Equilibrium:
    failed = ~jnp.all(found.converged)
    message = (
        "`relax` did not converge for every example; look at `Equilibrium.status` with `throw=False`, allow more "
        "`max_steps`, a larger `rtol`, or another solver."
    )
    return eqx.error_if(found, failed, message)
