"""What a gradient is: a way to make a solved equilibrium differentiable."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from ..costs import AbstractCost
from ..networks.network import States
from ..solvers.equilibrium import Statistics, Trace
from ..solvers.loop import AbstractDirectSolver, IterativeSolver, Stopping, iterate
from ..updates.problem import Problem


class Solve(eqx.Module):
    """All that finding an equilibrium needs besides the problem.

    Args:
        solver: an iterative solver, ours or optimistix's, or a direct one.
        start: the unknown states to start from.
        stopping: tolerances and the most steps.
        trace: what to record at each evaluation.
    """

    solver: IterativeSolver | AbstractDirectSolver
    start: States
    stopping: Stopping
    trace: Trace = Trace()

    def __call__(self, problem: Problem) -> tuple[States, Statistics]:
        """The unknown states at equilibrium, which are not differentiable, and the statistics of the solve."""
        problem, start, stopping = stop_gradient((problem, self.start, self.stopping))
        if isinstance(self.solver, IterativeSolver):
            return iterate(problem, self.solver, start, stopping, self.trace)
        return self.solver.solve(problem, start, stopping, self.trace)

    def unrolled(self, problem: Problem, steps: int) -> tuple[States, Statistics]:
        """The states and the statistics by exactly `steps` evaluations, differentiable with respect to the start too.

        Raises: `ValueError` for a direct solver.
        """
        if not isinstance(self.solver, IterativeSolver):
            raise ValueError(
                f"`Unrolled()` differentiates the steps of an iterative solver, and `solver={self.solver}` has none. "
                "Use `Picard()` or another gradient."
            )
        return iterate(problem, self.solver, self.start, self.stopping, self.trace, unroll=steps)


class AdjointStats(eqx.Module):
    """Statistics of the backward solve, for one example or each example of a batch.

    A backward pass returns nothing but gradients, so these statistics are a gradient too: differentiating with respect
    to `AdjointStats.blank(batch)` gives the statistics. `hopfax.objective.cost_gradient` does so. Gradients without an
    adjoint equation report on their nudged phases, or zeros.

    Attributes:
        residual: rms of the residual of the adjoint equation, relative to the incoming gradient.
        products: Jacobian products spent.
        flagged: 1 where the solve missed its tolerance. The better of its result and one step is used then.
        solution: the solution of the adjoint equation for all unknown layers, or None. In a blank object it is the
            start of the solve: zeros for a cold start, and None for a cold start whose solution is not returned.
    """

    residual: Float[Array, "*batch"]
    products: Float[Array, "*batch"]
    flagged: Float[Array, "*batch"]
    solution: States | None = None

    @staticmethod
    def blank(batch: int | None = None, solution: States | None = None) -> "AdjointStats":
        """A blank object for one example, or for `batch` of them."""
        zeros = jnp.zeros(() if batch is None else (batch,), jnp.float32)
        return AdjointStats(zeros, zeros, zeros, solution)


class AbstractGradient(eqx.Module):
    """How the equilibrium of one example is differentiated."""

    @property
    def differentiates_start(self) -> bool:
        """Whether it has a gradient with respect to the start of the solve. An equilibrium does not depend on it."""
        return False

    @abc.abstractmethod
    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        """States and activations of all free layers at equilibrium, and the statistics of the solve.

        States and activations are differentiable with respect to all of `problem`. With `stats`, they can be
        differentiated once, in reverse mode, and the backward solve is reported as the gradient of `stats`. Without
        `stats`, they can be differentiated in any mode and any number of times, unless the gradient says otherwise.
        """

    @abc.abstractmethod
    def value(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None, cost: AbstractCost, target: Array
    ) -> tuple[Scalar, States, Statistics]:
        """The cost at the equilibrium with this gradient, the states of all free layers, and the statistics.

        `stats` is as for `connect`.
        """


def read_cost(
    gradient: AbstractGradient,
    problem: Problem,
    solve: Solve,
    stats: AdjointStats | None,
    cost: AbstractCost,
    target: Array,
) -> tuple[Scalar, States, Statistics]:
    """`AbstractGradient.value` of a gradient that makes the states differentiable: solve, then read the cost."""
    states, activations, statistics = gradient.connect(problem, solve, stats)
    return cost(states, activations, target), states, statistics


def stop_gradient(tree: PyTree) -> PyTree:
    """`tree` with no gradient through its arrays; other leaves pass through."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, tree)


@jax.custom_jvp
def replace_gradient(value: PyTree, source: PyTree) -> PyTree:
    """`value`, with the gradient of `source`; a NaN in `source` does not change the value."""
    return value


@replace_gradient.defjvp
def _replace_gradient_jvp(primals, tangents):
    # The function itself rather than its value, so that the value has the same gradient when differentiated again.
    return replace_gradient(*primals), tangents[1]


@eqx.filter_custom_jvp
def replace_gradient_at(
    value: PyTree, function: Callable[[PyTree, PyTree], PyTree], parameters: PyTree, point: PyTree
) -> PyTree:
    """`value`, with the gradient of `function(parameters, point)` in the parameters, the point held fixed.

    The gradient may depend on the point, so a second derivative takes the point's own derivative into account. The
    function is not evaluated for its value.
    """
    return value


@replace_gradient_at.def_jvp
def _replace_gradient_at_jvp(primals, tangents):
    value, function, parameters, point = primals
    kept = replace_gradient_at(*primals)
    if not jax.tree.leaves(tangents[2]):
        return kept, None
    at_point = lambda parameters: function(parameters, point)
    slope = eqx.filter_jvp(at_point, (parameters,), (tangents[2],))[1]
    return kept, jax.tree.map(lambda x, t: None if t is None else t.astype(x.dtype), value, slope)


@jax.custom_vjp
def report_stats(value: PyTree, blank: AdjointStats, stats: AdjointStats) -> PyTree:
    """`value`; its gradient with respect to `blank` is `stats`, whatever the incoming gradient."""
    return value


def _report_stats_forward(value, blank, stats):
    return value, (stats, blank.solution)


def _report_stats_backward(residuals, cotangent):
    stats, solution = residuals
    no_solution = jax.tree.map(jnp.zeros_like, solution)
    zeros = jax.tree.map(jnp.zeros_like, stats)
    reported = AdjointStats(stats.residual, stats.products, stats.flagged, no_solution)
    return cotangent, reported, zeros


report_stats.defvjp(_report_stats_forward, _report_stats_backward)
