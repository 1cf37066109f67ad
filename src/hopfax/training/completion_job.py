"""Networks that complete images: a recipe, trained on a data set in a folder."""

import dataclasses
import functools as ft
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax.random as jr
import optax

from .._internal.checks import is_integer, require_integer, require_kind, require_number, require_seed
from .._internal.tree import size
from ..data import Dataset
from ..gradients import ConjugateGradient, EquilibriumPropagation, Implicit
from ..gradients.base import AbstractGradient
from ..method import Method
from ..networks import HAM, save_model
from ..networks.network import AbstractNetwork
from .chunk import Chunk
from .completion import MASKS, Completion
from .completion_evaluation import completion_table
from .initialisation import AbstractInitialisation, FromGaussian, FromMixture
from .job import AbstractJob, data_settings
from .masks import AbstractMasks, Block, Half, Mixture, ScatteredPixels
from .optimisers import AbstractDecay, AbstractOptimiser, Adam, CosineDecay, Schedule
from .recipes import SETTINGS
from .spectral_penalty import SpectralPenalty
from .trainer import Trainer, TrainState, batches_per_epoch

IMPLICIT = Implicit(
    ConjugateGradient(rtol=1e-2, max_products=50)
)  # its error is small beside the noise of a batch
BETA = 0.001
TASK = "completion"  # marks the settings of such a run
REGISTRY = SETTINGS.extended((ScatteredPixels, Block, Half, Mixture, FromGaussian, FromMixture))


def equilibrium_propagation(beta: float | None = None) -> EquilibriumPropagation:
    """Equilibrium propagation with a nudge that is below the stiffness of the Gaussian's softest directions."""
    return EquilibriumPropagation(BETA if beta is None else beta)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompletionRecipe:
    """A network that begins as a Gaussian of the training images or a mixture of Gaussians, and learns the rest.

    Attributes:
        layers: the number of pixels, and that of hidden neurons.
        initialisation: the untrained network.
        masks: what is missing in training.
        optimiser: without its learning rate.
        learning_rate: the largest.
        final_learning_rate_fraction: the last learning rate relative to the largest, in (0, 1].
        decay: how the learning rate falls.
        largest_gradient: norm to which larger gradients are scaled; near a saddle an image has a large one.
        rtol: largest relative residual of an equilibrium in training.
        max_steps: the most updates of a solve in training.
        gradient: how the cost at the equilibrium is differentiated.
        penalty: on the largest eigenvalue of the update at equilibrium, if not None.
        tested: how many test images are completed in the end.
    Raises: `ValueError` naming the value that is out of range.
    """

    layers: tuple[int, int] = (784, 512)
    initialisation: AbstractInitialisation = FromGaussian()
    masks: AbstractMasks = MASKS
    optimiser: AbstractOptimiser = Adam()
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-3
    final_learning_rate_fraction: float = 0.01
    decay: AbstractDecay = CosineDecay()
    largest_gradient: float = 5.0
    rtol: float = 1e-3
    max_steps: int = 100
    gradient: AbstractGradient = IMPLICIT
    penalty: SpectralPenalty | None = None
    seed: int = 0
    tested: int = 1000

    def __post_init__(self):
        for name in ("epochs", "batch_size", "max_steps", "tested"):
            require_integer(f"CompletionRecipe.{name}", getattr(self, name), 1)
        sizes = self.layers if isinstance(self.layers, tuple) else ()
        if len(sizes) != 2 or any(not is_integer(n) or n < 1 for n in sizes):
            raise ValueError(
                f"`CompletionRecipe(layers={self.layers!r})` must be two positive whole numbers, such as (784, 512): "
                "the pixels and the hidden neurons."
            )
        positive = lambda x: 0 < x < math.inf
        for name in ("learning_rate", "largest_gradient"):
            require_number(f"CompletionRecipe.{name}", getattr(self, name), positive, "positive and finite")
        fraction = self.final_learning_rate_fraction
        require_number(
            "CompletionRecipe.final_learning_rate_fraction", fraction, lambda x: 0 < x <= 1, "in (0, 1]"
        )
        require_number("CompletionRecipe.rtol", self.rtol, lambda x: 0 < x < 1, "in (0, 1)")
        require_seed("CompletionRecipe.seed", self.seed)
        initialisation = self.initialisation
        require_kind(
            "CompletionRecipe.initialisation", initialisation, AbstractInitialisation, "FromGaussian()"
        )
        initialisation.check(*sizes)
        require_kind("CompletionRecipe.masks", self.masks, AbstractMasks, "ScatteredPixels()")
        require_kind("CompletionRecipe.optimiser", self.optimiser, AbstractOptimiser, "Adam()")
        require_kind("CompletionRecipe.decay", self.decay, AbstractDecay, "CosineDecay()")
        require_kind("CompletionRecipe.gradient", self.gradient, AbstractGradient, "Implicit()")
        require_kind("CompletionRecipe.penalty", self.penalty, SpectralPenalty | None, "SpectralPenalty()")

    @property
    def method(self) -> Method:
        """How the network is relaxed and differentiated in training."""
        return Method(gradient=self.gradient, rtol=self.rtol, max_steps=self.max_steps)

    def network(self, dataset: Dataset) -> HAM:
        """The untrained network of this seed."""
        key = jr.fold_in(jr.key(self.seed), 0)
        return self.initialisation(dataset.train_images, self.layers[1], key=key)

    def schedule(self, batches: int) -> Schedule:
        """The learning rate at each step, for epochs of `batches` batches."""
        fraction = self.final_learning_rate_fraction
        return Schedule(self.learning_rate, fraction, self.epochs, batches, self.decay)

    def config(self) -> dict[str, Any]:
        """The recipe in types that JSON has; `completion_from_config` is the inverse."""
        fields = [field.name for field in dataclasses.fields(self)]
        return {"task": TASK, **{name: REGISTRY.to_dict(getattr(self, name)) for name in fields}}


def mixture_recipe(pixels: int = 784, components: int = 10, factors: int = 200) -> CompletionRecipe:
    """The recipe of a network that begins as a mixture of Gaussians, with so many factors in each.

    Raises: `ValueError` for numbers that are not positive, and more factors than pixels.
    """
    return CompletionRecipe(
        layers=(pixels, components * (1 + factors)),
        initialisation=FromMixture(components),
        learning_rate=3e-4,  # a larger one undoes at first what makes the mixture good
        decay=CosineDecay(warmup=0.05),
        # Where the update has an eigenvalue of .99, a state is a hundred times farther from equilibrium than its
        # residual says. With a looser tolerance training improves that state, and makes the equilibrium worse.
        rtol=1e-4,
        max_steps=200,
    )


@ft.cache
def _clipped(
    optimiser: AbstractOptimiser, schedule: Schedule, largest: float
) -> optax.GradientTransformation:
    """The optimiser behind a clip of the gradient; equal settings give the same object, and compile once."""
    return optax.chain(optax.clip_by_global_norm(largest), optimiser.transformation(schedule))


def completion_from_config(config: Mapping[str, Any]) -> CompletionRecipe:
    """The recipe of this `config`. Raises: `ValueError` for settings that are no recipe, or incomplete."""
    fields = {"task", *(field.name for field in dataclasses.fields(CompletionRecipe))}
    config = {"penalty": None, **config} if config else config  # earlier runs have no entry for it
    if config.keys() != fields or config["task"] != TASK:
        missing, extra = sorted(fields - config.keys()), sorted(config.keys() - fields)
        raise ValueError(
            f"these settings are no recipe of a completion: missing {missing}, unexpected {extra}."
        )
    return CompletionRecipe(
        **{name: REGISTRY.from_dict(value) for name, value in config.items() if name != "task"}
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompletionMetrics:
    """Means over the training images of one epoch, each seen by the network as it was at that time.

    Attributes:
        epoch: from 1. step: batches since the beginning.
        loss: mean cost of an image, half of its squared error. error_per_pixel: squared, of a missing pixel.
        mean_steps: updates until an image converged. did_not_converge: images that did not.
        gradient_flagged: images whose backward or nudged solves missed their tolerance.
        seconds: spent on training, without compilation and evaluation.
    """

    epoch: int
    step: int
    loss: float
    error_per_pixel: float
    mean_steps: float
    did_not_converge: int
    gradient_flagged: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class CompletionJob(AbstractJob):
    """A network trained by a recipe to complete the images of a data set.

    Raises: `ValueError` where the layers, the batch size or the masks do not fit the data.
    """

    recipe: CompletionRecipe
    dataset: Dataset
    metrics_type: ClassVar[type] = CompletionMetrics

    def __post_init__(self):
        require_kind("recipe", self.recipe, CompletionRecipe, "CompletionRecipe()")
        require_kind("dataset", self.dataset, Dataset, "hopfax.data.digits()")
        pixels = self.dataset.train_images.shape[1]
        if self.recipe.layers[0] != pixels:
            raise ValueError(
                f"layers {list(self.recipe.layers)} do not fit {self.dataset.name}: they must be {pixels} "
                "pixels and the hidden neurons."
            )
        self.recipe.masks.check(self.dataset.image_shape)
        batches_per_epoch(len(self.dataset.train_images), self.recipe.batch_size)

    @property
    def epochs(self) -> int:
        return self.recipe.epochs

    @property
    def data(self) -> Dataset:
        return self.dataset

    def config(self) -> dict[str, Any]:
        return {**self.recipe.config(), **data_settings(self.dataset)}

    def trainer(self) -> Trainer:
        recipe = self.recipe
        schedule = recipe.schedule(batches_per_epoch(len(self.dataset.train_images), recipe.batch_size))
        shape = self.dataset.image_shape
        task = Completion(method=recipe.method, masks=recipe.masks, image_shape=shape, penalty=recipe.penalty)
        optimiser = _clipped(recipe.optimiser, schedule, recipe.largest_gradient)
        return Trainer(optimiser, task, recipe.batch_size)

    def begin(self, trainer: Trainer) -> TrainState:
        key = jr.fold_in(jr.key(self.recipe.seed), 1)
        return TrainState.begin(self.recipe.network(self.dataset), trainer, key=key)

    def check_start(self, trainer: Trainer, model: AbstractNetwork) -> None:
        return

    def epoch_metrics(self, chunk: Chunk, model: AbstractNetwork) -> CompletionMetrics:
        step = int(chunk.state.step)
        return CompletionMetrics(epoch=chunk.epoch, step=step, seconds=chunk.seconds, **chunk.means())

    def save(self, model: AbstractNetwork, folder: Path) -> None:
        save_model(model, folder)

    def measure(self, model: AbstractNetwork, metrics: Sequence[CompletionMetrics]) -> dict[str, Any]:
        """Errors of the first test images by mask and start, and the metrics of each epoch."""
        return {
            "completion": completion_table(model, self.dataset, examples=self.recipe.tested),
            "parameters": size(eqx.filter(model, eqx.is_inexact_array)),
            "seconds_per_epoch": [row.seconds for row in metrics],
            "data": self.dataset.name,
            "metrics": [dataclasses.asdict(row) for row in metrics],
        }
