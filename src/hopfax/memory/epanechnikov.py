"""The log-sum-ReLU energy: patterns act within a radius, and where they overlap there are new minima."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ..lagrangians.base import require_positive


class Epanechnikov(eqx.Module):
    """`E(x) = -log(Σ_i max(1 - beta |x - x_i|² / 2, 0)) / beta`, from the Epanechnikov kernel in place of the Gaussian.

    Only patterns within the radius `sqrt(2 / beta)` have weight, and all of these have the same weight. So the update
    is their mean, which never raises the energy. A pattern alone within the radius is an exact minimum whatever the
    dimension. The mean of several patterns is one too, if these and no others lie within the radius of it: a minimum
    that is no stored pattern. Where no pattern is within the radius the energy is infinite, and the update goes to the
    nearest pattern.

    It is a separation of `Memory` with `Euclidean()` similarity. It is no Lagrangian of a memory layer, since the
    weights depend on distances and not on their differences alone, so there is no `network()`.

    Args:
        beta: positive scalar, the inverse temperature.
    Raises: `ValueError` for another `beta`.
    Source: [hoover2025], without the constant in the logarithm.
    """

    beta: ArrayLike = 1.0
    margin: ClassVar[float | None] = 1.0

    def __check_init__(self):
        require_positive("Epanechnikov.beta", self.beta)

    def energy(
        self, patterns: Float[Array, "patterns dimension"], state: Float[Array, " dimension"]
    ) -> Float[Array, ""]:
        """`E` of one state; infinite where no pattern is within the radius."""
        distances = jnp.sum(jnp.square(state[None, :] - patterns), axis=1)
        return -jnp.log(jnp.sum(jax.nn.relu(1 - self.beta * distances / 2))) / self.beta
