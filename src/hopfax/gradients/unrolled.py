"""Gradients by backpropagation through steps of the solver or of the map."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, ScalarLike

from .._internal.checks import require_integer, require_number
from ..networks.network import States
from ..solvers.equilibrium import Statistics
from ..updates.problem import Problem
from .base import AbstractGradient, AdjointStats, Solve, read_cost, replace_gradient


class Unrolled(AbstractGradient):
    """Backpropagation through every step of the solver, as a reference for the other gradients.

    Its memory grows with `steps`. It is the only gradient with respect to the start.

    Args:
        steps: how many evaluations are made, at least 1. Evaluations after convergence have no effect.
    Raises: `ValueError` for another `steps`, and for a solver without steps, such as `GradientFlow`.
    """

    steps: int = 100
    differentiates_start: ClassVar[bool] = True

    def __check_init__(self):
        require_integer("Unrolled.steps", self.steps, 1)

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        unknowns, statistics = solve.unrolled(problem, self.steps)
        return *problem.point(unknowns), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


class Phantom(AbstractGradient):
    """Backpropagation through `steps` steps `z ← damping z + (1 - damping) f(z)` at the equilibrium.

    One undamped step is Jacobian-free backpropagation. It is cheap and biased: its error falls like the spectral
    radius to the power `steps`.

    Args:
        steps: at least 1.
        damping: in [0, 1); 0 is no damping.
    Raises: `ValueError` for other values.
    Source: [geng2021] (phantom gradient), [fung2022] (Jacobian-free).
    """

    steps: int = 5
    damping: ScalarLike = 0.0

    def __check_init__(self):
        require_integer("Phantom.steps", self.steps, 1)
        require_number("Phantom.damping", self.damping, lambda x: 0 <= x < 1, "in [0, 1); 0 is no damping")

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        equilibrium, statistics = solve(problem)

        def step(states, _):
            return jax.tree.map(self._mix, states, problem.image(states)), None

        states, _ = jax.lax.scan(step, equilibrium, None, length=self.steps)
        return *problem.point(replace_gradient(equilibrium, states)), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)

    def _mix(self, old: Array, new: Array) -> Array:
        damping = jnp.asarray(self.damping, old.dtype)
        return damping * old + (1 - damping) * new
