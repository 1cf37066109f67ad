"""A fixed-point problem: a conditioned model and an update, ready for any solver."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from .._internal.tree import accumulation_dtype, rms, subtract
from ..networks.network import AbstractNetwork, States
from .base import AbstractUpdate


class StepInfo(eqx.Module):
    """What one evaluation of the map says of the point at which it was made.

    A solver may reject the point (`accepted=False`) or drop its history (`restarted=True`); the loop counts both.
    """

    residual: Float[Array, ""]  # rms of f(z) - z
    scale: Float[Array, ""]  # rms of f(z)
    energy: Float[Array, ""]  # 0 where nobody asked for it
    # The sum of the magnitudes of the energy's parts: its rounding error in units of eps.
    energy_size: Float[Array, ""]
    accepted: Bool[Array, ""] = eqx.field(default_factory=lambda: jnp.array(True))
    restarted: Bool[Array, ""] = eqx.field(default_factory=lambda: jnp.array(False))


class AbstractMap(eqx.Module):
    """All that the solver loop asks of what it iterates."""

    @abc.abstractmethod
    def evaluate(self, states: States, energy: bool = True) -> tuple[States, StepInfo]:
        """The image of a point, and what evaluating it there says, with the energy unless it is not asked for."""


class Problem(AbstractMap):
    """Find kept states `z` with `z = f(z)`; one example.

    `model` has only free layers left (`AbstractNetwork.condition`).
    """

    model: AbstractNetwork
    update: AbstractUpdate

    def image(self, states: States) -> States:
        """`f(z)`."""
        return self.update.image(self.model, states)

    def evaluate(self, states: States, energy: bool = True) -> tuple[States, StepInfo]:
        """`f(z)` with the residual, and if asked for the energy, at `z`: all out of one sweep.

        The account of the point is not differentiated: it only steers the solver.
        """
        image = self.image(states)
        residual, scale = rms(subtract(image, states)), rms(image)
        watched = self._energy(states) if energy else (jnp.zeros_like(residual),) * 2
        return image, jax.lax.stop_gradient(StepInfo(residual, scale, *watched))

    def _energy(self, states: States) -> tuple[Scalar, Scalar]:
        """Energy and size, in at least float32; of complex states none, for they have no order to guard."""
        if any(jnp.iscomplexobj(x) for x in states.values()):
            return jnp.zeros(()), jnp.zeros(())
        energy, size = self.update.energy(self.model, states)
        return energy.astype(accumulation_dtype(energy.dtype)), size.astype(accumulation_dtype(size.dtype))

    def reconstruct(self, states: States) -> States:
        """States of all free layers."""
        return self.update.reconstruct(self.model, states)

    def restrict(self, states: States) -> States:
        """The kept layers' part of `states`. Raises: `ValueError` where it has none of one."""
        kept = self.update.unknowns(self.model)
        if missing := [name for name in kept if name not in states]:
            raise ValueError(f"`states` has none for {missing}; give one for each of {list(kept)}.")
        return {name: states[name] for name in kept}
