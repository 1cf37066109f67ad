"""Runs of a VAE: a configuration trained on a data set in a folder, and the trained model as a file."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import jax.random as jr

from .._internal.checks import require_kind
from ..data import Dataset
from ..training.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from ..training.chunk import Chunk
from ..training.job import AbstractJob, data_settings
from ..training.trainer import Trainer, TrainState
from .build import build_optimiser, build_vae, initial_vae
from .config import VAEConfig
from .evaluation import evaluate_vae
from .loss import PHASES
from .model import AbstractVAE, parameters
from .training import ELBO, ELBOMetrics

MODEL = "vae.safetensors"
PROBES = 8  # images at which the critical nudge is computed


@dataclasses.dataclass(frozen=True)
class VAEJob(AbstractJob):
    """A VAE trained by its configuration on the training images of a data set.

    Raises: `ValueError` where the number of pixels does not fit the data.
    """

    settings: VAEConfig
    dataset: Dataset
    metrics_type: ClassVar[type] = ELBOMetrics

    def __post_init__(self):
        require_kind("settings", self.settings, VAEConfig, "VAEConfig()")
        require_kind("dataset", self.dataset, Dataset, "hopfax.data.digits()")
        pixels = self.dataset.train_images.shape[1]
        if pixels != self.settings.pixels:
            raise ValueError(
                f"`VAEConfig(pixels={self.settings.pixels})` does not fit {self.dataset.name}, which has {pixels}."
            )

    @property
    def data(self) -> Dataset:
        return self.dataset

    @property
    def epochs(self) -> int:
        return self.settings.epochs

    def config(self) -> dict[str, Any]:
        return {**self.settings.json(), **data_settings(self.data)}

    def trainer(self) -> Trainer:
        settings, batches = self.settings, len(self.data.train_images) // self.settings.batch_size
        optimiser = build_optimiser(settings, max(batches, 1) * settings.epochs)
        task = ELBO(settings.gradient(), settings.bernoulli, settings.kl_weight, settings.kl_warmup * batches)
        return Trainer(optimiser, task, settings.batch_size)

    def begin(self, trainer: Trainer) -> TrainState:
        vae = initial_vae(self.settings, jnp.mean(jnp.asarray(self.data.train_images), axis=0))
        return TrainState.begin(vae, trainer, key=jr.fold_in(jr.key(self.settings.seed), 1))

    def check_start(self, trainer: Trainer, model: AbstractVAE) -> None:
        """Warns where `beta` is above a tenth of the critical nudge at the reconstructions of a few images."""
        self.settings.gradient().check_start(model, jnp.asarray(self.data.train_images[:PROBES]))

    def epoch_metrics(self, chunk: Chunk, model: AbstractVAE) -> ELBOMetrics:
        means = chunk.means()
        failed = {phase: means.pop(f"unconverged {phase}") for phase in PHASES}
        step = int(chunk.state.step)
        return ELBOMetrics(
            epoch=chunk.epoch, step=step, did_not_converge=failed, seconds=chunk.seconds, **means
        )

    def save(self, model: AbstractVAE, folder: Path) -> None:
        save_vae(model, self.settings, self.data.name, folder)

    def measure(self, model: AbstractVAE, metrics: Sequence[ELBOMetrics]) -> dict[str, Any]:
        """One-sample ELBO in nats and squared error, means over the test images, and the metrics of each epoch."""
        key = jr.fold_in(jr.key(self.settings.seed), 2)
        images, binarise = self.data.test_images, self.settings.bernoulli
        summary = evaluate_vae(model, images, key=key, binarise=binarise).summary()
        return {
            "test_elbo": summary["elbo"],
            "test_squared_error": summary["squared_error"],
            "parameters": parameters(model),
            "seconds_per_epoch": [row.seconds for row in metrics],
            "metrics": [dataclasses.asdict(row) for row in metrics],
        }


def save_vae(vae: AbstractVAE, config: VAEConfig, data: str, folder: Path) -> None:
    """Write the weights, the settings and the name of the data set to `folder`."""
    save_checkpoint(folder / MODEL, vae, {"config": config.json(), "data": data})


def load_vae(folder: str | Path) -> tuple[AbstractVAE, VAEConfig]:
    """What `save_vae` wrote. Raises: `ValueError` for a folder without it, or a damaged file."""
    path = _model_path(folder)
    settings = read_metadata(path)["config"]
    try:
        config = VAEConfig(**settings)
    except TypeError as error:
        raise ValueError(f"`{path}` has settings that this hopfax does not know: {error}.") from error
    return load_checkpoint(path, build_vae(config))[0], config


def trained_on(folder: str | Path) -> str:
    """The name of the data set. Raises: `ValueError` as `load_vae`."""
    return read_metadata(_model_path(folder))["data"]


def _model_path(folder: str | Path) -> Path:
    path = Path(folder) / MODEL
    if not path.exists():
        raise ValueError(
            f"`{folder}` has no {MODEL}, so no finished run; name the folder that `hopfax vae train --out` was given."
        )
    return path
