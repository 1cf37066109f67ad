"""The completion benchmark: damaged images, the squared error of each method, and its seconds."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ...data import Dataset
from ...data.corrupt import for_all_images, lower_half, scattered
from ...gradients.base import AbstractGradient
from ...training.completion_evaluation import standard_error
from ...training.completion_job import IMPLICIT, equilibrium_propagation
from ...vae.config import SMALL
from . import trained
from .completers import (
    AbstractCompleter,
    GaussianMixture,
    Images,
    Known,
    LinearGaussian,
    MeanImage,
    NearestNeighbour,
    metric_memory,
    softmax_memory,
    sparsemax_memory,
)

NOISE = "Gaussian noise"
DEVIATION = 0.3
CLOSE = 0.02  # squared error per missing pixel within which an image counts as restored


@dataclasses.dataclass(frozen=True)
class Training:
    """How long the trained methods are trained, and where their runs lie: a finished one is not done again.

    Without a folder they are trained in memory.
    """

    folder: Path | None
    network_epochs: int
    vae_epochs: int
    mlp: trained.MLPRecipe
    seed: int = 0

    @staticmethod
    def of(dataset: Dataset, folder: Path | None, seed: int = 0) -> "Training":
        """A few minutes for small images, hours for those of the size of MNIST's."""
        if dataset.train_images.shape[1] <= SMALL:
            return Training(folder, 3, 10, trained.MLPRecipe(seed=seed), seed)
        mlp = trained.MLPRecipe(width=512, epochs=20, learning_rate=1e-3, seed=seed)  # about as many weights
        return Training(folder, 5, 20, mlp, seed)

    def folder_of(self, name: str) -> Path | None:
        """The folder of the run of a method."""
        return None if self.folder is None else self.folder / name


@dataclasses.dataclass(frozen=True)
class Damaged:
    """Images to restore, with what is left of them; `known` is None where every pixel is noisy."""

    original: Images
    images: Images
    known: Known | None

    def restored(self, completer: AbstractCompleter) -> Images | None:
        """By a method, with pixels in [0, 1]; None where it has no way to."""
        if self.known is None:
            restored = completer.denoise(self.images, DEVIATION)
        else:
            restored = completer.complete(self.images, self.known)
        return None if restored is None else np.clip(restored, 0, 1)

    def visible(self) -> Images:
        """The images with NaN at missing pixels."""
        return self.images if self.known is None else np.where(self.known, self.images, np.nan)

    def errors(self, restored: Images) -> Float[np.ndarray, " images"]:
        """Squared error of each image per damaged pixel."""
        damaged = np.ones_like(restored, bool) if self.known is None else ~self.known
        squares = np.square(restored.astype(np.float64) - self.original) * damaged
        return squares.sum(axis=1) / damaged.sum(axis=1)


def damage(images: Images, shape: tuple[int, ...], seed: int = 0) -> dict[str, Damaged]:
    """The images with pixels missing in four ways, and with noise on all of them, by name."""
    masks = known_pixels(len(images), shape, seed)
    damaged = {name: Damaged(images, np.where(known, images, 0), known) for name, known in masks.items()}
    noise = np.random.Generator(np.random.Philox(seed + 1)).normal(0, DEVIATION, images.shape)
    return {**damaged, NOISE: Damaged(images, (images + noise).astype(images.dtype), None)}


def known_pixels(
    count: int, shape: tuple[int, ...], seed: int
) -> dict[str, Bool[np.ndarray, "images pixels"]]:
    """Which pixels are known: 30 or 70 % are missing at random, or the upper half, or the block of half the size."""
    rows, columns = np.indices(shape[:2])
    inside = lambda index, size: (index >= size // 4) & (index < size // 4 + size // 2)
    block = inside(rows, shape[0]) & inside(columns, shape[1])
    return {
        "30 %": scattered(count, shape, 0.3, seed),
        "70 %": scattered(count, shape, 0.7, seed),
        "top half": lower_half(count, shape),
        "centre block": for_all_images(~block, count, shape),
    }


UNTRAINED: Mapping[str, Callable[[Images], AbstractCompleter]] = MappingProxyType(
    {
        "mean": MeanImage,
        "nearest": NearestNeighbour,
        "gaussian": LinearGaussian,
        "mixture": GaussianMixture,
        "softmax": softmax_memory,
        "sparsemax": sparsemax_memory,
        "metric": metric_memory,
    }
)


def _network(name: str, gradient: AbstractGradient) -> Callable[[Dataset, Training], AbstractCompleter]:
    def make(data: Dataset, training: Training) -> AbstractCompleter:
        recipe = trained.completion_recipe(data, gradient, training.network_epochs, training.seed)
        return trained.trained_network(recipe, data, training.folder_of(name))

    return make


def _vae(data: Dataset, training: Training) -> AbstractCompleter:
    config = trained.vae_config(data, training.vae_epochs, training.seed)
    return trained.trained_vae(config, data, training.folder_of("vae"))


TRAINED: Mapping[str, Callable[[Dataset, Training], AbstractCompleter]] = MappingProxyType(
    {
        "ham-ep": _network("ham-ep", equilibrium_propagation()),
        "ham-implicit": _network("ham-implicit", IMPLICIT),
        "vae": _vae,
        "mlp": lambda data, training: trained.trained_mlp(training.mlp, data),
    }
)
METHODS = (*UNTRAINED, *TRAINED)


def prepared(name: str, data: Dataset, training: Training) -> AbstractCompleter:
    """The method of this name with what it takes from the training images."""
    make = UNTRAINED.get(name)
    return TRAINED[name](data, training) if make is None else make(data.train_images)


def measured(
    completer: AbstractCompleter, damaged: Mapping[str, Damaged]
) -> dict[str, dict[str, float] | None]:
    """For each damage: error per damaged pixel, its standard error over images, the share of restored images, seconds.

    None where the method has no way to restore them. Nothing is compiled in the seconds: images with missing pixels are
    restored once before, and so are noisy ones.
    """
    for first in {one.known is None: one for one in damaged.values()}.values():
        first.restored(completer)
    return {kind: _measured(completer, one) for kind, one in damaged.items()}


def _measured(completer: AbstractCompleter, damaged: Damaged) -> dict[str, float] | None:
    began = time.perf_counter()
    restored = damaged.restored(completer)
    seconds = time.perf_counter() - began
    if restored is None:
        return None
    errors = damaged.errors(restored)
    return {
        "error_per_pixel": float(errors.mean()),
        "standard_error": standard_error(errors),
        "restored": float(np.mean(errors < CLOSE)),
        "seconds": seconds,
    }


def benchmark(
    data: Dataset,
    methods: Sequence[str],
    training: Training,
    tested: int,
    begin: Callable[[str], None] = lambda name: None,
) -> Iterator[tuple[str, AbstractCompleter, dict[str, dict[str, float] | None]]]:
    """For each method: its name, the method itself, and what `measured` says of each damage to test images.

    `begin` is called with the name of each method before it is trained and measured.
    """
    damaged = damage(data.test_images[:tested], data.image_shape)
    for name in methods:
        begin(name)
        completer = prepared(name, data, training)
        yield name, completer, measured(completer, damaged)


def by_number(
    data: Dataset, methods: Sequence[str], numbers: Sequence[int], tested: int
) -> Iterator[dict[str, Any]]:
    """The untrained methods with the first so many training images stored: of these, and of test images."""
    for number in numbers:
        stored = data.train_images[:number]
        completers = {name: UNTRAINED[name](stored) for name in methods if name in UNTRAINED}
        for images, queries in {"stored": stored[:tested], "unseen": data.test_images[:tested]}.items():
            damaged = damage(queries, data.image_shape)
            for name, completer in completers.items():
                masks = measured(completer, damaged)
                yield {"stored": number, "images": images, "method": name, "masks": masks}
