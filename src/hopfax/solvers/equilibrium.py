"""The result of relaxing: the state, and an account of how it was reached."""

import enum

import equinox as eqx
from jaxtyping import Array, Bool, Float, Int

from ..networks.network import States


class Status(enum.IntEnum):
    """How the solve of one example ended."""

    converged = 0  # the residual of the returned state is below the tolerance
    max_steps = 1  # still improving when the steps ran out
    stalled = 2  # the residual had stopped improving
    nonfinite = 3  # NaN or infinity in the input or on the way; the best finite state is returned


class Statistics(eqx.Module):
    """How one example was solved, or a batch of them along the leading axis.

    `steps` counts updates made to reach the returned state, 0 if the start was an equilibrium; `evaluations`
    counts every sweep, rejected ones and the confirming one included. `trace` holds the relative residual
    `rms(f(z) - z) / rms(f(z))` at each evaluation, NaN after the last.
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

    `state` and `activation` have all layers, clamped ones included; `energy` is that of the whole model.
    """

    state: States
    activation: States
    energy: Float[Array, "*batch"]
    statistics: Statistics

    @property
    def converged(self) -> Bool[Array, "*batch"]:
        """Which examples are at an equilibrium, to the tolerance that was asked for."""
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
