"""Relax, then read a cost at the equilibrium and differentiate it."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, PyTree

from ._internal.checks import as_real_array, require_kind
from ._internal.jit import jit
from .costs import AbstractCost
from .gradients.base import AdjointStats
from .method import Method
from .networks.layers import PartialClamp
from .networks.network import AbstractNetwork, States
from .relax import Batch, assemble, make_solve, prepare_inputs
from .solvers.equilibrium import Equilibrium, Statistics
from .updates.problem import Problem


def objective(
    model: AbstractNetwork,
    clamp: Mapping[str, ArrayLike | PartialClamp],
    cost: AbstractCost,
    target: ArrayLike,
    *,
    start: Mapping[str, ArrayLike] | None = None,
    method: Method = Method(),
) -> tuple[Float[Array, "*batch"], Equilibrium]:
    """`C(equilibrium, target)` of each example, and the equilibrium; differentiable as `method.gradient` says.

    All gradients work here, including equilibrium propagation.

    Args:
        model, clamp, start, method: as for `relax`.
        cost: of the equilibrium of one example.
        target: with a batch axis if the clamp or the start has one.
    Raises: `ValueError` as `relax` does, for a cost of an unknown layer, or a target that does not fit.
    """
    clamp, start, target, batch = _prepare(model, clamp, start, cost, target, method)
    return _objective(model, clamp, start, cost, target, method.with_arrays, None, batch)


class CostGradient(eqx.Module):
    """The mean cost of a batch and its gradient, and how both solves went.

    Attributes:
        cost: the mean cost.
        gradient: with respect to the model, in its form; None where nothing is differentiated.
        equilibrium: of each example.
        adjoint: statistics of the backward solve of each example.
    """

    cost: Float[Array, ""]
    gradient: AbstractNetwork
    equilibrium: Equilibrium
    adjoint: AdjointStats


def cost_gradient(
    model: AbstractNetwork,
    clamp: Mapping[str, ArrayLike | PartialClamp],
    cost: AbstractCost,
    target: ArrayLike,
    *,
    start: Mapping[str, ArrayLike] | None = None,
    method: Method = Method(),
    adjoint_start: States | None = None,
) -> CostGradient:
    """The mean cost of a batch, its gradient with respect to `model`, and the statistics of the backward solve.

    Args:
        model, clamp, cost, target, start, method: as for `objective`, with a batch axis.
        adjoint_start: states from which the backward solve starts, such as an earlier `CostGradient.adjoint.solution`
            or a cache of them (`hopfax.training.WarmStarts`). Zeros are a cold start, None is a cold start whose
            solution is not returned.
    Raises: `ValueError` as `objective` does, and where the result is differentiated: differentiate `objective` twice.
    """
    clamp, start, target, batch = _prepare(model, clamp, start, cost, target, method)
    stats = AdjointStats.blank(batch.size, adjoint_start)
    return _cost_gradient(model, clamp, start, cost, target, method.with_arrays, stats, batch)


@jit
def _cost_gradient(model, clamp, start, cost, target, method, stats, batch: Batch) -> CostGradient:
    def mean_cost(differentiated):
        model, stats = differentiated
        costs, equilibrium = _objective(model, clamp, start, cost, target, method, stats, batch)
        return jnp.mean(costs), equilibrium

    value_and_gradient = eqx.filter_value_and_grad(mean_cost, has_aux=True)
    (value, equilibrium), (gradient, stats) = value_and_gradient((model, stats))
    return CostGradient(value, _differentiated_once(gradient), equilibrium, stats)


@jax.custom_jvp
def _differentiated_once(gradient: PyTree) -> PyTree:
    return gradient


@_differentiated_once.defjvp
def _differentiated_once_jvp(primals, tangents):
    raise ValueError(
        "the gradient that `cost_gradient` returns cannot be differentiated. Differentiate `hopfax.objective` twice."
    )


@jit
def _objective(model, clamp, start, cost, target, method, stats, batch: Batch):
    def example(clamp, start, target, stats):
        return objective_example(model, clamp, start, cost, target, method, stats)

    return batch.map(example, clamp, start, target, stats)


def objective_example(
    model: AbstractNetwork,
    clamp: Mapping[str, Array | PartialClamp],
    start: States,
    cost: AbstractCost,
    target: Array,
    method: Method,
    stats: AdjointStats | None,
) -> tuple[Float[Array, ""], Equilibrium]:
    """`objective` for one example, unchecked and not compiled. For `stats` see `AbstractGradient.connect`."""
    free = model.condition(clamp)
    value, states, statistics = cost_example(free, start, cost, target, method, stats)
    return value, assemble(model, free, clamp, (states, free.activations(states)), statistics)


def cost_example(
    free: AbstractNetwork,
    start: States,
    cost: AbstractCost,
    target: Array,
    method: Method,
    stats: AdjointStats | None,
) -> tuple[Float[Array, ""], States, Statistics]:
    """The cost, and the equilibrium of the free layers without its energy, which is expensive to trace."""
    problem = Problem(free, method.update)
    solve = make_solve(problem, start, method)
    return method.gradient.value(problem, solve, stats, cost, target)


def _prepare(model, clamp, start, cost, target, method):
    require_kind("method", method, Method, 'hopfax.papers.paper_method("HAM-EO")')
    clamp, start, batch = prepare_inputs(model, clamp, start)
    require_kind("cost", cost, AbstractCost, "SquaredError()")
    for name in cost.layers:
        if name not in model.layers:
            raise ValueError(f"`cost` reads an unknown layer {name!r}; the layers are {list(model.order)}.")
    target = as_real_array("target", target)
    if batch.size is not None and target.shape[:1] != (batch.size,):
        raise ValueError(
            f"`target` has shape {target.shape}; the batch has {batch.size} examples, and each needs a target."
        )
    return clamp, start, target, batch
