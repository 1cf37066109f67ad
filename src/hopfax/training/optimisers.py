"""Optimisers and learning rates as plain values, which can be compared, hashed and written to a file."""

import abc
import dataclasses
import functools as ft
import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from .madam import madam


class AbstractDecay(abc.ABC):
    """How a learning rate falls in training."""

    @abc.abstractmethod
    def factor(self, step: Int[Array, ""] | int, fraction: float, epochs: int, batches: int) -> Array:
        """The rate at `step` relative to the first, falling to `fraction` over `epochs` epochs of `batches` steps."""


@dataclasses.dataclass(frozen=True)
class LinearDecay(AbstractDecay):
    """`1 - (1 - fraction) e / (epochs - 1)` in epoch `e = step // batches`: constant within an epoch."""

    def factor(self, step, fraction, epochs, batches):
        progress = (step // batches) / max(epochs - 1, 1)
        return 1 - (1 - fraction) * jnp.clip(progress, 0, 1)


@dataclasses.dataclass(frozen=True)
class CosineDecay(AbstractDecay):
    """`fraction + (1 - fraction) (1 + cos π p) / 2`, where `p` is the progress after `warmup` epochs of linear rise."""

    warmup: float = 0.0

    def __post_init__(self):
        if not 0 <= self.warmup < math.inf:
            raise ValueError(f"`CosineDecay(warmup={self.warmup})` must be 0 or more epochs.")

    def factor(self, step, fraction, epochs, batches):
        rise = self.warmup * batches
        progress = jnp.clip((step - rise) / max(epochs * batches - rise, 1), 0, 1)
        decayed = fraction + (1 - fraction) * 0.5 * (1 + jnp.cos(jnp.pi * progress))
        return decayed * jnp.clip((step + 1) / max(rise, 1), 0, 1)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The learning rate at each step: `rate` times the factor of `decay`."""

    rate: float
    fraction: float
    epochs: int
    batches: int
    decay: AbstractDecay = LinearDecay()

    def __call__(self, step: Int[Array, ""] | int) -> Float[Array, ""]:
        return self.rate * self.decay.factor(step, self.fraction, self.epochs, self.batches)


class AbstractOptimiser(abc.ABC):
    """An optimiser without its learning rate."""

    @abc.abstractmethod
    def transformation(self, schedule: Schedule) -> optax.GradientTransformation:
        """The optax optimiser. Equal settings give the same object, so a second run does not compile again."""


@dataclasses.dataclass(frozen=True)
class Madam(AbstractOptimiser):
    """`hopfax.training.madam.madam` with this largest normalised gradient; learning rates are in nats per step."""

    gradient_bound: float = 10.0

    def __post_init__(self):
        if not self.gradient_bound > 0:
            raise ValueError(f"`Madam(gradient_bound={self.gradient_bound})` must be positive.")

    def transformation(self, schedule):
        return _madam(schedule, self.gradient_bound)


@dataclasses.dataclass(frozen=True)
class Adam(AbstractOptimiser):
    """Adam with decoupled weight decay of matrices, not of biases: optax's `adamw`."""

    weight_decay: float = 0.0

    def __post_init__(self):
        if not self.weight_decay >= 0:
            raise ValueError(f"`Adam(weight_decay={self.weight_decay})` must be 0 or more.")

    def transformation(self, schedule):
        return _adam(schedule, self.weight_decay)


@ft.cache
def _madam(rate: Schedule, gradient_bound: float) -> optax.GradientTransformation:
    return madam(rate, gradient_bound=gradient_bound)


@ft.cache
def _adam(rate: Schedule, weight_decay: float) -> optax.GradientTransformation:
    rated: Any = rate  # optax's own type of schedules is narrower than what it takes
    return optax.adamw(rated, weight_decay=weight_decay, mask=matrices)


def matrices(weights: PyTree) -> PyTree:
    """Which arrays have two axes or more: those whose weights decay."""
    return jax.tree.map(lambda w: jnp.ndim(w) > 1, weights)
