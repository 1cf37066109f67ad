"""The neurons of a continuous Hopfield network as those of a HAM: `ρ ∘ v⁻¹` in the coordinate `u = s / ρ'(s)`."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Inexact, Scalar

from ...lagrangians import AbstractElementwise, AbstractLagrangian
from .local_minimum import derivative, local_minimum, second_derivative

LARGEST_STATE, SPACING = 30.0, 1e-3  # of the grid of states on which the bijection is checked
LARGEST_DRIVE = 1e4  # which |v| must reach before ρ is flat to rounding


class CHNLagrangian(AbstractElementwise):
    """`g = ρ(s)` with `s = v⁻¹(u)` and `v(s) = s / ρ'(s)`: the neurons of a CHN as functions of the drive `u`.

    `L(u) = max_s u ρ(s) - ½ s²` and `L*(g) = ½ s²`, which is the layer energy of a CHN. The inverse is found by
    safeguarded Newton steps and is differentiable.

    Args:
        neurons: their activation is `ρ`.
    Raises: `ValueError` where `v` is not a bijection, naming an interval of states on which it falls or ends.
    Source: [goemaere2024], Theorem 3 and eq. 16.
    """

    neurons: AbstractLagrangian
    holomorphic: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    def __check_init__(self):
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self.neurons)):
            return
        if defect := _find_defect(self.neurons):
            low, high, reason = defect
            raise ValueError(
                f"`CHNLagrangian(neurons={self.neurons})` needs s / ρ'(s) to be a bijection, but for states from "
                f"{low:.3g} to {high:.3g} {reason}; use a flatter activation, or relax the `CHN` itself."
            )

    def pointwise(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        s = self.chn_state(state)
        return state * self.neurons.activation(s) - 0.5 * jnp.square(s)

    def activation(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.neurons.activation(self.chn_state(state))

    def energy(self, state: Inexact[Array, "..."]) -> Scalar:
        return 0.5 * jnp.sum(jnp.square(self.chn_state(state)))

    def chn_state(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`s = v⁻¹(u)`."""
        return local_minimum(self.neurons, state)

    def ham_state(self, chn_state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`u = v(s)`."""
        return chn_state / derivative(self.neurons, chn_state)


def _find_defect(neurons: AbstractLagrangian) -> tuple[float, float, str] | None:
    """An interval of states on which `v` does not increase or is not defined, and why; None if there is none."""
    with jax.ensure_compile_time_eval():
        grid = jnp.arange(-LARGEST_STATE, LARGEST_STATE, SPACING)
        first, second = (np.asarray(f(neurons, grid), float) for f in (derivative, second_derivative))
    states = np.asarray(grid, float)
    flat = first <= 1e-6 * first.max()
    falling = ~flat & (first - states * second < 0)
    if falling.any():
        return *_first_run(states, falling), "it falls"
    # Where ρ is flat only to rounding, v already exceeds any drive that matters.
    v = np.abs(states) / np.where(flat, 1, first)
    for side in (states < 0, states > 0):
        if (flat & side).any() and v[side & ~flat].max(initial=0) < LARGEST_DRIVE:
            return *_first_run(states, flat & side), "ρ is flat"
    return None


def _first_run(states: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """The ends of the first run of states in the mask."""
    start = int(np.argmax(mask))
    length = int(np.argmin(np.append(mask[start:], False)))
    return float(states[start]), float(states[start + length - 1])
