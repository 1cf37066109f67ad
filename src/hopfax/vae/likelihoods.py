"""Likelihoods `p(x | z)`: which neurons the visible layer has, and how they represent an image."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Scalar

from ..costs import AbstractCost, BinaryCrossEntropy, SquaredError
from ..lagrangians import AbstractElementwise, Identity, Sigmoid

VISIBLE = "visible"  # the name of the layer that represents the image


class AbstractLikelihood(eqx.Module):
    """`p(x | z)` of an image with pixels in [0, 1], as a function of the activation of the visible layer.

    `-log p(x | z) = cost / scale + constant`. Equilibrium propagation nudges the visible layer by `cost`.
    """

    @property
    @abc.abstractmethod
    def slope(self) -> float:
        """The slope of the sigmoid that takes the state of the visible layer to the mean image."""

    @property
    @abc.abstractmethod
    def lagrangian(self) -> AbstractElementwise:
        """The Lagrangian of the visible layer."""

    @property
    @abc.abstractmethod
    def cost(self) -> AbstractCost:
        """The cost of the visible activation, with the image as its target."""

    @property
    @abc.abstractmethod
    def scale(self) -> float:
        """The value of the cost that corresponds to one nat."""

    @property
    @abc.abstractmethod
    def max_curvature(self) -> float:
        """The largest second derivative of the cost, by which nudges are divided, so that `beta` is of order 1."""

    @abc.abstractmethod
    def constant(self, pixels: int) -> float:
        """The term of `-log p(x | z)` that does not depend on the activation, in nats."""

    @abc.abstractmethod
    def state(self, image: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """The state at which the visible layer is clamped to encode `image`."""

    @abc.abstractmethod
    def mean(self, activation: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """`E[x | z]`, the mean image that an activation of the visible layer decodes to."""

    @abc.abstractmethod
    def decoded_state(self, mean: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """The visible state that decodes to the `mean` image, with pixels in (0, 1).

        Raises: `ValueError` where a start at the mean image is not supported, see `AbstractVAE.start_at_mean`.
        """

    def negative_log_likelihood(
        self, activation: Float[Array, " pixels"], image: Float[Array, " pixels"]
    ) -> Scalar:
        """`-log p(x | z)` in nats."""
        cost = self.cost({}, {VISIBLE: activation}, image)
        return cost / self.scale + self.constant(image.size)

    def known_cost(
        self,
        activation: Float[Array, " pixels"],
        image: Float[Array, " pixels"],
        known: Bool[Array, " pixels"],
    ) -> Scalar:
        """`-log p(x | z)` of the `known` pixels in nats, without its constant.

        The pixels are independent given `z`, so the unknown ones integrate to 1. `image` is finite everywhere.
        """
        pixel = lambda activation, value: self.cost({}, {VISIBLE: activation}, value)
        costs = jax.vmap(pixel)(activation, image)
        return jnp.sum(jnp.where(known, costs, 0)) / self.scale


class Gaussian(AbstractLikelihood):
    """`N(x; g, variance)` around the visible activation `g`: `cost = ½ |g - x|²`, a density in nats.

    The sigmoid neurons are clamped where their activation is `x`, clipped to `[margin, 1 - margin]`. An image that is
    decoded without error is therefore an equilibrium of the encoder and of the decoder.

    Args:
        variance: of each pixel, positive.
        slope: of the visible `Sigmoid`.
        centre: of the visible `Sigmoid`. The defaults of both are the papers' `sigmoid(4 s - 2)`.
        margin: in (0, 0.5).
    Raises: `ValueError` for a variance or margin outside its range.
    """

    variance: float = 0.05
    slope: float = 4.0
    centre: float = 0.5
    margin: float = 0.02

    def __check_init__(self):
        if not self.variance > 0:
            raise ValueError(f"`Gaussian(variance={self.variance})` must be positive; try 0.05.")
        if not 0 < self.margin < 0.5:
            raise ValueError(f"`Gaussian(margin={self.margin})` must lie in (0, 0.5); try 0.02.")

    @property
    def lagrangian(self) -> AbstractElementwise:
        return Sigmoid(self.slope, self.centre)

    @property
    def cost(self) -> AbstractCost:
        return SquaredError(VISIBLE)

    @property
    def scale(self) -> float:
        return self.variance

    @property
    def max_curvature(self) -> float:
        return 1.0

    def constant(self, pixels: int) -> float:
        return 0.5 * pixels * math.log(2 * math.pi * self.variance)

    def state(self, image: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return self.centre + _logits(jnp.clip(image, self.margin, 1 - self.margin)) / self.slope

    def mean(self, activation: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return activation

    def decoded_state(self, mean: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        raise _no_start_at_mean(self)


class Bernoulli(AbstractLikelihood):
    """Pixels that are 1 with probability `sigmoid(slope g)`, `g` the activation of identity neurons; `cost` in nats.

    The visible layer is clamped at `2 x - 1`, which decodes to `sigmoid(± slope)`. The larger the slope, the closer
    the equilibria of the decoder are to the images. `max_curvature` is 1, so `beta` is a nudge of the cost itself.

    Args: `slope`, positive. Raises: `ValueError` for another.
    """

    slope: float = 4.0

    def __check_init__(self):
        if not self.slope > 0:
            raise ValueError(f"`Bernoulli(slope={self.slope})` must be positive; try 4.")

    @property
    def lagrangian(self) -> AbstractElementwise:
        return Identity()

    @property
    def cost(self) -> AbstractCost:
        return BinaryCrossEntropy(VISIBLE, self.slope)

    @property
    def scale(self) -> float:
        return 1.0

    @property
    def max_curvature(self) -> float:
        return 1.0

    def constant(self, pixels: int) -> float:
        return 0.0

    def state(self, image: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return 2 * image - 1

    def mean(self, activation: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return jax.nn.sigmoid(self.slope * activation)

    def decoded_state(self, mean: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        raise _no_start_at_mean(self)


class OffsetBernoulli(AbstractLikelihood):
    """Pixels that are 1 with probability `sigmoid(slope g - offset)`, `g` of identity neurons; `cost` in nats.

    The visible layer is clamped at `image_scale * x`. Dark pixels are zero there, so on mostly dark images a step of
    the optimiser changes the drive of the hidden neurons far less than with `Bernoulli`. At
    `image_scale = 2 offset / slope`, an image decoded to `sigmoid(± offset)` is an equilibrium of the encoder and of
    the decoder; a larger `image_scale` drives the encoder harder.

    Args: `slope`, `image_scale` and `offset`, all positive. Raises: `ValueError` for others.
    """

    slope: float = 16.0
    image_scale: float = 2.5
    offset: float = 5.0

    def __check_init__(self):
        for name in ("slope", "image_scale", "offset"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`OffsetBernoulli({name}={getattr(self, name)})` must be positive.")

    @property
    def lagrangian(self) -> AbstractElementwise:
        return Identity()

    @property
    def cost(self) -> AbstractCost:
        return BinaryCrossEntropy(VISIBLE, self.slope, self.offset)

    @property
    def scale(self) -> float:
        return 1.0

    @property
    def max_curvature(self) -> float:
        return 0.25 * self.slope**2

    def constant(self, pixels: int) -> float:
        return 0.0

    def state(self, image: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return self.image_scale * image

    def mean(self, activation: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return jax.nn.sigmoid(self.slope * activation - self.offset)

    def decoded_state(self, mean: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return (_logits(mean) + self.offset) / self.slope


def _logits(probabilities: Array) -> Array:
    return jnp.log(probabilities) - jnp.log1p(-probabilities)


def _no_start_at_mean(likelihood: AbstractLikelihood) -> ValueError:
    kind = type(likelihood).__name__
    return ValueError(f"`start_at_mean` needs an `OffsetBernoulli` likelihood, got `{kind}`.")
