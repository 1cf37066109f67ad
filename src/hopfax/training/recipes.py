"""Recipes: all settings of a training run; those of the papers, and ours."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.random as jr
import numpy as np
import optax

from .. import gradients, lagrangians
from .._internal.checks import is_integer, require_integer, require_kind, require_number, require_seed
from .._internal.registry import Registry
from ..costs import AbstractCost, CrossEntropy, SquaredError, StateSquaredError
from ..data import Dataset
from ..gradients import EquilibriumPropagation
from ..gradients.base import AbstractGradient
from ..lagrangians import Identity, ReLU, StandardisedInput
from ..method import Method
from ..networks import AveragePool, ConvBlock, MaxPool, SoftPool
from ..networks.chn import CHN
from ..networks.network import AbstractNetwork
from ..papers import paper_method
from ..solvers import FeedForward
from ..updates.block import Coloured, Damped, EvenOdd
from .architecture import Architecture, LayerSize
from .augmentation import AbstractAugmentation, Compose, HorizontalFlip, RandomCrop
from .optimisers import AbstractDecay, AbstractOptimiser, Adam, CosineDecay, LinearDecay, Madam, Schedule
from .spectral_penalty import SpectralPenalty

DEEPER_FROM = 4  # layers; the 2024 paper halves the learning rate of its deeper networks
BETA = 0.02  # the nudge of `goemaere_ep`

SETTINGS = Registry(
    "a setting",
    (
        *(lagrangians.Identity, lagrangians.Sigmoid, lagrangians.Tanh, lagrangians.ReLU),
        *(lagrangians.HardSigmoid, lagrangians.Softmax, lagrangians.LayerNorm, lagrangians.SphericalNorm),
        *(SquaredError, CrossEntropy, StateSquaredError),
        *(Architecture, Madam, Adam, LinearDecay, CosineDecay),
        *(lagrangians.StandardisedInput, RandomCrop, HorizontalFlip, Compose, SpectralPenalty),
        *(ConvBlock, AveragePool, MaxPool, SoftPool),
        *(gradients.Implicit, gradients.RecurrentBackprop, gradients.EquilibriumPropagation),
        *(gradients.ContrastiveLearning, gradients.CoupledLearning),
        *(gradients.ConjugateGradient, gradients.Neumann),
        *(gradients.Centred, gradients.Positive, gradients.Negative, gradients.Holomorphic),
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A chain of layers, how it is relaxed and differentiated, and how it is trained; the 2023 paper's by default.

    Attributes:
        layers: neurons in each layer, input first; in a convolutional network the shape of the input, then
            `ConvBlock`s (`hopfax.training.conv_layers`).
        model: HAM or CHN, with or without -DEQ, -EO and -EO-DEQ, as in the papers' tables.
        architecture: the neurons, and the distribution of the initial weights.
        cost: of one example.
        smoothing: of the target, `(1 - smoothing) one-hot + smoothing / classes`, in [0, 1).
        optimiser: without its learning rate.
        learning_rate: the largest.
        final_learning_rate_fraction: the last learning rate relative to the largest, in (0, 1].
        decay: how the learning rate falls.
        rtol: largest relative residual of an equilibrium in training.
        forward_steps, backward_steps: the most updates of a solve, and the steps of recurrent backprop.
        shuffle: whether each epoch has its own order of the examples.
        validation: training examples held out, and evaluated after each epoch.
        gradient: replaces the papers' recurrent backprop, if not None.
        augmentation: of the training images at each step, if not None.
        penalty: on the largest eigenvalue of the update at equilibrium, if not None.

    Raises:
        ValueError: naming the value that is out of range.
    """

    layers: tuple[LayerSize, ...]
    model: str = "HAM-EO-DEQ"
    architecture: Architecture = Architecture()
    cost: AbstractCost = SquaredError()
    smoothing: float = 0.0
    optimiser: AbstractOptimiser = Madam()
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.01
    final_learning_rate_fraction: float = 1.0
    decay: AbstractDecay = LinearDecay()
    rtol: float = 1e-4
    forward_steps: int = 40
    backward_steps: int = 8
    seed: int = 0
    shuffle: bool = True
    validation: int = 0
    gradient: AbstractGradient | None = None
    augmentation: AbstractAugmentation | None = None
    penalty: SpectralPenalty | None = None

    def __post_init__(self):
        for name, least in (("epochs", 1), ("batch_size", 1), ("forward_steps", 3), ("backward_steps", 1)):
            require_integer(f"Recipe.{name}", getattr(self, name), least)
        sizes = self.layers if isinstance(self.layers, tuple | list) else ()
        self._require(
            len(sizes) > 1 and all(map(_is_size, sizes)),
            "layers",
            "at least two positive sizes, whole numbers, or in a convolutional network a shape and `ConvBlock`s",
        )
        fraction, rate = self.final_learning_rate_fraction, self.learning_rate
        require_number(
            "Recipe.learning_rate", rate, lambda x: 0 < x < math.inf, "a number, positive and finite"
        )
        require_number("Recipe.final_learning_rate_fraction", fraction, lambda x: 0 < x <= 1, "in (0, 1]")
        require_seed("Recipe.seed", self.seed)
        require_integer("Recipe.validation", self.validation, 0)
        require_number("Recipe.smoothing", self.smoothing, lambda x: 0 <= x < 1, "in [0, 1)")
        require_number("Recipe.rtol", self.rtol, lambda x: 0 < x < 1, "in (0, 1)")
        self._check_parts()
        paper_method(self.model)
        if self.model.startswith("CHN") and self.architecture.feedback != 1:
            raise ValueError(
                f"`Recipe(model={self.model!r})` needs feedback 1, got {self.architecture.feedback}; use a HAM."
            )
        if self.model.startswith("CHN") and self.penalty is not None:
            raise ValueError(
                f"`Recipe(model={self.model!r}, penalty={self.penalty})` needs a HAM for a penalty."
            )
        _check_nudge(self.gradient, self.cost)

    def _check_parts(self) -> None:
        require_kind("Recipe.architecture", self.architecture, Architecture, "Architecture()")
        require_kind("Recipe.cost", self.cost, AbstractCost, "SquaredError()")
        require_kind("Recipe.optimiser", self.optimiser, AbstractOptimiser, "Adam()")
        require_kind("Recipe.decay", self.decay, AbstractDecay, "CosineDecay()")
        nudged, crop = "EquilibriumPropagation(0.02)", "RandomCrop(padding=4)"
        require_kind("Recipe.gradient", self.gradient, AbstractGradient | None, nudged)
        require_kind("Recipe.augmentation", self.augmentation, AbstractAugmentation | None, crop)
        require_kind("Recipe.penalty", self.penalty, SpectralPenalty | None, "SpectralPenalty()")

    def _require(self, valid: bool, name: str, rule: str) -> None:
        if not valid:
            raise ValueError(f"`Recipe({name}={getattr(self, name)})` must be {rule}.")

    @property
    def method(self) -> Method:
        """How the network is relaxed and differentiated."""
        papers = paper_method(self.model, self.forward_steps, self.backward_steps)
        gradient = papers.gradient if self.gradient is None else self.gradient
        method = dataclasses.replace(papers, gradient=gradient, rtol=self.rtol)
        if not any(isinstance(size, ConvBlock) for size in self.layers):
            return method
        # `Coloured()` is the same as `EvenOdd()`, unless a pool is not linear, which `EvenOdd()` refuses.
        update = Coloured() if isinstance(papers.update, EvenOdd) else papers.update
        return dataclasses.replace(method, update=update, start=FeedForward())

    def network(self) -> AbstractNetwork:
        """The untrained network of this seed."""
        network = self.architecture.network(self.layers, key=jr.fold_in(jr.key(self.seed), 0))
        return CHN.like(network) if self.model.startswith("CHN") else network

    def transformation(self, batches: int) -> optax.GradientTransformation:
        """The optimiser on the schedule of this recipe, for epochs of `batches` batches."""
        return self.optimiser.transformation(self.schedule(batches))

    def schedule(self, batches: int) -> Schedule:
        """The learning rate at each step, for epochs of `batches` batches."""
        fraction = self.final_learning_rate_fraction
        return Schedule(self.learning_rate, fraction, self.epochs, batches, self.decay)

    def config(self) -> dict[str, Any]:
        """The recipe in types that JSON has; `from_config` is the inverse."""
        fields = [field.name for field in dataclasses.fields(self)]
        return {name: SETTINGS.to_dict(getattr(self, name)) for name in fields}


def from_config(config: Mapping[str, Any]) -> Recipe:
    """The recipe of this `config`. Raises: `ValueError` for settings that are no recipe, or incomplete."""
    fields = {field.name for field in dataclasses.fields(Recipe)}
    # Earlier runs have no entries for these.
    config = {"augmentation": None, "penalty": None, **config} if config else config
    if config.keys() != fields:
        missing, extra = sorted(fields - config.keys()), sorted(config.keys() - fields)
        raise ValueError(f"these settings are no recipe: missing {missing}, unexpected {extra}.")
    return Recipe(**{name: SETTINGS.from_dict(value) for name, value in config.items()})


def goemaere2023(layers: Sequence[LayerSize] = (784, 512, 10), model: str = "HAM-EO-DEQ") -> Recipe:
    """The recipe of the 2023 workshop paper: constant rate 0.01, no biases.

    One departure: examples are shuffled. The paper's code takes them in the order of the EMNIST files, which MNIST's
    files do not have; in MNIST's own order (`shuffle=False`) accuracy is about half a point lower.
    Source: [goemaere2023], section 4, and code.
    """
    return Recipe(layers=tuple(layers), model=model, cost=StateSquaredError())


def goemaere2024(layers: Sequence[LayerSize] = (784, 1990, 10), model: str = "HAM-EO-DEQ") -> Recipe:
    """The recipe of the 2024 paper: rate 0.01, halved beyond three layers, falling to a tenth; small biases.

    Relaxation steps grow with depth: 40, 80, 120 forward and 8, 16, 24 backward for 3, 5, 7 layers; the damped CHNs
    take twice as many.
    Source: [goemaere2024], section 4, and code.
    """
    stretch = max(len(layers) // 2, 1) * (2 if isinstance(paper_method(model).update, Damped) else 1)
    return Recipe(
        layers=tuple(layers),
        model=model,
        architecture=Architecture(bias_std=0.01),
        cost=StateSquaredError(),
        optimiser=Madam(gradient_bound=3.0),
        learning_rate=0.01 if len(layers) < DEEPER_FROM else 0.005,
        final_learning_rate_fraction=0.1,
        forward_steps=40 * stretch,
        backward_steps=8 * stretch,
    )


def goemaere_ep(layers: Sequence[LayerSize] = (784, 512, 10), model: str = "HAM-EO-DEQ") -> Recipe:
    """The papers' recipe, trained by equilibrium propagation: `goemaere2023` for three layers, `goemaere2024` for more.

    The output layer is linear, so its activation is its state. The papers' loss on the state is then `SquaredError`, a
    cost that can nudge. Another gradient in its place trains the same network on the same loss.
    Source: [scellier2017]; [laborieux2021].
    """
    papers = (goemaere2023 if len(layers) < DEEPER_FROM else goemaere2024)(layers, model)
    linear = dataclasses.replace(papers.architecture, output=Identity())
    return dataclasses.replace(
        papers, architecture=linear, cost=SquaredError(), gradient=EquilibriumPropagation(BETA)
    )


def low_feedback(
    layers: Sequence[LayerSize] = (784, 1024, 512, 256, 128, 70, 10), model: str = "HAM-EO"
) -> Recipe:
    """Our recipe for all depths: rectified neurons, cross-entropy on a linear output, feedback 0.03, Adam.

    With so little feedback, one sweep comes close to equilibrium at any depth, and the Neumann series of the adjoint
    needs one term more than the sweeps that a signal takes through the network. Chosen on 10,000 held-out training
    examples of MNIST; `experiments/deep` has the results and what else was tried.
    """
    architecture = Architecture(
        input=Identity(), hidden=ReLU(), output=Identity(), weight_scale=1.4, feedback=0.03
    )
    return Recipe(
        layers=tuple(layers),
        model=model,
        architecture=architecture,
        cost=CrossEntropy(),
        smoothing=0.1,
        optimiser=Adam(weight_decay=0.05),
        batch_size=128,
        learning_rate=0.001,
        final_learning_rate_fraction=0.01,
        decay=CosineDecay(),
        rtol=1e-3,
        backward_steps=len(layers) // 2 + 1,
    )


def conv(layers: Sequence[LayerSize], model: str = "HAM-EO") -> Recipe:
    """Our recipe for convolutional networks: `low_feedback` with a learning rate of 0.003 and small weight decay.

    With a feedback of 0.03 a solve takes 4 sweeps where 0.1 takes 8 to 11. `experiments/convolutional` has a search on
    held-out training examples. Layers are those of `hopfax.training.conv_layers`.
    """
    dense = low_feedback(layers, model)
    return dataclasses.replace(
        dense, optimiser=Adam(weight_decay=0.01), learning_rate=0.003, forward_steps=20
    )


def standardised(recipe: Recipe, dataset: Dataset) -> Recipe:
    """The recipe with an input layer that standardises images, by mean and deviation of the training images.

    Mean and deviation are those of each channel, if the input has the shape (height, width, channels), and else of all
    pixels. The network itself standardises (`hopfax.lagrangians.StandardisedInput`): in evaluation, as a saved model,
    and in a resumed run too.
    Raises: `ValueError` if the input of the recipe is not as large as an image.
    """
    shape, images = recipe.layers[0], dataset.train_images
    channels = shape[-1] if isinstance(shape, tuple) and len(shape) > 2 else 1
    if images.shape[1] % channels:
        raise ValueError(
            f"`recipe` has an input of {channels} channels; {dataset.name} has {images.shape[1]} pixels."
        )
    pixels = images.reshape(-1, channels)
    first, second = (values.mean(axis=0, dtype=np.float64) for values in (pixels, np.square(pixels)))
    deviation = np.sqrt(np.maximum(second - first**2, 0))
    mean, std = (tuple(round(float(x), 6) for x in values) for values in (first, deviation))
    neurons = StandardisedInput(mean, std) if channels > 1 else StandardisedInput(*mean, *std)
    return dataclasses.replace(recipe, architecture=dataclasses.replace(recipe.architecture, input=neurons))


def _is_size(size: Any) -> bool:
    if isinstance(size, tuple):
        return bool(size) and all(is_integer(n) and n > 0 for n in size)
    return isinstance(size, ConvBlock) or (is_integer(size) and size > 0)


def _check_nudge(gradient: AbstractGradient | None, cost: AbstractCost) -> None:
    if isinstance(gradient, EquilibriumPropagation) and isinstance(cost, StateSquaredError):
        raise ValueError(
            "`Recipe(gradient=EquilibriumPropagation(...))` cannot nudge by `StateSquaredError`, a cost of the state; "
            "use the recipe `goemaere_ep`, whose output layer is linear, so that the same loss is a cost of the "
            "activation."
        )
