"""Synapses between all neurons of two layers, and biases."""

import functools as ft
import math
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Scalar

from ..._internal.checks import as_floating
from .base import AbstractSynapse, Shape, require_shape
from .conditioned import Constant, Field


class Dense(AbstractSynapse):
    """`E = -g_aᵀ W g_b`: every neuron of one layer with every neuron of another, both ways with one matrix.

    Args: `layers` the two names; `weight` of shape (neurons of a, neurons of b).
    Source: [goemaere2024], eq. 3, one block of `W`.
    """

    layers: tuple[str, str] = eqx.field(static=True)
    weight: Float[Array, "a b"] = eqx.field(converter=ft.partial(floating, "weight"))
    affine: ClassVar[bool] = True
    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = True

    def __check_init__(self):
        if (
            isinstance(self.layers, str)
            or len(self.layers) != 2
            or not all(isinstance(n, str) for n in self.layers)
        ):
            raise ValueError(
                f"`Dense(layers={self.layers!r})` joins two layers, got {len(self.layers)}; name two."
            )

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        a, b = (g.reshape(-1) for g in activations)
        return -jnp.sum((a @ self.weight.astype(a.dtype)) * b)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g, other) = activations if name == self.layers[0] else activations[::-1]
        weight = self.weight.T if name == self.layers[0] else self.weight
        return (other.reshape(-1) @ weight.astype(g.dtype)).reshape(g.shape)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        expected = tuple(math.prod(shapes[name]) for name in self.layers)
        require_shape(self.layers, "weight", self.weight, expected)

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        a, b = self.layers
        if a in known and b in known:
            return Constant(self(known[a], known[b]))
        g, weight = (known[a], self.weight) if a in known else (known[b], self.weight.T)
        return Field(b if a in known else a, g.reshape(-1) @ weight.astype(g.dtype))


class Bias(AbstractSynapse):
    """`E = -bᵀ g`. Args: `layer` the name; `bias` of the layer's shape. Source: [goemaere2024], eq. 3."""

    layer: str = eqx.field(static=True)
    bias: Float[Array, "..."] = eqx.field(converter=ft.partial(floating, "bias"))
    affine: ClassVar[bool] = True
    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = True

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        (g,) = activations
        return -jnp.sum(self.bias.astype(g.dtype) * g)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g,) = activations
        return self.bias.astype(g.dtype)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        require_shape(self.layers, "bias", self.bias, shapes[self.layer])

    def condition(self, known: Mapping[str, Array]) -> AbstractSynapse:
        return Constant(self(known[self.layer]))
