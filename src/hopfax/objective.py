"""Relax, then read a cost off the equilibrium and differentiate it."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ._internal.checks import as_real_array, require_kind
from .costs import AbstractCost
from .gradients.base import AdjointStats
from .method import Method
from .networks.layers import PartialClamp
from .networks.network import AbstractNetwork, States
from .relax import assemble, prepare, solve_of
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
    """`C(equilibrium, target)` of each example and the equilibrium; differentiable as `method.gradient` says.

    All gradients work here, equilibrium propagation included. Args: as for `relax`; `target` has a batch axis if the
    clamp has one. Raises: `ValueError` as `relax` does.
    """
    clamp, start, target, axes, batch = _prepare(model, clamp, start, cost, target, method)
    stats = AdjointStats.blank(batch)
    return _objective(model, clamp, start, cost, target, method.with_arrays(), stats, axes, batch)


class CostGradient(eqx.Module):
    """The mean cost of a batch with its gradient, and how both solves went."""

    cost: Float[Array, ""]
    gradient: AbstractNetwork  # in the form of the model, None where nothing is differentiated
    equilibrium: Equilibrium
    adjoint: AdjointStats  # of the backward solve, example by example


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

    Args: as for `objective`, with a batch axis; `adjoint_start` are states from which the backward solve starts, as
        `CostGradient.adjoint.solution` or a cache of them (`hopfax.training.WarmStarts`) has them. Zeros are a cold
        start, None is one whose solution is not returned.
    Raises: `ValueError` as `objective` does.
    """
    clamp, start, target, axes, batch = _prepare(model, clamp, start, cost, target, method)
    stats = AdjointStats.blank(batch, adjoint_start)
    return _cost_gradient(model, clamp, start, cost, target, method.with_arrays(), stats, axes, batch)


@eqx.filter_jit
def _cost_gradient(model, clamp, start, cost, target, method, stats, axes, batch) -> CostGradient:
    def mean_cost(differentiated):
        model, stats = differentiated
        costs, equilibrium = _objective(model, clamp, start, cost, target, method, stats, axes, batch)
        return jnp.mean(costs), equilibrium

    (value, equilibrium), (gradient, stats) = eqx.filter_value_and_grad(mean_cost, has_aux=True)(
        (model, stats)
    )
    return CostGradient(value, gradient, equilibrium, stats)


@eqx.filter_jit
def _objective(model, clamp, start, cost, target, method, stats, axes, batch):
    def example(clamp, start, target, stats):
        return objective_example(model, clamp, start, cost, target, method, stats)

    if batch is None:
        return example(clamp, start, target, stats)
    return jax.vmap(example, in_axes=(*axes, 0, 0))(clamp, start, target, stats)


def objective_example(
    model: AbstractNetwork,
    clamp: Mapping[str, Array | PartialClamp],
    start: States,
    cost: AbstractCost,
    target: Array,
    method: Method,
    stats: AdjointStats,
) -> tuple[Float[Array, ""], Equilibrium]:
    """`objective` for one example, unchecked and not compiled."""
    free = model.condition(clamp)
    value, states, statistics = cost_example(free, start, cost, target, method, stats)
    return value, assemble(model, free, clamp, states, statistics)


def cost_example(
    free: AbstractNetwork,
    start: States,
    cost: AbstractCost,
    target: Array,
    method: Method,
    stats: AdjointStats,
) -> tuple[Float[Array, ""], States, Statistics]:
    """The cost, and the equilibrium of the free layers without its energy, which is expensive to trace."""
    problem = Problem(free, method.update)
    value, unknowns, statistics = method.gradient.value(
        problem, solve_of(problem, start, method), stats, cost, target
    )
    return value, problem.reconstruct(unknowns), statistics


def _prepare(model, clamp, start, cost, target, method):
    require_kind("method", method, Method, 'hopfax.papers.paper_method("HAM-EO")')
    clamp, start, axes, batch = prepare(model, clamp, start)
    require_kind("cost", cost, AbstractCost, "SquaredError()")
    for name in cost.layers:
        if name not in model.layers:
            raise ValueError(f"`cost` reads an unknown layer {name!r}; the layers are {list(model.order)}.")
    target = as_real_array("target", target)
    if batch is not None and target.shape[:1] != (batch,):
        raise ValueError(
            f"`target` has shape {target.shape}; the batch has {batch} examples, one target for each."
        )
    return clamp, start, target, axes, batch
