"""Feed-forward models trained by backpropagation in the training loop of the library, to compare with."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from hopfax.training import AbstractTask


class AbstractBackpropagation(AbstractTask):
    """The mean loss of a batch by autodiff alone."""

    names: eqx.AbstractClassVar[tuple[str, ...]]
    """Of the means over an epoch, "loss" first."""

    @abc.abstractmethod
    def numbers(self, model: Any, examples: Any) -> tuple[Array, ...]:
        """The mean loss of a batch, and the other means of `names`."""

    def check(self, model, images, labels) -> None:
        return

    def draw(self, model, images, labels, key) -> Any:
        return images, labels

    def gradient(self, model, examples, step):
        def loss(model):
            numbers = self.numbers(model, examples)
            return numbers[0], numbers

        return eqx.filter_grad(loss, has_aux=True)(model)

    def zero(self) -> tuple[Array, ...]:
        return tuple(jnp.zeros(()) for _ in self.names)

    def means(self, sums, batches: int, batch_size: int) -> dict[str, float]:
        return {name: float(value) / batches for name, value in zip(self.names, sums, strict=True)}

    def saturation(self, model, images, labels) -> dict[str, float]:
        return {}

    def explain_failure(self, before, after, examples, step) -> str:
        return "the loss"
