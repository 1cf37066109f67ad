"""A small network trained in memory, without a folder."""

import dataclasses
import time
from collections.abc import Callable

import jax
import jax.random as jr

from ..data import Dataset
from ..networks.network import AbstractNetwork
from . import Evaluation, TrainState, evaluate, fit, recipes
from .run import make_trainer


@dataclasses.dataclass(frozen=True)
class Trained:
    """One of the four models after training, and what became of it on the test digits."""

    network: AbstractNetwork
    evaluation: Evaluation
    losses: tuple[float, ...]  # of each epoch
    seconds: float  # compilation, training and evaluation

    def summary(self) -> dict[str, float | int]:
        """The row of the papers' table; spread over the test digits, seconds of this machine."""
        numbers = self.evaluation.summary()
        accuracy = numbers.pop("accuracy")
        return {**numbers, "test_accuracy": accuracy, "seconds": self.seconds}


def train_small(
    recipe: recipes.Recipe, dataset: Dataset, watch: Callable[[], None] = lambda: None
) -> Trained:
    """Train by `recipe` and evaluate on the test part; `watch` is called after each epoch."""
    began, losses = time.perf_counter(), []
    trainer = make_trainer(recipe, len(dataset.train_labels))
    key = jr.fold_in(jr.key(recipe.seed), 1)
    state = TrainState.begin(recipe.network(), trainer.optimiser, key=key)
    for after, metrics in fit(
        trainer, state, dataset.train_images, dataset.train_labels, epochs=recipe.epochs
    ):
        state = after
        losses.append(metrics.loss)
        watch()
    images, labels = dataset.test_images, dataset.test_labels
    found = evaluate(state.model, images, labels, method=recipe.method, steps=recipe.forward_steps)
    jax.block_until_ready(found.trace)
    return Trained(state.model, found, tuple(losses), time.perf_counter() - began)
