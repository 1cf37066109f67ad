"""The result of relaxing: the states, and how they were found."""

import enum

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from .._internal.checks import require_integer
from ..networks.network import States

Shaped = Array | jax.ShapeDtypeStruct


class Status(enum.IntEnum):
    """How the solve of one example ended."""

    converged = 0  # the residual of the returned state is within the tolerance
    max_steps = 1  # the steps ran out
    stalled = 2  # rounding errors of the states' dtype keep the residual above the tolerance
    nonfinite = 3  # NaN or infinity in the input or on the way; the best finite state is returned
    unbounded = 4  # the states grew by a factor of a million: the energy falls without end


class Trace(eqx.Module):
    """What `hopfax.relax` records at each evaluation; what is not asked for costs nothing.

    Args:
        steps: how many evaluations are recorded, at least 0.
        energy: whether the energy is recorded too.
        state: whether the states of all layers are. Their memory is that of `steps` equilibria.
    Raises: `ValueError` for another number of steps.
    """

    steps: int = eqx.field(static=True, default=0)
    energy: bool = eqx.field(static=True, default=False)
    state: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        require_integer("trace", self.steps, 0)

    def unrecorded(self, residual: Shaped, energy: Shaped, state: PyTree) -> "Trajectory":
        """The trajectory of one example before anything is recorded, in the types of the arguments."""
        blank = lambda x: jnp.full((self.steps, *x.shape), jnp.nan, x.dtype)
        return Trajectory(
            blank(residual),
            blank(energy) if self.energy else None,
            jax.tree.map(blank, state) if self.state else None,
        )


class Trajectory(eqx.Module):
    """How a solve went, evaluation by evaluation, along the axis after that of the batch; NaN after the last.

    Attributes:
        residual: the relative residual at the point of each evaluation.
        energy: the energy of the last point that the solver accepted; None unless it was asked for.
        state: the states of all layers at that point; None unless they were asked for.
    """

    residual: Float[Array, "*batch_and_steps"]
    energy: Float[Array, "*batch_and_steps"] | None = None
    state: States | None = None

    def record(
        self, index: Int[Array, ""], accepted: Bool[Array, ""], residual: Array, energy: Array, state: States
    ) -> "Trajectory":
        """The trajectory of one example with the evaluation of that index."""
        if not self.residual.size:
            return self
        put = lambda values, new: values.at[index].set(new, mode="drop")
        last = lambda values: values[jnp.maximum(index - 1, 0)]
        put_accepted = lambda values, new: put(values, jnp.where(accepted, new, last(values)))
        return Trajectory(
            put(self.residual, residual),
            None if self.energy is None else put_accepted(self.energy, energy),
            None if self.state is None else jax.tree.map(put_accepted, self.state, state),
        )


class Statistics(eqx.Module):
    """How one example was solved, or each example of a batch, along the leading axis.

    Attributes:
        status: a `Status`.
        residual: `rms(f(z) - z)` of the returned state.
        relative_residual: `rms(f(z) - z) / rms(f(z))` of the returned state.
        steps: updates made to reach the returned state; 0 if the start was an equilibrium.
        evaluations: sweeps in all, including those at rejected points and the one that confirms convergence.
        rejections: points that the safeguard rejected.
        restarts: how often the solver emptied its history for another reason.
        trace: what was recorded at each evaluation.
    """

    status: Int[Array, "*batch"]
    residual: Float[Array, "*batch"]
    relative_residual: Float[Array, "*batch"]
    steps: Int[Array, "*batch"]
    evaluations: Int[Array, "*batch"]
    rejections: Int[Array, "*batch"]
    restarts: Int[Array, "*batch"]
    trace: Trajectory


class Equilibrium(eqx.Module):
    """An equilibrium of a model with some layers clamped; a batch has one leading axis everywhere.

    Attributes:
        state: layer -> state, of all layers, clamped ones included.
        activation: layer -> activation `g = ρ(s)`.
        energy: the energy of the whole model.
        statistics: how the equilibrium was found.
    """

    state: States
    activation: States
    energy: Float[Array, "*batch"]
    statistics: Statistics

    @property
    def converged(self) -> Bool[Array, "*batch"]:
        """Whether each example is at an equilibrium, to the tolerance that was asked for."""
        return self.statistics.status == Status.converged

    @property
    def status(self) -> Int[Array, "*batch"]:
        """A `Status` for each example."""
        return self.statistics.status

    @property
    def residual(self) -> Float[Array, "*batch"]:
        """`rms(f(z) - z)` over the unknown states."""
        return self.statistics.residual

    @property
    def steps(self) -> Int[Array, "*batch"]:
        """Updates made to reach the state."""
        return self.statistics.steps

    @property
    def trace(self) -> Trajectory:
        """What was recorded at each evaluation, as `relax(..., trace=...)` says."""
        return self.statistics.trace
