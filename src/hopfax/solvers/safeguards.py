"""Safeguards: when an accelerated point may replace the plain image."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..updates.problem import StepInfo


class AbstractSafeguard(eqx.Module):
    """Judges an extrapolated point before (`admits`) and after (`worse`) the map is evaluated there.

    One with `watches_energy = False` is given no energy, which spares tracing and computing it.
    """

    watches_energy: ClassVar[bool] = True

    @abc.abstractmethod
    def admits(
        self, candidate: Float[Array, " n"], image: Float[Array, " n"], point: Float[Array, " n"]
    ) -> Bool[Array, ""]:
        """Whether to go to `candidate` rather than to the plain image of `point`."""

    @abc.abstractmethod
    def worse(self, trial: StepInfo, accepted: StepInfo) -> Bool[Array, ""]:
        """Whether the point just evaluated is to be given up for the plain image of the last accepted one."""


class Energy(AbstractSafeguard):
    """A point is kept only if the energy does not rise above that of the last one kept.

    No accelerated run then ends above the promise of plain even-odd iteration. `slack` is in units of the
    rounding error of the energy.
    """

    slack: float = 4.0

    def admits(self, candidate, image, point):
        return jnp.array(True)

    def worse(self, trial, accepted):
        rounding = jnp.finfo(trial.energy.dtype).eps * accepted.energy_size
        return trial.energy > accepted.energy + self.slack * rounding


class Residual(AbstractSafeguard):
    """A point is kept only if the residual is at most `growth` times that of the last one kept."""

    watches_energy: ClassVar[bool] = False
    growth: float = 2.0

    def admits(self, candidate, image, point):
        return jnp.array(True)

    def worse(self, trial, accepted):
        return trial.residual > self.growth * accepted.residual


class Published(AbstractSafeguard):
    """The papers' rule: `|f(z) - c| / |c| < |f(z) - z| / |z|` for the candidate `c`, judged without evaluating there.

    It rejects what helps most where convergence is slow and one-sided; kept for reproduction.
    Source: [goemaere2024], Appendix C and code.
    """

    watches_energy: ClassVar[bool] = False

    def admits(self, candidate, image, point):
        relative = lambda a, b: jnp.linalg.norm(image - a) / jnp.linalg.norm(b)
        return relative(candidate, candidate) < relative(point, point)

    def worse(self, trial, accepted):
        return jnp.array(False)


class Unguarded(AbstractSafeguard):
    """Every point is kept."""

    watches_energy: ClassVar[bool] = False

    def admits(self, candidate, image, point):
        return jnp.array(True)

    def worse(self, trial, accepted):
        return jnp.array(False)
