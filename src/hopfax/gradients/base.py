"""What a gradient method is: a way to make a solved equilibrium differentiable."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from ..costs import AbstractCost
from ..equilibrium import Statistics
from ..network import States
from ..problem import Problem
from ..solvers.loop import AbstractMethod, AnySolver, Stopping, iterate


class Solve(eqx.Module):
    """Everything that finding an equilibrium needs besides the problem."""

    solver: AnySolver | AbstractMethod
    start: States
    stopping: Stopping
    trace: int = eqx.field(static=True, default=0)

    def __call__(self, problem: Problem) -> tuple[States, Statistics]:
        """Kept states at equilibrium, cut off from differentiation, and how they were found."""
        problem, start, stopping = stop_gradient((problem, self.start, self.stopping))
        if isinstance(self.solver, AbstractMethod):
            return self.solver.solve(problem, start, stopping, self.trace)
        return iterate(problem, self.solver, start, stopping, self.trace)


class Report(eqx.Module):
    """How the backward solve of each example went; it comes out as the *gradient* with respect to itself.

    Nothing can be returned from a backward pass but gradients: hand `Report.blank(batch)` to `relax`,
    differentiate with respect to it too, and the cotangent is the filled-in report. `flagged` is 1 where the
    solve missed its tolerance and the better of it and the one-step gradient was used.

    `adjoint` starts the backward solve, with rows for all kept layers of the update (more are ignored), zeros for a
    cold start; the filled-in report has the solution there. See `hopfax.WarmStarts` for keeping it. Methods without
    an adjoint equation leave it alone and fill in zeros.
    """

    residual: Float[Array, "*batch"]  # rms of the adjoint equation, relative to the incoming gradient
    products: Float[Array, "*batch"]  # Jacobian products spent
    flagged: Float[Array, "*batch"]
    adjoint: States | None = None

    @staticmethod
    def blank(batch: int | None = None, adjoint: States | None = None) -> "Report":
        """A report to be filled in, of one example or of `batch` of them; `adjoint` makes the start a warm one."""
        zeros = jnp.zeros(() if batch is None else (batch,), jnp.float32)
        return Report(zeros, zeros, zeros, adjoint)


class AbstractGradient(eqx.Module):
    """How the equilibrium of one example is differentiated."""

    @abc.abstractmethod
    def connect(self, problem: Problem, solve: Solve, report: Report) -> tuple[States, Statistics]:
        """Solve, and give the kept states a gradient with respect to everything in `problem`."""

    @abc.abstractmethod
    def value(
        self, problem: Problem, solve: Solve, report: Report, cost: AbstractCost, target: Array
    ) -> tuple[Scalar, States, Statistics]:
        """Solve, and give the cost of the equilibrium this gradient."""


def read_cost(
    gradient: AbstractGradient,
    problem: Problem,
    solve: Solve,
    report: Report,
    cost: AbstractCost,
    target: Array,
) -> tuple[Scalar, States, Statistics]:
    """`AbstractGradient.value` where states carry the gradient: connect them, then read the cost off."""
    kept, statistics = gradient.connect(problem, solve, report)
    states = problem.complete(kept)
    return cost(states, problem.model.activations(states), target), kept, statistics


def stop_gradient(tree: PyTree) -> PyTree:
    """`tree` cut off from differentiation; leaves that are no arrays pass through."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, tree)


@jax.custom_jvp
def with_value_of(value: PyTree, gradient: PyTree) -> PyTree:
    """The first tree's values, untouched even by a NaN in the second, with the second's gradient."""
    return value


@with_value_of.defjvp
def _with_tangent_of(primals, tangents):
    return primals[0], tangents[1]
