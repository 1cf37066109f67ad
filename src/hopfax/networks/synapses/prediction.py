"""The synapse of predictive coding: one layer predicts the next."""

from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Inexact, Scalar

from ..._internal.checks import as_floating, require_kind
from ...lagrangians import AbstractLagrangian, Identity
from ...lagrangians.base import require_lagrangian
from .base import AbstractSynapse, Shape
from .dense import Bias
from .interaction import Interaction
from .transform import AbstractTransform


class Prediction(AbstractSynapse):
    """`E = ½ |f(g_a)|² - ⟨g_b, f(g_a)⟩` with `f(g_a) = F(φ(g_a)) + b`: layer a predicts layer b.

    With the energy `½ |g_b|²` of an identity layer b it is half of the squared error, `½ |g_b - f(g_a)|²`. The drive
    of b is the prediction `f(g_a)`. The drive of a is the error, sent back: `(∂f/∂g_a)ᵀ (g_b - f(g_a))`.

    Args:
        transform: `F`, a synapse of a and b such as `SharedDense((a, b), weight)` or `Conv((a, b), kernel)`.
        bias: `b`, in the shape of layer b, or of its last axes.
        activation: the Lagrangian whose activation is `φ`; `Identity()` for none.
    Raises: `ValueError` for a transform or an activation of another kind, or a bias that is not a floating-point array.
    Source: [whittington2017].
    """

    transform: AbstractTransform
    bias: Float[Array, "..."]
    activation: AbstractLagrangian
    clamped: ClassVar[bool] = False
    vanishes: ClassVar[bool] = False

    def __init__(
        self, transform: AbstractTransform, bias: ArrayLike, activation: AbstractLagrangian = Identity()
    ):
        self.transform, self.bias, self.activation = transform, as_floating("bias", bias), activation

    def __check_init__(self):
        require_kind("Prediction.transform", self.transform, AbstractTransform, "SharedDense(layers, weight)")
        require_lagrangian("Prediction(activation=...)", self.activation)

    @property
    def layers(self) -> tuple[str, str]:
        return self.transform.layers

    def predict(self, activation: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """`f(g_a)`, in the shape of b."""
        prediction = self.transform.transform(self.activation.activation(activation))
        return prediction + jnp.broadcast_to(self.bias.astype(prediction.dtype), prediction.shape)

    def __call__(self, *activations: Inexact[Array, "..."]) -> Scalar:
        a, b = activations
        prediction = self.predict(a)
        return jnp.sum(prediction * (0.5 * prediction - b))

    def drive(self, name: str, *activations: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        a, b = activations
        if name == self.layers[1]:
            return self.predict(a)
        prediction, transposed = jax.vjp(self.predict, a)
        return transposed(b - prediction)[0]

    def affine_in(self, name: str) -> bool:
        return name == self.layers[1]

    def check(self, shapes: Mapping[str, Shape]) -> None:
        a, b = self.layers
        self.activation.check_shape(shapes[a])
        self.transform.check(shapes)
        Bias(b, self.bias).check(shapes)

    def condition(self, known: Mapping[str, Array], shapes: Mapping[str, Shape]) -> AbstractSynapse:
        return Interaction(layers=self.layers, function=self, affine=(self.layers[1],)).condition(
            known, shapes
        )
