"""What is left of a synapse whose other end is clamped."""

import math
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Scalar

from .base import AbstractSynapse, Shape, require_shape


class Field(AbstractSynapse):
    """`E = -hᵀ g`: what clamped layers exert on a free one. Made by `condition`, one value per example."""

    layers: tuple[str, ...] = eqx.field(static=True)
    field: Inexact[Array, "..."]
    affine: ClassVar[bool] = True
    clamped: ClassVar[bool] = True
    vanishes: ClassVar[bool] = True

    def __init__(self, layer: str, field: Inexact[Array, "..."]):
        self.layers, self.field = (layer,), field

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        (g,) = activations
        return -jnp.sum(self.field.astype(g.dtype) * g.reshape(-1))

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g,) = activations
        return self.field.astype(g.dtype).reshape(g.shape)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        require_shape(self.layers, "field", self.field, (math.prod(shapes[self.layers[0]]),))

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        return Constant(self(known[self.layers[0]]))


class Constant(AbstractSynapse):
    """An energy that no free layer changes: what clamped layers hold among themselves."""

    energy: Scalar
    layers: ClassVar[tuple[str, ...]] = ()
    affine: ClassVar[bool] = True
    clamped: ClassVar[bool] = True
    vanishes: ClassVar[bool] = False

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        return self.energy

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        raise ValueError(f"a constant energy drives no layer, and so not {name!r}.")

    def check(self, shapes: Mapping[str, Shape]) -> None:
        return

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        return self
