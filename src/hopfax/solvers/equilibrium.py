"""The result of relaxing: the states, and how they were found."""

import enum

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int

from ..networks.network import States


class Status(enum.IntEnum):
    """How the solve of one example ended."""

    converged = 0  # the residual of the returned state is within the tolerance
    max_steps = 1  # the steps ran out
    stalled = 2  # rounding errors of the states' dtype keep the residual above the tolerance
    nonfinite = 3  # NaN or infinity in the input or on the way; the best finite state is returned


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
        trace: the relative residual at each evaluation, NaN after the last.
    """

    status: Int[Array, "*batch"]
    residual: Float[Array, "*batch"]
    relative_residual: Float[Array, "*batch"]
    steps: Int[Array, "*batch"]
    evaluations: Int[Array, "*batch"]
    rejections: Int[Array, "*batch"]
    restarts: Int[Array, "*batch"]
    trace: Float[Array, "*batch_and_steps"]


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
