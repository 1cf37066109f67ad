"""Safeguards: whether an accelerated solver goes to an extrapolated point or to the plain image."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..updates.problem import StepInfo


class AbstractSafeguard(eqx.Module):
    """Decides about an extrapolated point before (`admits`) and after (`rejects`) the map is evaluated there.

    A safeguard with `watches_energy = False` is given no energy, which saves compiling and computing it.
    """

    watches_energy: ClassVar[bool] = True
    watches_slope: ClassVar[bool] = False

    def admits(
        self, candidate: Float[Array, " n"], image: Float[Array, " n"], point: Float[Array, " n"]
    ) -> Bool[Array, ""]:
        """Whether to evaluate the map at `candidate` rather than at the plain image of `point`."""
        return jnp.array(True)

    @abc.abstractmethod
    def rejects(self, info: StepInfo, accepted: StepInfo) -> Bool[Array, ""]:
        """Whether an evaluated point is rejected, given the `info` of the last accepted point."""


class Energy(AbstractSafeguard):
    """Accepts a point only if its energy is not above that of the last accepted point: `E(z) <= E(z_accepted)`.

    The energy then never rises, as under plain even-odd iteration.

    Args:
        slack: how far the energy may rise, in units of its rounding error.
    Source: the idea is that of [peng2018].
    """

    slack: float = 4.0

    def rejects(self, info, accepted):
        rounding = jnp.finfo(info.energy.dtype).eps * accepted.energy_size
        return info.energy > accepted.energy + self.slack * rounding


class EnergyEstimate(AbstractSafeguard):
    """Accepts a point only if an estimate of the change of the energy, with its error added, is not positive.

    The map gives the derivative of the energy, so no energy is evaluated. Two trapezoidal rules, along the activations
    and along the states, give the estimate and its error; see `Slope.largest_rise_from`. Where the map does not give
    the derivative this is `Energy()`: in a `CHN`, where a plain step may raise the energy, and where the layers that
    are not eliminated have more than one colour.
    Source: derived in this project.
    """

    watches_slope: ClassVar[bool] = True

    def rejects(self, info, accepted):
        if info.slope is None or accepted.slope is None:
            return Energy().rejects(info, accepted)
        return info.slope.largest_rise_from(accepted.slope) > 0


class Residual(AbstractSafeguard):
    """Accepts a point only if its residual is at most `growth` times that of the last accepted point."""

    watches_energy: ClassVar[bool] = False
    growth: float = 2.0

    def rejects(self, info, accepted):
        return info.residual > self.growth * accepted.residual


class PaperSafeguard(AbstractSafeguard):
    """The papers' rule: goes to a candidate `c` only if `|f(z) - c| / |c| < |f(z) - z| / |z|`, and accepts every point.

    For reproduction. Where the largest eigenvalue is positive and close to 1, it excludes the candidates that would
    help most. Source: [goemaere2024], Appendix C and code.
    """

    watches_energy: ClassVar[bool] = False

    def admits(self, candidate, image, point):
        relative = lambda a, b: jnp.linalg.norm(image - a) / jnp.linalg.norm(b)
        return relative(candidate, candidate) < relative(point, point)

    def rejects(self, info, accepted):
        return jnp.array(False)


class Unguarded(AbstractSafeguard):
    """Accepts every point."""

    watches_energy: ClassVar[bool] = False

    def rejects(self, info, accepted):
        return jnp.array(False)
