"""Recipes: everything that a training run needs to be done again, and those of the papers."""

import dataclasses
import functools as ft
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int

from .gradients.base import AbstractGradient
from .ham import HAM, chain
from .methods import Method, paper_method
from .optim import madam

DEEPER_FROM = 4  # layers; the 2024 paper halves the learning rate of its deeper networks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A chain of layers, how it is relaxed and differentiated, and how it is trained with Madam.

    Attributes:
        layers: neurons in each layer, input first.
        model: HAM, HAM-DEQ, HAM-EO or HAM-EO-DEQ, as in the papers' tables.
        learning_rate: nats per step, in the first epoch.
        final_learning_rate_fraction: what is left of it in the last epoch, in (0, 1]; linear per epoch.
        gradient_bound: of Madam, largest normalised gradient.
        bias_std: of the normal distribution of the first biases; with 0 they never move.
        forward_steps, backward_steps: the most updates in a relaxation, and those of recurrent backprop.
        shuffle: whether each epoch has its own order of the examples.
        validation: training examples held out, and evaluated after each epoch.
        gradient: in place of the papers' recurrent backprop, if not None.

    Raises:
        ValueError: naming the value that cannot be.
    """

    layers: tuple[int, ...]
    model: str = "HAM-EO-DEQ"
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.01
    final_learning_rate_fraction: float = 1.0
    gradient_bound: float = 10.0
    bias_std: float = 0.0
    forward_steps: int = 40
    backward_steps: int = 8
    seed: int = 0
    shuffle: bool = True
    validation: int = 0
    gradient: AbstractGradient | None = None

    def __post_init__(self):
        for name, least in (("epochs", 1), ("batch_size", 1), ("forward_steps", 3), ("backward_steps", 1)):
            self._require(getattr(self, name) >= least, name, f"a whole number, at least {least}")
        self._require(len(self.layers) > 1 and min(self.layers) > 0, "layers", "at least two positive sizes")
        self._require(self.learning_rate > 0, "learning_rate", "positive")
        self._require(0 < self.final_learning_rate_fraction <= 1, "final_learning_rate_fraction", "in (0, 1]")
        self._require(self.gradient_bound > 0, "gradient_bound", "positive")
        self._require(self.bias_std >= 0, "bias_std", "0 or more")
        self._require(0 <= self.seed < 2**32, "seed", "in [0, 2^32)")
        self._require(self.validation >= 0, "validation", "0 or more")
        paper_method(self.model)

    def _require(self, fine: bool, name: str, rule: str) -> None:
        if not fine:
            raise ValueError(f"`Recipe({name}={getattr(self, name)})` must be {rule}.")

    @property
    def method(self) -> Method:
        """How the network is relaxed and differentiated."""
        method = paper_method(self.model, self.forward_steps, self.backward_steps)
        return method if self.gradient is None else dataclasses.replace(method, gradient=self.gradient)

    def network(self) -> HAM:
        """The untrained network of this seed."""
        return chain(self.layers, key=jr.fold_in(jr.key(self.seed), 0), bias_std=self.bias_std)

    def optimiser(self, batches: int) -> optax.GradientTransformation:
        """Madam on the schedule of this recipe, for epochs of so many batches."""
        return _optimiser(self.schedule(batches), self.gradient_bound)

    def schedule(self, batches: int) -> "Decay":
        """The learning rate at each step, for epochs of so many batches."""
        return Decay(self.learning_rate, self.final_learning_rate_fraction, self.epochs, batches)

    def config(self) -> dict[str, Any]:
        """The recipe in types that JSON has."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        gradient = None if self.gradient is None else repr(self.gradient)
        return {**fields, "layers": list(self.layers), "gradient": gradient}


@dataclasses.dataclass(frozen=True)
class Decay:
    """`rate (1 - (1 - fraction) e / (epochs - 1))` in epoch `e = step // batches`: constant in it."""

    rate: float
    fraction: float
    epochs: int
    batches: int

    def __call__(self, step: Int[Array, ""] | int) -> Float[Array, ""]:
        progress = (step // self.batches) / max(self.epochs - 1, 1)
        return self.rate * (1 - (1 - self.fraction) * jnp.clip(progress, 0, 1))


@ft.cache
def _optimiser(rate: Decay, gradient_bound: float) -> optax.GradientTransformation:
    """The same object for the same settings, so that a second run in one process does not compile again."""
    return madam(rate, gradient_bound=gradient_bound)


def v1(layers: Sequence[int] = (784, 512, 10), model: str = "HAM-EO-DEQ") -> Recipe:
    """The recipe of the 2023 workshop paper: constant rate 0.01, no biases.

    One departure: examples are shuffled. The paper's code takes them in the order of the EMNIST files, which MNIST's
    files do not have; in MNIST's own order (`shuffle=False`) accuracy is about half a point lower.
    Source: [goemaere2023], section 4, and code.
    """
    return Recipe(layers=tuple(layers), model=model)


def v2(layers: Sequence[int] = (784, 1990, 10), model: str = "HAM-EO-DEQ") -> Recipe:
    """The recipe of the 2024 paper: rate 0.01, halved beyond three layers, falling to a tenth; small biases.

    Relaxation steps grow with depth: 40, 80, 120 forward and 8, 16, 24 backward for 3, 5, 7 layers.
    Source: [goemaere2024], section 4, and code.
    """
    depth = max(len(layers) // 2, 1)
    return Recipe(
        layers=tuple(layers),
        model=model,
        learning_rate=0.01 if len(layers) < DEEPER_FROM else 0.005,
        final_learning_rate_fraction=0.1,
        gradient_bound=3.0,
        bias_std=0.01,
        forward_steps=40 * depth,
        backward_steps=8 * depth,
    )
