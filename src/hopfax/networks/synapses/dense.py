"""Synapses between all neurons of two layers, and biases."""

import math
from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Inexact, Scalar

from ..._internal.checks import as_floating
from .base import AbstractSynapse, Constant, Field, Shape, require_pair, require_shape


class Dense(AbstractSynapse):
    """`E = -g_aᵀ W g_b`: joins every neuron of layer a to every neuron of layer b, in both directions by one matrix.

    Args:
        layers: the names of a and b.
        weight: `W`, of shape (neurons of a, neurons of b); layers of any shape are flattened.
    Raises: `ValueError` unless there are two names, and for a weight that is not a floating-point array.
    Source: [goemaere2024], eq. 3, one block of `W`.
    """

    layers: tuple[str, str] = eqx.field(static=True)
    weight: Float[Array, "a b"]
    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = True

    def __init__(self, layers: tuple[str, str], weight: ArrayLike):
        self.layers, self.weight = layers, as_floating("weight", weight)

    def __check_init__(self):
        require_pair("Dense", self.layers)

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        a, b = (g.reshape(-1) for g in activations)
        return -jnp.sum((a @ self.weight.astype(a.dtype)) * b)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g, other) = activations if name == self.layers[0] else activations[::-1]
        weight = self.weight.T if name == self.layers[0] else self.weight
        return (other.reshape(-1) @ weight.astype(g.dtype)).reshape(g.shape)

    def affine_in(self, name: str) -> bool:
        return True

    def check(self, shapes: Mapping[str, Shape]) -> None:
        expected = tuple(math.prod(shapes[name]) for name in self.layers)
        require_shape(self.layers, "weight", self.weight, expected)

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        a, b = self.layers
        if a in known and b in known:
            return Constant(self(known[a], known[b]))
        g, weight = (known[a], self.weight) if a in known else (known[b], self.weight.T)
        return Field(b if a in known else a, g.reshape(-1) @ weight.astype(g.dtype))


class Bias(AbstractSynapse):
    """`E = -bᵀ g`: a constant drive of one layer.

    Args:
        layer: the name.
        bias: `b`, in the shape of the layer, or of its last axes: one for each channel of (height, width, channels).
    Raises: `ValueError` for a bias that is not a floating-point array.
    Source: [goemaere2024], eq. 3.
    """

    layer: str = eqx.field(static=True)
    bias: Float[Array, "..."]
    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = True

    def __init__(self, layer: str, bias: ArrayLike):
        self.layer, self.bias = layer, as_floating("bias", bias)

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        (g,) = activations
        return -jnp.sum(self.drive(self.layer, g) * g)

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        (g,) = activations
        return jnp.broadcast_to(self.bias.astype(g.dtype), g.shape)

    def affine_in(self, name: str) -> bool:
        return True

    def check(self, shapes: Mapping[str, Shape]) -> None:
        shape = shapes[self.layer]
        own = shape[len(shape) - self.bias.ndim :] if 0 < self.bias.ndim < len(shape) else shape
        require_shape(self.layers, "bias", self.bias, own)

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        return Constant(self(known[self.layer]))
