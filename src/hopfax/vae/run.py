"""A VAE's training run in a folder: saved as it goes, resumed as if it had never stopped."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from .._internal.checks import require_integer
from .._internal.files import check_config, write_atomic
from ..data import Dataset
from ..diagnostics.spectra import check_beta, critical_nudge
from ..training.checkpoint import load_checkpoint, read_account, save_checkpoint
from ..training.run import Diverged
from ..training.run_folder import opened
from .config import VAEConfig
from .diagnosis import nonfinite_layer
from .equilibrium_propagation import EPGradient
from .initialise import at_mean
from .loss import PHASES
from .model import AbstractVAE, HopfieldVAE
from .training import VAEBlock, VAEState, VAETrainer, batch_of, vae_blocks

CHECKPOINT, METRICS, MODEL = "checkpoint.safetensors", "metrics.jsonl", "vae.safetensors"
PROBED = 8  # images at which the critical nudge is taken


def train_vae(
    config: VAEConfig,
    dataset: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    checkpoint_blocks: int = 5,
    watch: Callable[[VAEBlock], None] = lambda block: None,
) -> tuple[AbstractVAE, list[dict[str, Any]]]:
    """Train on the training images in `folder`: the model and a row of metrics an epoch, also in `metrics.jsonl`.

    Args:
        folder: made if it is not there; empty unless `resume`.
        resume: go on from the folder's checkpoint, if it has one; the result is the same to the last bit.
        checkpoint_blocks: save after so many blocks (there are about 20 an epoch), and after each epoch.
        watch: told of every block as it ends.

    Warns where `beta` is above a tenth of the critical nudge of the untrained decoder.
    Raises:
        ValueError: the folder is in use, its checkpoint is of other settings, or the data do not fit.
        Diverged: a number is no longer finite; says at which layer. The last good state is in the checkpoint.
    """
    require_integer("checkpoint_blocks", checkpoint_blocks, 1)
    trainer = _trainer(config, dataset)
    with opened(folder, resume=resume):
        vae, rows = _trained(config, dataset, trainer, folder, checkpoint_blocks, watch)
        save_vae(vae, config, dataset.name, folder)
    return vae, rows


def _trained(
    config: VAEConfig,
    dataset: Dataset,
    trainer: VAETrainer,
    folder: Path,
    checkpoint_blocks: int,
    watch: Callable[[VAEBlock], None],
) -> tuple[AbstractVAE, list[dict[str, Any]]]:
    """The run in its opened folder, at its end."""
    images = jnp.asarray(dataset.train_images)
    run = _Run(folder, _settings(config, dataset), _begin(config, trainer, images))
    run = run.resumed() if (folder / CHECKPOINT).exists() else run
    run.save()
    warn_of_beta(run.state.vae, config, images[:PROBED])
    todo = vae_blocks(trainer, run.state, images, epochs=config.epochs, seconds=run.seconds)
    for count, block in enumerate(todo, start=1):
        run = run.after(block)
        if block.ends_epoch or not block.finite or count % checkpoint_blocks == 0:
            run.save()
        if not block.finite:
            raise _diverged(config, trainer, run, images)
        watch(block)
    return run.state.vae, list(run.rows)


def save_vae(vae: AbstractVAE, config: VAEConfig, data: str, folder: Path) -> None:
    """Write the weights, the settings and the name of the data set to `folder`."""
    save_checkpoint(folder / MODEL, vae, {"config": config.json(), "data": data})


def load_vae(folder: str | Path) -> tuple[AbstractVAE, VAEConfig]:
    """What `save_vae` wrote. Raises: `ValueError` for a folder without it, or a damaged file."""
    path = _finished(folder)
    settings = read_account(path)["config"]
    try:
        config = VAEConfig(**settings)
    except TypeError as error:
        raise ValueError(f"`{path}` has settings that this hopfax does not know: {error}.") from error
    return load_checkpoint(path, config.vae())[0], config


def trained_on(folder: str | Path) -> str:
    """The name of the data set. Raises: `ValueError` as `load_vae`."""
    return read_account(_finished(folder))["data"]


def _finished(folder: str | Path) -> Path:
    path = Path(folder) / MODEL
    if not path.exists():
        raise ValueError(
            f"`{folder}` has no {MODEL}, so no finished run; name the folder that `hopfax vae train --out` was given."
        )
    return path


def warn_of_beta(vae: AbstractVAE, config: VAEConfig, images: Float[Array, "some pixels"]) -> None:
    """Warn where `beta` is above a tenth of the critical nudge at the reconstructions of `images`."""
    if isinstance(vae, HopfieldVAE) and isinstance(config.gradient(), EPGradient):
        check_beta(config.beta, decoder_critical_nudge(vae, images))


def decoder_critical_nudge(vae: HopfieldVAE, images: Float[Array, "some pixels"]) -> Float[Array, " some"]:
    """`critical_nudge` of the decoder at the reconstruction of each image."""

    def one(image):
        latent = vae.encode(image)[0].mean
        states = vae.relax_decoder(latent).state
        cost = (1 / vae.likelihood.steepness) * vae.likelihood.cost
        return critical_nudge(vae.decoder, vae.held(latent), states, cost, image, key=jr.key(0))

    return jax.jit(jax.vmap(one))(images)


@dataclasses.dataclass(frozen=True)
class _Run:
    """All that a run is at one moment."""

    folder: Path
    settings: dict[str, Any]
    state: VAEState
    rows: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0  # of the epoch that has begun

    def resumed(self) -> "_Run":
        """As saved. The settings are compared first: they explain a difference in shapes."""
        path = self.folder / CHECKPOINT
        check_config(read_account(path)["config"], self.settings, str(path))
        state, account = load_checkpoint(path, self.state)
        return dataclasses.replace(self, state=state, rows=tuple(account["rows"]), seconds=account["seconds"])

    def save(self) -> None:
        account = {"config": self.settings, "rows": list(self.rows), "seconds": self.seconds}
        save_checkpoint(self.folder / CHECKPOINT, self.state, account)
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_atomic(self.folder / METRICS, lines.encode())

    def after(self, block: VAEBlock) -> "_Run":
        """With a block more, and at the end of an epoch its row."""
        if not block.ends_epoch or not block.finite:
            return dataclasses.replace(self, state=block.state, seconds=block.seconds)
        rows = (*self.rows, _row(block))
        return dataclasses.replace(self, state=block.state, rows=rows, seconds=0.0)


def _row(block: VAEBlock) -> dict[str, Any]:
    """Means over the epoch's batches, and the examples of each phase that did not converge."""
    totals = block.state.totals
    means = {name: float(getattr(totals, name)) / block.batches for name in ("total", "cost", "divergence")}
    failed = dict(zip(PHASES, totals.unconverged.tolist(), strict=True))
    return {"epoch": block.epoch, **means, "did_not_converge": failed, "seconds": block.seconds}


def _diverged(config: VAEConfig, trainer: VAETrainer, run: _Run, images: Array) -> Diverged:
    step, path = int(run.state.step), run.folder / CHECKPOINT
    shown, noise = batch_of(trainer, run.state, images)
    weight = trainer.weight(run.state.step)
    where = nonfinite_layer(run.state.vae, trainer.gradient, shown, noise, weight)
    return Diverged(
        f"training diverged at step {step + 1}: not finite first in {where}. The last good state, after {step} "
        f"steps, is in {path}; lower the learning rate ({config.learning_rate:g})."
    )


def _trainer(config: VAEConfig, dataset: Dataset) -> VAETrainer:
    pixels, batches = dataset.train_images.shape[1], len(dataset.train_images) // config.batch_size
    if pixels != config.pixels:
        raise ValueError(
            f"`VAEConfig(pixels={config.pixels})` does not fit {dataset.name}, which has {pixels}."
        )
    optimiser = config.optimiser(max(batches, 1) * config.epochs)
    settings = (config.gradient(), config.batch_size, config.bernoulli, config.kl, config.warmup * batches)
    return VAETrainer(optimiser, *settings)


def _begin(config: VAEConfig, trainer: VAETrainer, images: Array) -> VAEState:
    vae = config.vae()
    if config.centred and isinstance(vae, HopfieldVAE):
        vae = at_mean(vae, jnp.mean(images, axis=0))
    return VAEState.begin(vae, trainer.optimiser, key=jr.fold_in(jr.key(config.seed), 1))


def _settings(config: VAEConfig, dataset: Dataset) -> dict[str, Any]:
    return {**config.json(), "data": dataset.name, "train_examples": len(dataset.train_labels)}
