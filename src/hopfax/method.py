"""Methods: how an equilibrium is found and differentiated, as one object."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ScalarLike

from ._internal.checks import require_integer, require_kind, require_number
from ._internal.jit import kept_result
from .gradients.base import AbstractGradient
from .gradients.implicit import Implicit
from .solvers.anderson import Anderson
from .solvers.loop import AbstractDirectSolver, IterativeSolver, Stopping
from .solvers.starts import AbstractStart, Zeros
from .updates.base import AbstractUpdate
from .updates.block import Coloured


class Method(eqx.Module):
    """How `hopfax.relax` and `hopfax.objective` find an equilibrium and differentiate it.

    A solve ends at a state `z` with `rms(f(z) - z) <= atol + rtol rms(f(z))`, or after `max_steps` updates.
    `dataclasses.replace(method, rtol=1e-6)` is the same method with another tolerance.

    Args:
        update: which map `z = f(z)` is solved. `Coloured()` is even-odd splitting wherever the free layers are
            bipartite.
        solver: how it is solved: a solver of `hopfax.solvers`, or a fixed-point solver or root finder of optimistix.
        gradient: how the equilibrium is differentiated, with respect to the model and the clamp.
        rtol: relative tolerance, at least 0.
        atol: absolute tolerance, at least 0; `None` for a hundredth of `rtol`. It decides where the equilibrium is near
            zero.
        max_steps: the most updates, at least 0.
        check_every: sweeps between two checks of whether to stop; more than 1 for devices such as GPUs, where each
            check makes the host wait. The result does not depend on it.
        start: where a solve starts if it is given no states: `Zeros()` or `FeedForward()`.
    Raises: `ValueError` for an object of another kind, a tolerance below 0, or steps that are no whole number.
    """

    update: AbstractUpdate = Coloured()
    solver: IterativeSolver | AbstractDirectSolver = Anderson()
    gradient: AbstractGradient = Implicit()
    rtol: ScalarLike = 1e-4
    atol: ScalarLike | None = None
    max_steps: ScalarLike = 200
    check_every: int = eqx.field(static=True, default=1)
    start: AbstractStart = Zeros()

    def __check_init__(self):
        require_kind("update", self.update, AbstractUpdate, "EvenOdd()")
        require_kind("solver", self.solver, (IterativeSolver, AbstractDirectSolver), "Anderson()")
        require_kind("gradient", self.gradient, AbstractGradient, "Implicit()")
        require_number("rtol", self.rtol, lambda x: x >= 0, "a number, 0 or more")
        if self.atol is not None:
            require_number("atol", self.atol, lambda x: x >= 0, "a number, 0 or more")
        require_integer("max_steps", self.max_steps, 0)
        require_integer("check_every", self.check_every, 1)
        require_kind("start", self.start, AbstractStart, "FeedForward()")

    def stopping(self) -> Stopping:
        """When a solve ends. Its numbers are arrays: a compiled function takes other values without compiling again."""
        atol = 0.01 * self.rtol if self.atol is None else self.atol
        rtol, atol, max_steps = (_as_array(x) for x in (self.rtol, atol, self.max_steps))
        return Stopping(rtol, atol, max_steps, self.check_every)

    @property
    @kept_result
    def with_arrays(self) -> "Method":
        """The same method with tolerances as arrays: a compiled function takes other values without compiling again.

        It is kept, because making it takes longer than relaxing a small network.
        """
        stopping = self.stopping()
        return eqx.tree_at(
            lambda m: (m.rtol, m.atol, m.max_steps),
            self,
            (stopping.rtol, stopping.atol, stopping.max_steps),
            is_leaf=lambda x: x is None,
        )


def _as_array(x: ScalarLike) -> Array:
    """A number as an array that belongs to no trace, so that it may be kept; weakly typed, as numbers are."""
    if not isinstance(x, int | float):
        return jnp.asarray(x)
    with jax.ensure_compile_time_eval():
        return jnp.asarray(x)
