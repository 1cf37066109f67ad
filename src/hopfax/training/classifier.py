"""Classifiers: a recipe trained on a data set, in a folder or in memory."""

import dataclasses
import functools as ft
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.random as jr

from .._internal.checks import require_kind
from .._internal.files import as_path
from ..data import Dataset, validation_split
from ..networks.files import save_model
from ..networks.network import AbstractNetwork
from .chunk import Chunk
from .classification import Classification
from .ep_checks import check_nudge
from .evaluation import Evaluation, evaluate
from .job import RESULT, AbstractJob, data_settings, read_result, without_data_settings
from .loop import fit
from .recipes import Recipe, from_config
from .trainer import Trainer, TrainState, batches_per_epoch


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationMetrics:
    """Means over the training examples of one epoch, each seen by the network as it was at that time.

    Attributes:
        epoch: from 1. step: batches since the beginning.
        loss: mean cost of an example. train_accuracy: in [0, 1].
        mean_steps: updates until an example converged. did_not_converge: examples that did not.
        seconds: spent on training, without compilation and evaluation.
        validation_accuracy: in [0, 1], after the epoch, if examples are held out.
        gradient_flagged: examples whose backward or nudged solves missed their tolerance.
        gradient_cosine: of the gradient by equilibrium propagation with the implicit one, on one batch after the epoch,
            of the parameter array in which it is smallest.
    """

    epoch: int
    step: int
    loss: float
    train_accuracy: float
    mean_steps: float
    did_not_converge: int
    seconds: float
    validation_accuracy: float | None = None
    gradient_flagged: int | None = None
    gradient_cosine: float | None = None


@dataclasses.dataclass(frozen=True)
class ClassifierJob(AbstractJob):
    """A network trained by a recipe on a data set.

    Raises: `ValueError` where the layers or the batch size of the recipe do not fit the data.
    """

    recipe: Recipe
    dataset: Dataset
    metrics_type: ClassVar[type] = ClassificationMetrics

    def __post_init__(self):
        require_kind("recipe", self.recipe, Recipe, "hopfax.training.recipes.goemaere2023()")
        require_kind("dataset", self.dataset, Dataset, "hopfax.data.digits()")
        pixels, classes = self.dataset.train_images.shape[1], self.dataset.classes
        layers = self.recipe.layers
        size = math.prod(layers[0]) if isinstance(layers[0], tuple) else layers[0]
        if isinstance(layers[0], tuple) and len(layers[0]) > 1:
            self._check_shape(layers[0])
        if (size, layers[-1]) != (pixels, classes):
            raise ValueError(
                f"layers {list(layers)} do not fit {self.dataset.name}: they must begin with {pixels} pixels and "
                f"end with {classes} classes."
            )

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        image_shape = self.dataset.image_shape
        if shape not in (image_shape, (*image_shape, 1)):
            raise ValueError(
                f"`Recipe(layers=...)` begins with the shape {shape}, and an image of {self.dataset.name} has "
                f"{image_shape}; take `conv_layers(dataset.image_shape, dataset.classes)`."
            )

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    @ft.cached_property
    def data(self) -> Dataset:
        """The training examples without those held out, which take the place of the test examples."""
        held_out = self.recipe.validation
        return validation_split(self.dataset, held_out) if held_out else self.dataset

    def config(self) -> dict[str, Any]:
        return {**self.recipe.config(), **data_settings(self.dataset)}

    def trainer(self) -> Trainer:
        return make_trainer(self.recipe, len(self.data.train_labels), self.data.image_shape)

    def begin(self, trainer: Trainer) -> TrainState:
        key = jr.fold_in(jr.key(self.recipe.seed), 1)
        return TrainState.begin(self.recipe.network(), trainer, key=key)

    def check_start(self, trainer: Trainer, model: AbstractNetwork) -> None:
        check_nudge(trainer, model, self.data)

    def epoch_metrics(self, chunk: Chunk, model: AbstractNetwork) -> ClassificationMetrics:
        metrics = ClassificationMetrics(
            epoch=chunk.epoch,
            step=int(chunk.state.step),
            seconds=chunk.seconds,
            gradient_cosine=check_nudge(chunk.trainer, model, self.data),
            **chunk.means(),
        )
        if not self.recipe.validation:
            return metrics
        return dataclasses.replace(metrics, validation_accuracy=self.evaluate(model, self.data).accuracy)

    def save(self, model: AbstractNetwork, folder: Path) -> None:
        save_model(model, folder)

    def measure(self, model: AbstractNetwork, metrics: Sequence[ClassificationMetrics]) -> dict[str, Any]:
        """The network on the test examples, the metrics of each epoch, and the settings that name the run."""
        summary = self.evaluate(model, self.dataset).summary()
        return {
            "test_accuracy": summary.pop("accuracy"),
            **summary,
            "seconds_per_epoch": [row.seconds for row in metrics],
            "epochs": self.recipe.epochs,
            "seed": self.recipe.seed,
            "model": self.recipe.model,
            "layers": self.recipe.config()["layers"],
            "data": self.dataset.name,
            "metrics": [dataclasses.asdict(row) for row in metrics],
        }

    def evaluate(self, model: AbstractNetwork, data: Dataset) -> Evaluation:
        """Accuracy and convergence on the test examples of `data`, as in the papers."""
        images, labels, steps = data.test_images, data.test_labels, self.recipe.forward_steps
        return evaluate(model, images, labels, method=self.recipe.method, steps=steps, cost=self.recipe.cost)


def read_recipe(folder: str | Path) -> tuple[Recipe, str]:
    """The recipe of the finished run in `folder`, and the name of its data set.

    Raises: `ValueError` for a folder without a finished run of a classifier.
    """
    path = as_path("folder", folder) / RESULT
    config = read_result(path)["config"]
    settings = without_data_settings(config)
    try:
        return from_config(settings), str(config["data"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no run of a classifier: {error}") from error


def make_trainer(recipe: Recipe, examples: int, image_shape: tuple[int, ...] | None = None) -> Trainer:
    """The trainer of a recipe, for `examples` images of this shape. Raises: `ValueError` if they fill no batch."""
    batches = batches_per_epoch(examples, recipe.batch_size)
    task = Classification(
        recipe.method,
        recipe.cost,
        smoothing=recipe.smoothing,
        augmentation=recipe.augmentation,
        penalty=recipe.penalty,
        image_shape=image_shape,
    )
    return Trainer(recipe.transformation(batches), task, recipe.batch_size, recipe.shuffle)


@dataclasses.dataclass(frozen=True)
class TrainedClassifier:
    """A network after training, evaluated on the test examples."""

    network: AbstractNetwork
    evaluation: Evaluation
    losses: tuple[float, ...]  # of each epoch
    seconds: float  # compilation, training and evaluation
    training_seconds: float  # of these, without compilation and evaluation

    def summary(self) -> dict[str, float | int]:
        """The row of the papers' table, with the spread over the test examples, and the seconds on this machine."""
        numbers = self.evaluation.summary()
        seconds = {"seconds": self.seconds, "training_seconds": self.training_seconds}
        return {"test_accuracy": numbers.pop("accuracy"), **numbers, **seconds}


def train_in_memory(
    recipe: Recipe, dataset: Dataset, callback: Callable[[], None] = lambda: None
) -> TrainedClassifier:
    """Train by `recipe` without a folder, and evaluate; `callback` is called after each epoch."""
    began, losses, training, job = time.perf_counter(), [], 0.0, ClassifierJob(recipe, dataset)
    trainer = job.trainer()
    state = job.begin(trainer)
    images, labels = job.data.train_images, job.data.train_labels
    for after, means in fit(trainer, state, images, labels, epochs=recipe.epochs):
        state = after
        losses.append(means["loss"])
        training += means["seconds"]
        callback()
    result = job.evaluate(state.model, dataset)
    jax.block_until_ready(result.trace)
    return TrainedClassifier(state.model, result, tuple(losses), time.perf_counter() - began, training)
