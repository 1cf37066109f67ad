"""Relax, then read a cost off the equilibrium: the function that training differentiates."""

from collections.abc import Mapping

import equinox as eqx
import jax
from jaxtyping import Array, ArrayLike, Float

from ._checks import real_array, require_kind
from .costs import AbstractCost, Several
from .equilibrium import Equilibrium, Statistics
from .gradients.base import Report, Solve
from .layers import Known
from .methods import Method
from .network import AbstractNetwork, States
from .problem import Problem
from .relax import assemble, begin, prepare
from .solvers.loop import Stopping


def objective(
    model: AbstractNetwork,
    clamp: Mapping[str, ArrayLike | Known],
    cost: AbstractCost,
    target: ArrayLike,
    *,
    method: Method = Method(),
    start: Mapping[str, ArrayLike] | None = None,
    report: Report | None = None,
) -> tuple[Float[Array, "*batch"], Equilibrium]:
    """`C(equilibrium, target)` of each example, with the gradient that `method.gradient` gives it.

    The one interface of all gradients, equilibrium propagation included. `target` has the batch axis if the clamp
    has. Raises: `ValueError` as `relax` does.
    """
    require_kind("method", method, Method, 'hopfax.paper_method("HAM-EO")')
    clamp, start, axes, batch = prepare(model, clamp, start)
    _check_cost(model, cost)
    report = Report.blank(batch) if report is None else report
    stopping = method.stopping()
    target = real_array("target", target)
    if batch is not None and target.shape[:1] != (batch,):
        raise ValueError(
            f"`target` has shape {target.shape}; the batch has {batch} examples, one target for each."
        )
    return _objective(model, clamp, start, cost, target, method, stopping, report, axes, batch)


def _check_cost(model: AbstractNetwork, cost: AbstractCost) -> None:
    require_kind("cost", cost, AbstractCost, "SquaredError()")
    for part in cost.parts if isinstance(cost, Several) else (cost,):
        if part.layer not in model.layers:
            raise ValueError(
                f"`cost` reads an unknown layer {part.layer!r}; the layers are {list(model.order)}."
            )


@eqx.filter_jit
def _objective(model, clamp, start, cost, target, method, stopping, report, axes, batch):
    def one(clamp, start, target, report):
        return objective_one(model, clamp, start, cost, target, method, stopping, report)

    if batch is None:
        return one(clamp, start, target, report)
    return jax.vmap(one, in_axes=(axes[0], axes[1], 0, 0))(clamp, start, target, report)


def objective_one(
    model, clamp, start, cost, target, method, stopping, report
) -> tuple[Float[Array, ""], Equilibrium]:
    """`objective` for one example, unchecked and uncompiled."""
    free = model.condition(clamp)
    value, states, statistics = value_one(free, start, cost, target, method, stopping, report)
    return value, assemble(model, free, clamp, states, statistics)


def value_one(
    free: AbstractNetwork, start: States, cost, target, method: Method, stopping: Stopping, report: Report
) -> tuple[Float[Array, ""], States, Statistics]:
    """The cost, and the equilibrium of the free layers; all that training asks, for an energy is dear to trace."""
    problem = Problem(free, method.update)
    solve = Solve(method.solver, begin(problem, start), stopping)
    value, kept, statistics = method.gradient.value(problem, solve, report, cost, target)
    return value, problem.complete(kept), statistics
