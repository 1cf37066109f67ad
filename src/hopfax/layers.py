"""Layers of neurons, and what may be known about them before relaxing."""

import math
from collections.abc import Iterable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Inexact, Scalar

from ._checks import is_whole
from .lagrangians import AbstractElementwise, AbstractLagrangian
from .lagrangians.base import require_lagrangian


class Layer(eqx.Module):
    """A layer of neurons: how many (or of what shape), and the Lagrangian whose gradient is its activation."""

    shape: tuple[int, ...] = eqx.field(static=True)
    lagrangian: AbstractLagrangian

    def __init__(self, shape: int | tuple[int, ...], lagrangian: AbstractLagrangian):
        sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
        self.shape = tuple(int(n) if is_whole(n) else n for n in sizes)
        self.lagrangian = lagrangian

    def __check_init__(self):
        if not self.shape or any(not is_whole(n) or n < 1 for n in self.shape):
            raise ValueError(
                f"`Layer(shape={self.shape})` needs positive whole numbers; say how many neurons."
            )
        require_lagrangian("Layer(lagrangian=...)", self.lagrangian)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Known(eqx.Module):
    """A clamp of some neurons of a layer: `state` holds where `mask` is true, the rest relaxes.

    Both have the layer's shape, or one more leading axis for a batch (the mask may be shared by the batch).
    """

    state: Inexact[Array, "..."]
    mask: Bool[Array, "..."]


class Held(AbstractElementwise):
    """The Lagrangian of a layer of which some neurons are held at `known`.

    There it is the tangent `L(k) + ρ(k)(s - k)`, so the activation is `ρ(k)` whatever the state, and a partial
    clamp needs no special case in any update, solver or gradient.
    """

    lagrangian: AbstractElementwise
    known: Inexact[Array, "..."]
    mask: Bool[Array, "..."]
    analytic: ClassVar[bool] = False

    def elements(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        tangent = self.lagrangian.elements(self.known) + self.lagrangian.activation(self.known) * (
            state - self.known
        )
        return jnp.where(self.mask, tangent, self.lagrangian.elements(state))

    def activation(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return self.lagrangian.activation(self.hold(state))

    def conjugate(self, state: Inexact[Array, "..."]) -> Scalar:
        return self.lagrangian.conjugate(self.hold(state))

    def hold(self, state: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`state` with the known values in their places."""
        return jnp.where(self.mask, self.known, state)
