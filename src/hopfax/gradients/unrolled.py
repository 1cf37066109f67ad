"""Gradients by backpropagating through steps of the solver or of the map."""

import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from .._internal.checks import require_number, require_integer
from ..networks.network import States
from ..solvers.equilibrium import Statistics
from ..solvers.loop import AbstractDirectSolver, iterate
from ..updates.problem import Problem
from .base import AbstractGradient, AdjointStats, Solve, read_cost, with_value_of


class Unrolled(AbstractGradient):
    """Backpropagation through every step of the solver: the witness for the others, memory grows with `steps`.

    Runs `steps` evaluations, those after convergence without effect; the only method with a gradient with
    respect to the start.
    """

    steps: int = 100

    def __check_init__(self):
        require_integer("Unrolled.steps", self.steps, 1)

    def connect(self, problem: Problem, solve: Solve, stats: AdjointStats) -> tuple[States, Statistics]:
        if isinstance(solve.solver, AbstractDirectSolver):
            raise ValueError(
                f"`Unrolled()` goes through the steps of an iterative solver; `solver={solve.solver}` has none. "
                "Use `Picard()` or another gradient."
            )
        return iterate(problem, solve.solver, solve.start, solve.stopping, solve.trace, unroll=self.steps)

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)


class Phantom(AbstractGradient):
    """Backpropagation through `steps` damped steps of the map at the equilibrium, `z ← (1 - damping) z + damping f(z)`.

    One undamped step is Jacobian-free backpropagation. Cheap and biased: its error falls like the spectral
    radius to the power `steps`. Args: `damping` in (0, 1], 1 is none.
    Source: [geng2021] (phantom gradient), [fung2022] (Jacobian-free).
    """

    steps: int = 5
    damping: ScalarLike = 1.0

    def __check_init__(self):
        require_integer("Phantom.steps", self.steps, 1)
        require_number("Phantom.damping", self.damping, lambda x: 0 < x <= 1, "in (0, 1]; 1 is no damping")

    def connect(self, problem: Problem, solve: Solve, stats: AdjointStats) -> tuple[States, Statistics]:
        point, statistics = solve(problem)
        mix = lambda old, new: (1 - jnp.asarray(self.damping, old.dtype)) * old + self.damping * new

        def step(states, _):
            return jax.tree.map(mix, states, problem.image(states)), None

        walked, _ = jax.lax.scan(step, point, None, length=self.steps)
        return with_value_of(point, walked), statistics

    def value(self, problem, solve, stats, cost, target):
        return read_cost(self, problem, solve, stats, cost, target)
