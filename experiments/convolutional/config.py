"""The networks that are trained: data, layers, gradient, epochs and seed; and the search for the recipe `conv`."""

import dataclasses
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from experiments import classify
from experiments.runs import Run, dataset_of

from hopfax.gradients import EquilibriumPropagation, Implicit
from hopfax.gradients.base import AbstractGradient
from hopfax.networks import ConvBlock
from hopfax.training import AbstractAugmentation, Compose, HorizontalFlip, RandomCrop, conv_layers
from hopfax.training.architecture import CONV_BLOCKS
from hopfax.training.optimisers import Adam
from hopfax.training.recipes import Recipe, conv, standardised

SEEDS = 3
SHIFTS, SHIFTS_FLIP = RandomCrop(2), Compose((RandomCrop(2), HorizontalFlip()))
CROP_FLIP = Compose((RandomCrop(4), HorizontalFlip()))
GRADIENTS = ("ep", "implicit")
# Beside the networks that have a name in the library: as "conv3", with larger kernels or with twice the channels.
NETWORKS: Mapping[str, tuple[ConvBlock, ...]] = MappingProxyType(
    {
        **CONV_BLOCKS,
        "conv3_5x5": tuple(ConvBlock(channels, 5, stride=2) for channels in (32, 64, 128)),
        "conv3_wide": tuple(ConvBlock(channels, 3, stride=2) for channels in (64, 128, 256)),
    }
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained for so many epochs, by both gradients and with several seeds; `goal` is the error to reach."""

    data: str
    network: str
    epochs: int
    augmentation: AbstractAugmentation | None = None
    standardise: bool = False
    feedback: float = 0.03
    learning_rate: float = 0.003  # that of the recipe, as is the weight decay
    weight_decay: float = 0.01
    goal: float | None = None  # a fraction

    @property
    def name(self) -> str:
        changes = "-augmented" if self.augmentation else ""
        changes += "".join(f"-{name}{value}" for name, value in self.changed.items())
        return f"{self.data}-{self.network}{changes}-{self.epochs}"

    @property
    def changed(self) -> dict[str, float]:
        """Learning rate and weight decay by short names, if they are not those of the recipe."""
        if (self.learning_rate, self.weight_decay) == (Setting.learning_rate, Setting.weight_decay):
            return {}
        return {"rate": self.learning_rate, "decay": self.weight_decay}


# With 0.03 the weights that MNIST ends at make the sweeps of a solve grow from 4 to more than 11, and some fail.
GREY = 0.01
NUDGES = {GREY: 0.2, 0.1: 0.1, 1.0: 0.02}  # up to this feedback

CIFAR10 = Setting("cifar10", "conv3", 10, CROP_FLIP, True, goal=0.32)
SETTINGS = (
    Setting("mnist", "conv", 5, feedback=GREY, goal=0.010),
    Setting("mnist", "conv", 20, feedback=GREY, goal=0.0060),
    Setting("mnist", "conv", 20, SHIFTS, feedback=GREY, goal=0.0045),
    Setting("mnist", "conv", 20, SHIFTS, feedback=GREY, learning_rate=0.001, weight_decay=0.05, goal=0.0045),
    Setting("mnist", "conv3", 20, standardise=True, goal=0.0060),
    Setting("mnist", "conv3", 20, SHIFTS, True, goal=0.0045),
    *(
        Setting("mnist", "conv3_5x5", 20, standardise=True, weight_decay=decay, goal=0.0060)
        for decay in (0.1, 0.4, 1.0)
    ),
    Setting("mnist", "conv3_5x5", 20, SHIFTS, True, goal=0.0045),
    Setting("fashion-mnist", "conv", 20, SHIFTS_FLIP, feedback=GREY, goal=0.075),
    Setting("fashion-mnist", "conv", 20, SHIFTS_FLIP, feedback=GREY, weight_decay=0.03, goal=0.075),
    Setting("fashion-mnist", "conv3", 20, SHIFTS_FLIP, True, goal=0.075),
    Setting("fashion-mnist", "conv3", 40, SHIFTS_FLIP, True, goal=0.075),
    Setting("fashion-mnist", "conv3_wide", 20, SHIFTS_FLIP, True, learning_rate=0.002, goal=0.075),
    CIFAR10,
    Setting("cifar10", "conv3", 40, CROP_FLIP, True, goal=0.24),
    Setting("cifar10", "vgg5", 100, CROP_FLIP, True, goal=0.111),
)
# One change of the recipe each, on held-out training examples.
CHANGES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "as it is": {},
        "rate 0.001": {"learning_rate": 0.001},
        "rate 0.006": {"learning_rate": 0.006},
        "weight decay 0": {"optimiser": Adam()},
        "weight decay 0.05": {"optimiser": Adam(weight_decay=0.05)},
        "no smoothing": {"smoothing": 0.0},
        "batches of 64": {"batch_size": 64},
    }
)
FEEDBACKS = (0.1,)  # beside that of the recipe


def described(setting: Setting) -> str:
    """What is not as in the recipe, in words that follow a name: `, rate 0.001, decay 0.05`."""
    usual = {"rate": Setting.learning_rate, "decay": Setting.weight_decay}
    return "".join(f", {name} {value:g}" for name, value in setting.changed.items() if value != usual[name])


def recipe(setting: Setting, gradient: str, seed: int = 0) -> Recipe:
    """The recipe of one network. The data set is read, for its shape and where images are standardised."""
    dataset = dataset_of(setting.data)
    image, *_, classes = conv_layers(dataset.image_shape, dataset.classes)
    plain = conv((image, *NETWORKS[setting.network], classes))
    architecture = dataclasses.replace(plain.architecture, feedback=setting.feedback)
    plain = dataclasses.replace(plain, architecture=architecture)
    how = {
        "epochs": setting.epochs,
        "seed": seed,
        "augmentation": setting.augmentation,
        "learning_rate": setting.learning_rate,
        "optimiser": Adam(weight_decay=setting.weight_decay),
    }
    chosen = dataclasses.replace(plain, gradient=_gradient(gradient, plain), **how)
    return standardised(chosen, dataset) if setting.standardise else chosen


def names() -> list[tuple[str, Setting, str, int]]:
    """Name, setting, gradient and seed of each run, seed by seed: an early end leaves every setting with some."""
    return [
        (f"{setting.name}-{gradient}-seed{seed}", setting, gradient, seed)
        for seed in range(SEEDS)
        for setting in SETTINGS
        for gradient in GRADIENTS
    ]


def runs(only: str = "") -> Iterator[Run]:
    """The runs whose names begin with `only`."""
    for name, setting, gradient, seed in names():
        if name.startswith(only):
            yield Run(name, recipe(setting, gradient, seed), setting.data)


def trials(only: str = "validation") -> Iterator[Run]:
    """The search: on MNIST and CIFAR-10, by equilibrium propagation, seen on held-out training examples.

    Those whose names begin with `only`.
    """
    for setting, epochs in ((SETTINGS[0], 3), (CIFAR10, 4)):
        prefix = f"validation-{setting.data}"
        if prefix.startswith(only) or only.startswith(prefix):
            trials = _trials(dataclasses.replace(setting, epochs=epochs))
            yield from (trial for trial in trials if trial.name.startswith(only))


def smoke() -> list[Run]:
    """Takes seconds on the embedded digits. It shows that everything runs, and nothing else."""
    setting = Setting("digits", "conv", 1, RandomCrop(1), standardise=True)
    layers = ((8, 8, 1), ConvBlock(4, 3, stride=2), 10)
    small = [
        dataclasses.replace(recipe(setting, gradient), batch_size=500, layers=layers)
        for gradient in GRADIENTS
    ]
    return [
        Run(f"smoke-{gradient}-seed0", one, "digits") for gradient, one in zip(GRADIENTS, small, strict=True)
    ]


def _gradient(name: str, plain: Recipe) -> AbstractGradient:
    feedback = plain.architecture.feedback
    nudge = next(nudge for limit, nudge in NUDGES.items() if feedback <= limit)
    return EquilibriumPropagation(nudge) if name == "ep" else Implicit()


def _trials(setting: Setting) -> list[Run]:
    base = recipe(setting, "ep")
    changes = dict(CHANGES)
    for feedback in FEEDBACKS:
        architecture = dataclasses.replace(base.architecture, feedback=feedback)
        gradient = _gradient("ep", dataclasses.replace(base, architecture=architecture))
        changes[f"feedback {feedback}"] = {"architecture": architecture, "gradient": gradient}
    return classify.trials(f"validation-{setting.name}", base, changes, setting.data)
