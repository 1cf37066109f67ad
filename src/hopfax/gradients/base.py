"""What a gradient method is: a way to make a solved equilibrium differentiable."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from ..costs import AbstractCost
from ..networks.network import States
from ..solvers.equilibrium import Statistics
from ..solvers.loop import AbstractDirectSolver, AnySolver, Stopping, iterate
from ..updates.problem import Problem


class Solve(eqx.Module):
    """Everything that finding an equilibrium needs besides the problem."""

    solver: AnySolver | AbstractDirectSolver
    start: States
    stopping: Stopping
    trace: int = eqx.field(static=True, default=0)

    def __call__(self, problem: Problem) -> tuple[States, Statistics]:
        """The unknown states at equilibrium, cut off from differentiation, and the statistics of the solve."""
        problem, start, stopping = stop_gradient((problem, self.start, self.stopping))
        if isinstance(self.solver, AbstractDirectSolver):
            return self.solver.solve(problem, start, stopping, self.trace)
        return iterate(problem, self.solver, start, stopping, self.trace)


class AdjointStats(eqx.Module):
    """Statistics of the backward solve of each example; see `hopfax.objective.cost_gradient`.

    A backward pass can return gradients only, so these are computed as the *gradient* with respect to a blank object:
    whoever differentiates with respect to `AdjointStats.blank(batch)` gets the filled-in one. Methods without an
    adjoint equation report on their nudged phases, or fill in zeros.
    """

    residual: Float[Array, "*batch"]  # rms of the adjoint equation, relative to the incoming gradient
    products: Float[Array, "*batch"]  # Jacobian products spent
    flagged: Float[
        Array, "*batch"
    ]  # 1 where the solve missed its tolerance; the better of it and one step is used
    solution: States | None = None
    """Of the adjoint equation, for all unknown layers. In a blank object, where the solve starts; zeros are a cold
    start, and None one whose solution is not returned."""

    @staticmethod
    def blank(batch: int | None = None, solution: States | None = None) -> "AdjointStats":
        """To be filled in, for one example or for `batch` of them."""
        zeros = jnp.zeros(() if batch is None else (batch,), jnp.float32)
        return AdjointStats(zeros, zeros, zeros, solution)


class AbstractGradient(eqx.Module):
    """How the equilibrium of one example is differentiated."""

    @abc.abstractmethod
    def connect(self, problem: Problem, solve: Solve, stats: AdjointStats) -> tuple[States, Statistics]:
        """Solve, and give the unknown states a gradient with respect to everything in `problem`."""

    @abc.abstractmethod
    def value(
        self, problem: Problem, solve: Solve, stats: AdjointStats, cost: AbstractCost, target: Array
    ) -> tuple[Scalar, States, Statistics]:
        """Solve, and give the cost of the equilibrium this gradient."""


def read_cost(
    gradient: AbstractGradient,
    problem: Problem,
    solve: Solve,
    stats: AdjointStats,
    cost: AbstractCost,
    target: Array,
) -> tuple[Scalar, States, Statistics]:
    """`AbstractGradient.value` where the states carry the gradient: solve, then read the cost."""
    unknowns, statistics = gradient.connect(problem, solve, stats)
    states = problem.reconstruct(unknowns)
    return cost(states, problem.model.activations(states), target), unknowns, statistics


def stop_gradient(tree: PyTree) -> PyTree:
    """`tree` cut off from differentiation; leaves that are no arrays pass through."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, tree)


@jax.custom_jvp
def with_value_of(value: PyTree, gradient: PyTree) -> PyTree:
    """The first tree's values, untouched even by a NaN in the second, with the second's gradient."""
    return value


@with_value_of.defjvp
def _with_tangent_of(primals, tangents):
    # The function itself, not its value: so that the value has the same derivative when it is differentiated again.
    return with_value_of(*primals), tangents[1]


@jax.custom_vjp
def reporting(value: PyTree, stats: AdjointStats, filled: AdjointStats) -> PyTree:
    """`value`; the gradient with respect to the blank `stats` is `filled`, whatever the incoming gradient."""
    return value


def _reporting_forward(value, stats, filled):
    return value, (filled, stats.solution)


def _reporting_backward(residuals, cotangent):
    filled, solution = residuals
    zeros = jax.tree.map(jnp.zeros_like, solution)
    none = jax.tree.map(jnp.zeros_like, filled)
    return cotangent, AdjointStats(filled.residual, filled.products, filled.flagged, zeros), none


reporting.defvjp(_reporting_forward, _reporting_backward)
