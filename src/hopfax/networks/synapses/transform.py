"""Synapses that drive layer b by a function of layer a, and a by the transpose of it: `E = -⟨g_b, F(g_a)⟩`."""

import abc
from collections.abc import Mapping, Set
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Inexact, Scalar

from ..._internal.checks import as_floating
from .base import AbstractSynapse, Constant, Field, Shape, require_pair, require_shape
from .interaction import Interaction


class AbstractTransform(AbstractSynapse):
    """`E = -⟨g_b, F(g_a)⟩` for a function `F` with `F(0) = 0`.

    The drive of b is `F(g_a)`, and that of a is `(∂F/∂g_a)ᵀ g_b`. So `E` is affine in `g_b`, and in `g_a` where `F` is
    linear. Where every element of `F` is convex and `g_b` is nonnegative, `E` is concave in `g_a`.
    """

    layers: eqx.AbstractVar[tuple[str, str]]
    """The names of a and b."""

    linear: eqx.AbstractVar[bool]
    """Whether `F` is linear."""

    convex: eqx.AbstractVar[bool]
    """Whether every element of `F` is convex."""

    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = True

    def __check_init__(self):
        require_pair(type(self).__name__, self.layers)

    @abc.abstractmethod
    def transform(self, activation: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`F(g_a)`, in the shape of b."""

    @abc.abstractmethod
    def output_shape(self, shape: Shape) -> Shape:
        """The shape of `F(g_a)` for `g_a` of `shape`. Raises: `ValueError` where the parameters do not fit it."""

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        a, b = activations
        return -jnp.sum(b * self.transform(a))

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        a, b = activations
        return self.transform(a) if name == self.layers[1] else self.transpose(a, b)

    def transpose(self, a: Inexact[Array, "..."], b: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`(∂F/∂g_a)ᵀ g_b`."""
        if self.linear:
            return jax.linear_transpose(self.transform, a)(b)[0]
        return jax.vjp(self.transform, a)[1](b)[0]

    def affine_in(self, name: str) -> bool:
        return self.linear or name == self.layers[1]

    def concave_in(self, name: str, nonnegative: Set[str]) -> bool:
        return self.affine_in(name) or (self.convex and self.layers[1] in nonnegative)

    def check(self, shapes: Mapping[str, Shape]) -> None:
        a, b = self.layers
        expected = self.output_shape(shapes[a])
        if shapes[b] != expected:
            raise ValueError(
                f"`{type(self).__name__}` makes {expected} of layer {a!r} of shape {shapes[a]}, but layer {b!r} has "
                f"shape {shapes[b]}; change that layer."
            )

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        a, b = self.layers
        if a in known and b in known:
            return Constant(self(known[a], known[b]))
        if a in known:
            return Field(b, self.transform(known[a]).reshape(-1))
        if not self.linear:
            return Interaction(layers=(a,), function=_OutputClamped(self, known[b]), clamped=True)
        zeros = jnp.zeros(shapes[a], known[b].dtype)
        return Field(a, self.transpose(zeros, known[b]).reshape(-1))


class _OutputClamped(eqx.Module):
    """The energy of a synapse as a function of `g_a`, where `g_b` is known."""

    synapse: AbstractTransform
    known: Inexact[Array, "..."]

    def __call__(self, activation: Array) -> Scalar:
        return self.synapse(activation, self.known)


class SharedDense(AbstractTransform):
    """`E = -Σ_t g_a[t]ᵀ W g_b[t]`: one matrix for all positions `t`, which are all axes but the last.

    Between a layer of tokens (tokens, dim) and a layer (tokens, memories) of ReLU or softmax neurons it is the memory
    of a transformer block, one for each token.

    Args:
        layers: the names of a and b.
        weight: `W`, of shape (last axis of a, last axis of b).
    Raises: `ValueError` unless there are two names, and for a weight that is not a floating-point array.
    Source: [hoover2023], eq. 5.
    """

    layers: tuple[str, str] = eqx.field(static=True)
    weight: Float[Array, "a b"]
    linear: ClassVar[bool] = True
    convex: ClassVar[bool] = True

    def __init__(self, layers: tuple[str, str], weight: ArrayLike):
        self.layers, self.weight = layers, as_floating("weight", weight)

    def transform(self, activation: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return activation @ self.weight.astype(activation.dtype)

    def output_shape(self, shape: Shape) -> Shape:
        require_shape(self.layers, "weight", self.weight, (shape[-1], self.weight.shape[1]))
        return (*shape[:-1], self.weight.shape[1])


class OneToOne(AbstractTransform):
    """`E = -Σ_i w_i g_a[i] g_b[i]`: joins neurons of two layers of one shape in pairs, such as in a skip connection.

    Args:
        layers: the names of a and b.
        weight: `w`, one for all neurons, or in the shape of the last axes of the layers.
    Raises: `ValueError` unless there are two names, and for a weight that is not a floating-point array.
    """

    layers: tuple[str, str] = eqx.field(static=True)
    weight: Float[Array, "..."]
    linear: ClassVar[bool] = True
    convex: ClassVar[bool] = True

    def __init__(self, layers: tuple[str, str], weight: ArrayLike):
        self.layers, self.weight = layers, as_floating("weight", weight)

    def transform(self, activation: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        return jnp.broadcast_to(self.weight.astype(activation.dtype), activation.shape) * activation

    def output_shape(self, shape: Shape) -> Shape:
        require_shape(self.layers, "weight", self.weight, shape[len(shape) - self.weight.ndim :])
        return shape
