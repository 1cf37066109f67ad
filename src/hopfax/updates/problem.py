"""A fixed-point problem: a conditioned model and an update, for any solver."""

import abc
import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from .._internal.tree import accumulation_dtype, dot, rms, subtract
from ..networks.network import AbstractNetwork, States
from .base import AbstractUpdate


class Slope(eqx.Module):
    """The derivative of the energy of a HAM at a point, in the activations `g` and in the states `s` of the unknowns.

    It is known from the map: `∂E/∂g = s - f(s)`. Eliminated layers are at their minimum, so their own change does not
    count (envelope theorem).

    Attributes:
        states, activations: `s` and `g`.
        by_state, by_activation: `∂E/∂s` and `∂E/∂g`.
    """

    states: States
    activations: States
    by_state: States
    by_activation: States

    def largest_rise_from(self, other: "Slope") -> Scalar:
        """An estimate of `E(self) - E(other)`, and the error of the estimate added to it.

        The trapezoidal rule along the line between the activations, and that along the line between the states, have
        errors of third order in the step. The difference of the two is taken for the error of the larger.
        """
        mean = lambda a, b: jax.tree.map(lambda x, y: (x + y) / 2, a, b)
        along_activations = dot(
            mean(self.by_activation, other.by_activation), subtract(self.activations, other.activations)
        )
        along_states = dot(mean(self.by_state, other.by_state), subtract(self.states, other.states))
        error = jnp.abs(along_activations - along_states)
        return jnp.maximum(along_activations, along_states) + error


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
        slope: the slope of the energy at `z`, where the solver asked for it instead of the energy.
    """

    residual: Float[Array, ""]
    scale: Float[Array, ""]
    energy: Float[Array, ""]
    energy_size: Float[Array, ""]
    accepted: Bool[Array, ""] = eqx.field(default_factory=lambda: jnp.array(True))
    restarted: Bool[Array, ""] = eqx.field(default_factory=lambda: jnp.array(False))
    descends: bool = eqx.field(static=True, default=True)
    slope: Slope | None = None


class AbstractMap(eqx.Module):
    """A map `f` whose fixed point is sought: what the solver loop needs of a problem."""

    @abc.abstractmethod
    def evaluate(self, states: States, energy: bool = True, slope: bool = False) -> tuple[States, StepInfo]:
        """`f(z)` and what the evaluation says about `z`.

        Args:
            states: `z`.
            energy: whether the energy at `z` is wanted.
            slope: whether the slope of the energy is wanted, where `gives_slope`.
        """

    @property
    def gives_slope(self) -> bool:
        """Whether an evaluation gives the slope of the energy without further products."""
        return False


class Problem(AbstractMap):
    """Find the unknown states `z` with `z = f(z)`, for one example.

    Args:
        model: a network that has only free layers (`AbstractNetwork.condition`).
        update: the map `f`.
        deviations: whether the states are small deviations from an equilibrium. The relative residual is then the
            largest of those of the layers, rather than that of all neurons together: a layer of small states is solved
            as accurately as one of large states. And the energy is judged by its slope in every HAM, because the change
            of the energy is below its rounding error.
    """

    model: AbstractNetwork
    update: AbstractUpdate
    deviations: bool = eqx.field(static=True, default=False)

    def image(self, states: States) -> States:
        """`f(z)`."""
        return self.update.image(self.model, states)

    def evaluate(self, states: States, energy: bool = True, slope: bool = False) -> tuple[States, StepInfo]:
        """`f(z)`, with the residual and, if asked for, the energy or its slope at `z`.

        The `StepInfo` is not differentiated, since it only steers the solver.
        """
        image = self.image(states)
        scale = rms(image)
        residual = (
            scale * self._largest_ratio(image, states) if self.deviations else rms(subtract(image, states))
        )
        energies = self._energy(states) if energy else (jnp.zeros_like(residual),) * 2
        slopes = self._slope(states) if slope else None
        info = StepInfo(residual, scale, *energies, descends=self.update.descends(self.model), slope=slopes)
        return image, jax.lax.stop_gradient(info)

    def _largest_ratio(self, image: States, states: States) -> Scalar:
        """The largest relative residual of a layer. A nudge is part of the state, but not of the drive."""
        layers = self.model.layers
        scales = {name: rms(layers[name].lagrangian.state_at(image[name])) for name in states}
        ratios = [rms(image[n] - states[n]) / jnp.where(scale > 0, scale, 1) for n, scale in scales.items()]
        return ft.reduce(jnp.maximum, ratios)

    @property
    def gives_slope(self) -> bool:
        small = self.deviations and self.model.descends_in_activations
        return small or self.update.gives_slope(self.model)

    def _slope(self, states: States) -> Slope | None:
        """The slope of the energy; None where the image does not give it, or for complex states."""
        if not self.gives_slope or any(jnp.iscomplexobj(x) for x in states.values()):
            return None
        # `image` computes the same response, and XLA shares it.
        by_activation = subtract(states, self.update.eliminated(self.model).image(self.model, states))
        activations, by_state = jax.jvp(self.model.activations, (states,), (by_activation,))
        return Slope(states, activations, by_state, by_activation)

    def _energy(self, states: States) -> tuple[Scalar, Scalar]:
        """Energy and size, in at least float32; zero for complex states, whose energies cannot be compared."""
        if any(jnp.iscomplexobj(x) for x in states.values()):
            return jnp.zeros(()), jnp.zeros(())
        energy, size = self.update.energy(self.model, states)
        return energy.astype(accumulation_dtype(energy.dtype)), size.astype(accumulation_dtype(size.dtype))

    def eliminated(self) -> "Problem":
        """The problem of the layers that are left when a colour is minimised exactly; its Jacobian is `K D`."""
        return Problem(self.model, self.update.eliminated(self.model), self.deviations)

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
