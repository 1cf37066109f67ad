"""Layers of neurons, and clamps of some of their neurons."""

import functools as ft
import math
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
from jaxtyping import Array, Bool, Inexact

from .._internal.checks import in_native_order, is_integer
from ..lagrangians import AbstractLagrangian
from ..lagrangians.base import require_lagrangian


class Layer(eqx.Module):
    """A layer of neurons.

    Args:
        shape: how many neurons, or the shape in which they are arranged.
        lagrangian: its gradient is the activation.
    Raises: `ValueError` unless the shape is of positive whole numbers and `lagrangian` is a Lagrangian that fits it.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    lagrangian: AbstractLagrangian

    def __init__(self, shape: int | tuple[int, ...], lagrangian: AbstractLagrangian):
        sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
        self.shape = tuple(int(n) if is_integer(n) else n for n in sizes)
        self.lagrangian = lagrangian

    def __check_init__(self):
        if not self.shape or any(not is_integer(n) or n < 1 for n in self.shape):
            raise ValueError(
                f"`Layer(shape={self.shape})` must be of positive whole numbers; say how many neurons."
            )
        require_lagrangian("Layer(lagrangian=...)", self.lagrangian)
        self.lagrangian.check_shape(self.shape)

    @property
    def size(self) -> int:
        """The number of neurons."""
        return math.prod(self.shape)

    def clamped(self, name: str, clamp: "PartialClamp") -> "Layer":
        """The layer `name` with some neurons clamped. Raises: `ValueError` where they are not independent."""
        self.divided_by(name, clamp.mask)
        return Layer(self.shape, self.lagrangian.clamped(clamp.state, clamp.mask))

    def divided_by(self, name: str, mask: Bool[Array, "..."]) -> Bool[Array, ""]:
        """Whether a mask clamps a part of neurons that belong together, see `AbstractLagrangian.divided_by`.

        Raises: `ValueError` naming the layer `name` where no mask is possible.
        """
        try:
            return self.lagrangian.divided_by(mask, len(self.shape))
        except ValueError as error:
            raise ValueError(f"layer {name!r} cannot be clamped in part: {error}") from error


class PartialClamp(eqx.Module):
    """A clamp of some neurons of a layer; the others are free.

    Args:
        state: at which the neurons are clamped, in the shape of the layer, or with one more leading axis for a batch.
            Its entries outside the mask have no effect.
        mask: true at the neurons that are clamped, of the same shape as `state` or shared by the batch.
    Raises: `ValueError` for a tensor of another library.
    """

    state: Inexact[Array, "..."] = eqx.field(converter=ft.partial(in_native_order, "PartialClamp.state"))
    mask: Bool[Array, "..."] = eqx.field(converter=ft.partial(in_native_order, "PartialClamp.mask"))


Clamp = Mapping[str, Array | PartialClamp]


def split_clamp(clamp: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, PartialClamp]]:
    """The layers that are clamped as a whole, with their states, and those that are clamped in part."""
    partial = {name: value for name, value in clamp.items() if isinstance(value, PartialClamp)}
    whole = {name: value for name, value in clamp.items() if name not in partial}
    return whole, partial
