"""A fixed-point problem: a conditioned model and an update, for any solver."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from .._internal.tree import accumulation_dtype, rms, subtract
from ..networks.network import AbstractNetwork, States
from .base import AbstractUpdate


class StepInfo(eqx.Module):
    """What one evaluation of the map says about the point `z` at which it was made.

    Attributes:
        residual: `rms(f(z) - z)`.
        scale: `rms(f(z))`.
        energy: the energy at `z`, 0 where it was not asked for.
        energy_size: the sum of the magnitudes of the energy's terms, which is its rounding error in units of eps.
        accepted: whether the solver accepts the point.
        restarted: whether the solver emptied its history for another reason than a rejection.
        descends: whether the energy of `f(z)` is known not to be above that of `z`.
    """

    residual: Float[Array, ""]
    scale: Float[Array, ""]
    energy: Float[Array, ""]
    energy_size: Float[Array, ""]
    accepted: Bool[Array, ""] = eqx.field(default_factory=lambda: jnp.array(True))
    restarted: Bool[Array, ""] = eqx.field(default_factory=lambda: jnp.array(False))
    descends: bool = eqx.field(static=True, default=True)


class AbstractMap(eqx.Module):
    """A map `f` whose fixed point is sought: what the solver loop needs of a problem."""

    @abc.abstractmethod
    def evaluate(self, states: States, energy: bool = True) -> tuple[States, StepInfo]:
        """`f(z)` and what the evaluation says about `z`, with the energy if `energy` is true."""


class Problem(AbstractMap):
    """Find the unknown states `z` with `z = f(z)`, for one example.

    Args:
        model: a network that has only free layers (`AbstractNetwork.condition`).
        update: the map `f`.
    """

    model: AbstractNetwork
    update: AbstractUpdate

    def image(self, states: States) -> States:
        """`f(z)`."""
        return self.update.image(self.model, states)

    def evaluate(self, states: States, energy: bool = True) -> tuple[States, StepInfo]:
        """`f(z)`, with the residual and if asked for the energy at `z`.

        The `StepInfo` is not differentiated, since it only steers the solver.
        """
        image = self.image(states)
        residual, scale = rms(subtract(image, states)), rms(image)
        energies = self._energy(states) if energy else (jnp.zeros_like(residual),) * 2
        info = StepInfo(residual, scale, *energies, descends=self.update.descends(self.model))
        return image, jax.lax.stop_gradient(info)

    def _energy(self, states: States) -> tuple[Scalar, Scalar]:
        """Energy and size, in at least float32; zero for complex states, whose energies cannot be compared."""
        if any(jnp.iscomplexobj(x) for x in states.values()):
            return jnp.zeros(()), jnp.zeros(())
        energy, size = self.update.energy(self.model, states)
        return energy.astype(accumulation_dtype(energy.dtype)), size.astype(accumulation_dtype(size.dtype))

    def eliminated(self) -> "Problem":
        """The problem of the layers that are left when a colour is minimised exactly; its Jacobian is `K D`."""
        return Problem(self.model, self.update.eliminated(self.model))

    def reconstruct(self, states: States) -> States:
        """The states of all free layers, from the unknown ones."""
        return self.update.reconstruct(self.model, states)

    def point(self, states: States) -> tuple[States, States]:
        """States and activations of all free layers, from the unknown states."""
        everything = self.reconstruct(states)
        return everything, self.model.activations(everything)

    def restrict(self, states: States) -> States:
        """The unknown states among `states`. Raises: `ValueError` where one is missing."""
        unknowns = self.update.unknowns(self.model)
        if missing := [name for name in unknowns if name not in states]:
            raise ValueError(f"`states` lacks {missing}; give a state for each of {list(unknowns)}.")
        return {name: states[name] for name in unknowns}
