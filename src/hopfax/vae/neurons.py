"""The neurons of the latents."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Scalar

from ..lagrangians import AbstractElementwise


class Linear(AbstractElementwise):
    """`l(s) = gain s² / 2`, `g = gain s`, `l* = g² / (2 gain)`: linear neurons of stiffness `1 / gain`.

    A latent feeds back on the hidden neurons by `gain |w|²` times their slope, which must stay below 1. At unit
    scale of `g`, a small gain leaves room for weights `w` large enough to use the hidden neurons' curvature.
    Args: `gain` > 0. Raises: `ValueError` for another.
    """

    gain: float = 1.0
    analytic: ClassVar[bool] = True

    def __check_init__(self):
        if not self.gain > 0:
            raise ValueError(f"`Linear(gain={self.gain})` must be positive; try 0.1.")

    def elements(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return 0.5 * self.gain * jnp.square(state)

    def activation(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.gain * state

    def conjugate(self, state: Inexact[Array, "..."]) -> Scalar:
        return jnp.sum(self.elements(state))

    def state(self, activation: Float[Array, "..."]) -> Float[Array, "..."]:
        """Where they are held to show `activation`."""
        return activation / self.gain
