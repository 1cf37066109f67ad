"""How the state of a query moves through the energy of a memory before it is read."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from .._internal.checks import require_integer, require_kind, require_number
from ..memory.modern import VISIBLE, ModernHopfield
from ..memory.retrieval import Retrieval, largest_norm, repeat_update
from ..method import Method
from ..relax import solve_example

State = Float[Array, " dimension"]


class AbstractIteration(eqx.Module):
    """From the state of one query to the state at which the memory is read; each query stops by itself."""

    @abc.abstractmethod
    def __call__(self, memory: ModernHopfield, state: State) -> Retrieval:
        """The last state, differentiable, and whether it is a fixed point."""


class Repeated(AbstractIteration):
    """Repeats `memory.update` until a step is short, at most `max_steps` times; differentiated by backpropagation.

    Zero updates are attention: the memory is read at the query itself. The state and its gradient after `n` updates
    are those of a loop of `n` updates, whether it converged or not. A state that has converged no longer changes.

    Args:
        max_steps: the most updates, at least 0. Memory for backpropagation grows with it.
        tolerance: a state has converged when its step is at most this fraction of the largest norm of a pattern.
    Raises: `ValueError` for other values.
    """

    max_steps: int = eqx.field(static=True, default=0)
    tolerance: ScalarLike = 1e-4

    def __check_init__(self):
        require_integer("Repeated.max_steps", self.max_steps, 0)
        require_number("Repeated.tolerance", self.tolerance, lambda x: x >= 0, "a number, 0 or more")

    def __call__(self, memory: ModernHopfield, state: State) -> Retrieval:
        return repeat_update(
            memory.update,
            state,
            scale=largest_norm(memory.patterns),
            tolerance=self.tolerance,
            max_steps=self.max_steps,
            unroll=True,
        )


class Relaxed(AbstractIteration):
    """Relaxes `memory.ham()` from the query, as `hopfax.relax` does, with the solver and gradient of `method`.

    A small change of the start does not change the equilibrium. So there are gradients with respect to patterns, values
    and `beta`, implicit or by equilibrium propagation, and none with respect to the queries, except by `Unrolled()`.
    `CoupledLearning()`, `ContrastiveLearning()` and `PredictiveCoding()` need the cost of an objective, and raise an
    error here.

    Args:
        method: update, solver, gradient and tolerances.
    Raises: `ValueError` for another `method`.
    """

    method: Method = Method()

    def __check_init__(self):
        require_kind("Relaxed.method", self.method, Method, "Method(rtol=1e-6)")

    def __call__(self, memory: ModernHopfield, state: State) -> Retrieval:
        start = state if self.method.gradient.differentiates_start else jax.lax.stop_gradient(state)
        equilibrium = solve_example(memory.ham(), {}, {VISIBLE: start}, self.method)
        # The length of a step in units of the largest norm, as elsewhere: `residual` is a root mean square.
        scale = largest_norm(memory.patterns)
        residual = equilibrium.residual * math.sqrt(state.size) / jnp.where(scale > 0, scale, 1)
        return Retrieval(equilibrium.state[VISIBLE], residual, equilibrium.steps, equilibrium.converged)
