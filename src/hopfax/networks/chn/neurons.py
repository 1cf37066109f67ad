"""The neurons of a continuous Hopfield network as those of a HAM: `ρ ∘ v⁻¹` in the coordinate `u = s / ρ'(s)`."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Inexact, Scalar

from ...lagrangians import AbstractElementwise, AbstractLagrangian
from .local_minimum import curvature, local_minimum, slope

FARTHEST, SPACING = 30.0, 1e-3  # of the states at which the bijection is looked at
SURJECTIVE = 1e4  # |v| that has to be reached before ρ is flat to rounding


class Continuous(AbstractElementwise):
    """`g = ρ(s)` with `s = v⁻¹(u)`, `v(s) = s / ρ'(s)`, and `L*(g) = ½ s²`: a CHN's layer energy, in the drive `u`.

    `L(u) = max_s u ρ(s) - ½ s²`, by safeguarded Newton, differentiable.
    Args: `neurons` whose activation is `ρ`.
    Raises: `ValueError` where `v` is not a bijection, naming an interval of states where it falls or ends.
    Source: [goemaere2024], Theorem 3 and eq. 16.
    """

    neurons: AbstractLagrangian
    holomorphic: ClassVar[bool] = False
    linear_gain: ClassVar[float | None] = None

    def __check_init__(self):
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(self.neurons)):
            return
        if found := _fault(self.neurons):
            low, high, why = found
            raise ValueError(
                f"`Continuous(neurons={self.neurons})` needs s / ρ'(s) to be a bijection, but for states from "
                f"{low:.3g} to {high:.3g} {why}; use a flatter activation, or relax the `CHN` itself."
            )

    def pointwise(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        own = self.own_state(state)
        return state * self.neurons.activation(own) - 0.5 * jnp.square(own)

    def activation(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.neurons.activation(self.own_state(state))

    def energy(self, state: Inexact[Array, "..."]) -> Scalar:
        return 0.5 * jnp.sum(jnp.square(self.own_state(state)))

    def own_state(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`s = v⁻¹(u)`."""
        return local_minimum(self.neurons, state)

    def drive(self, own_state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`u = v(s)`."""
        return own_state / slope(self.neurons, own_state)


def _fault(neurons: AbstractLagrangian) -> tuple[float, float, str] | None:
    """States between which `v` is not increasing or not there, if there are any."""
    with jax.ensure_compile_time_eval():
        grid = jnp.arange(-FARTHEST, FARTHEST, SPACING)
        first, second = (np.asarray(f(neurons, grid), float) for f in (slope, curvature))
    states = np.asarray(grid, float)
    flat = first <= 1e-6 * first.max()
    falling = ~flat & (first - states * second < 0)
    if falling.any():
        return *_first_run(states, falling), "it falls"
    # Where ρ is flat only to rounding, v has grown past any drive that matters before.
    v = np.abs(states) / np.where(flat, 1, first)
    for side in (states < 0, states > 0):
        if (flat & side).any() and v[side & ~flat].max(initial=0) < SURJECTIVE:
            return *_first_run(states, flat & side), "ρ is flat"
    return None


def _first_run(states: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    start = int(np.argmax(where))
    length = int(np.argmin(np.append(where[start:], False)))
    return float(states[start]), float(states[start + length - 1])
