"""Likelihoods: how the visible layer of a network stands for an image."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Scalar

from ..costs import AbstractCost, BinaryCrossEntropy, SquaredError
from ..lagrangians import AbstractElementwise, Identity, Sigmoid
from .costs import VISIBLE as VISIBLE


class AbstractLikelihood(eqx.Module):
    """`p(x | z)` of an image with pixels in [0, 1], and the state at which the visible layer is held at it.

    `-log p(x | z) = cost / scale + constant`, with `cost` read off the visible activation.
    """

    @property
    @abc.abstractmethod
    def lagrangian(self) -> AbstractElementwise:
        """Of the visible layer."""

    @property
    @abc.abstractmethod
    def cost(self) -> AbstractCost:
        """What the visible layer is nudged with."""

    @property
    @abc.abstractmethod
    def scale(self) -> float:
        """Of the cost, in units per nat."""

    @property
    def steepness(self) -> float:
        """What the cost is divided by in nudged phases: its largest curvature, which makes `beta` one of order 1."""
        return 1.0

    @abc.abstractmethod
    def constant(self, pixels: int) -> float:
        """What `-log p(x | z)` has besides the cost, in nats."""

    @abc.abstractmethod
    def state(self, image: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """The visible state whose activation stands for `image`."""

    @abc.abstractmethod
    def mean(self, activation: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        """`E[x | z]`, the image that a visible activation stands for."""

    def negative(self, activation: Float[Array, " pixels"], image: Float[Array, " pixels"]) -> Scalar:
        """`-log p(x | z)` in nats."""
        cost = self.cost({}, {VISIBLE: activation}, image)
        return cost / self.scale + self.constant(image.size)


class Gaussian(AbstractLikelihood):
    """`N(x; g, variance)` around the visible activation `g`: `cost = ½ |g - x|²`, a density in nats.

    Sigmoid neurons are held at the activation `x`, clipped to `[margin, 1 - margin]`, so that an image which is
    decoded without error is an equilibrium of encoder and decoder alike.
    Args: `slope` and `centre` of the visible `Sigmoid`, by default the papers' `sigmoid(4 s - 2)`.
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

    def constant(self, pixels: int) -> float:
        return 0.5 * pixels * math.log(2 * math.pi * self.variance)

    def state(self, image: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        clipped = jnp.clip(image, self.margin, 1 - self.margin)
        return self.centre + (jnp.log(clipped) - jnp.log1p(-clipped)) / self.slope

    def mean(self, activation: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return activation


class Bernoulli(AbstractLikelihood):
    """Pixels 1 with probability `sigmoid(slope g)`, `g` the activation of identity neurons: `cost` in nats.

    They are held at `2 x - 1`, which they decode to as `sigmoid(± slope)`; so a larger slope makes the
    decoder's own equilibria agree with the images.
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

    def constant(self, pixels: int) -> float:
        return 0.0

    def state(self, image: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return 2 * image - 1

    def mean(self, activation: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return jax.nn.sigmoid(self.slope * activation)


class OffsetBernoulli(AbstractLikelihood):
    """Pixels 1 with probability `sigmoid(slope g - logit)`, `g` of identity neurons: `cost` in nats.

    ClampedLagrangian at `shown x`: dark pixels are silent, so that on images that are dark for the most part a step moves the
    hidden neurons far less than with `Bernoulli`. At `shown = 2 logit / slope` an image decoded to
    `sigmoid(± logit)` is an equilibrium of encoder and decoder alike; more drives the encoder harder.
    """

    slope: float = 16.0
    shown: float = 2.5
    logit: float = 5.0

    def __check_init__(self):
        for name in ("slope", "shown", "logit"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`OffsetBernoulli({name}={getattr(self, name)})` must be positive.")

    @property
    def lagrangian(self) -> AbstractElementwise:
        return Identity()

    @property
    def cost(self) -> AbstractCost:
        return BinaryCrossEntropy(VISIBLE, self.slope, self.logit)

    @property
    def steepness(self) -> float:
        return 0.25 * self.slope**2

    @property
    def scale(self) -> float:
        return 1.0

    def constant(self, pixels: int) -> float:
        return 0.0

    def state(self, image: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return self.shown * image

    def mean(self, activation: Float[Array, " pixels"]) -> Float[Array, " pixels"]:
        return jax.nn.sigmoid(self.slope * activation - self.logit)
