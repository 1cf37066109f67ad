"""A run in a folder: trained by a recipe, saved as it goes, and resumed as if it had never stopped."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.random as jr
from jax.sharding import Mesh

from .._internal.checks import require_kind, require_integer
from .._internal.files import check_config
from ..data import Dataset, validation_split
from ..networks.network import AbstractNetwork
from ..parallel.mesh import device_mesh, local
from ..parallel.processes import broadcast_from_primary, guard_collectives, is_primary
from .checkpoint import load_checkpoint, read_account, save_checkpoint
from .divergence import first_failure, not_finite
from .ep_checks import check_nudge
from .evaluation import evaluate
from .loop import Block, blocks, epoch_metrics
from .metrics import EpochMetrics, MetricsFile, from_json, to_json
from .recipes import Recipe
from .run_folder import opened
from .state import TrainState
from .step import Trainer

CHECKPOINT, METRICS = "checkpoint.safetensors", "metrics.jsonl"


class Diverged(ArithmeticError):
    """The loss or a weight became NaN or infinite."""


@guard_collectives()
def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    checkpoint_blocks: int = 5,
    watch: Callable[[Block], None] = lambda block: None,
    devices: int | None = None,
) -> tuple[AbstractNetwork, list[EpochMetrics]]:
    """Train by `recipe` in `folder`: the network and one row of metrics an epoch, also in `metrics.jsonl`.

    Args:
        folder: made if it is not there; empty unless `resume`.
        resume: go on from the folder's checkpoint, if it has one; the result is the same to the last bit.
        stop_after: end after so many of the recipe's epochs, whose schedule stays; it can be gone on with.
        checkpoint_blocks: save after so many blocks (there are about 20 an epoch), and after each epoch.
        watch: told of every block as it ends, see `hopfax.training.loggers`.
        devices: how many share each batch; by default one, or in a run of several processes
            (`hopfax.parallel.processes.join`) all of theirs. A checkpoint does not depend on it: a run goes on with any number.

    Of several processes each calls this with the same arguments, and the first alone reads and writes the folder.

    Raises:
        ValueError: the folder is in use, its checkpoint is of another recipe or data set, or the recipe does
            not fit the data.
        Diverged: the loss or a weight is no longer finite, naming the first; the last good checkpoint is kept.
        ProcessLost: (`hopfax.parallel.processes`) another process of the run has ended.
    """
    require_kind("recipe", recipe, Recipe, "hopfax.training.recipes.goemaere2023()")
    require_kind("dataset", dataset, Dataset, "hopfax.data.digits()")
    require_integer("checkpoint_blocks", checkpoint_blocks, 1)
    epochs, mesh = _last_epoch(recipe, stop_after), _mesh(devices)
    check_recipe(recipe, dataset)
    with contextlib.ExitStack() as alone:
        broadcast_from_primary(lambda: ((), alone.enter_context(opened(folder, resume=resume))))
        run = _trained(recipe, dataset, folder, epochs, checkpoint_blocks, watch, mesh)
    return local(run.state.model), list(run.rows)


def _trained(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    epochs: int,
    checkpoint_blocks: int,
    watch: Callable[[Block], None],
    mesh: Mesh | None,
) -> "_Run":
    """The run in its opened folder, at its end."""
    part = validation_split(dataset, recipe.validation) if recipe.validation else dataset
    trainer = make_trainer(recipe, len(part.train_labels))
    fresh = _Run(folder, _config(recipe, dataset), _begin(recipe, trainer))
    run = fresh.resumed()
    run.begin_files()
    check_nudge(trainer, run.state.model, part)
    images, labels = part.train_images, part.train_labels
    todo = blocks(trainer, run.state, images, labels, epochs=epochs, seconds=run.seconds, mesh=mesh)
    for count, block in enumerate(todo, start=1):
        if not block.finite:
            again = dataclasses.replace(fresh, state=_begin(recipe, trainer))
            raise _diverged(again, trainer, part, block, mesh)
        run = run.after(block, _row(recipe, trainer, part, block) if block.ends_epoch else None)
        if block.ends_epoch or count % checkpoint_blocks == 0:
            run.save()
        if block.ends_epoch:
            run.append_row()
        watch(dataclasses.replace(block, metrics=run.rows[-1] if block.ends_epoch else None))
    return run


def _mesh(devices: int | None) -> Mesh | None:
    """None for one device. Raises: `ValueError` for more than there are."""
    if jax.process_count() == 1 and devices in (None, 1):
        return None
    return device_mesh(devices)


def make_trainer(recipe: Recipe, examples: int) -> Trainer:
    """The trainer of a recipe, for so many training examples."""
    batches = examples // recipe.batch_size
    if not batches:
        raise ValueError(
            f"`batch_size={recipe.batch_size}` is more than the {examples} training examples; lower it."
        )
    return Trainer(
        recipe.transformation(batches),
        recipe.method,
        recipe.cost,
        batch_size=recipe.batch_size,
        shuffle=recipe.shuffle,
        smoothing=recipe.smoothing,
    )


def _last_epoch(recipe: Recipe, stop_after: int | None) -> int:
    if stop_after is not None and not 1 <= stop_after <= recipe.epochs:
        raise ValueError(
            f"`stop_after={stop_after}` must lie between 1 and the recipe's {recipe.epochs} epochs."
        )
    return recipe.epochs if stop_after is None else stop_after


def check_recipe(recipe: Recipe, dataset: Dataset) -> None:
    """Refuse layers that are not those of the data. Raises: `ValueError`."""
    pixels, classes = dataset.train_images.shape[1], dataset.classes
    if (recipe.layers[0], recipe.layers[-1]) != (pixels, classes):
        raise ValueError(
            f"layers {list(recipe.layers)} do not fit {dataset.name}: they must begin with {pixels} pixels "
            f"and end with {classes} classes."
        )


@dataclasses.dataclass(frozen=True)
class _Run:
    """All that a run is at one moment."""

    folder: Path
    config: dict[str, Any]
    state: TrainState
    rows: tuple[EpochMetrics, ...] = ()
    seconds: float = 0.0  # of the epoch that has begun

    def resumed(self) -> "_Run":
        """As saved, if it was; the same in all processes."""
        state, account = broadcast_from_primary(self._saved, self.state)
        if account is None:
            return self
        rows = tuple(from_json(row) for row in account["rows"])
        return dataclasses.replace(self, state=state, rows=rows, seconds=account["seconds"])

    def _saved(self) -> tuple[TrainState, dict[str, Any] | None]:
        """What the checkpoint holds. The settings are compared first: they explain a difference in shapes."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return self.state, None
        check_config(read_account(path)["config"], self.config, str(path))
        return load_checkpoint(path, self.state)

    def begin_files(self) -> None:
        """A checkpoint, and the metrics as far as it has come."""
        self.save()
        if is_primary():
            MetricsFile(self.folder / METRICS).rewrite(self.rows)

    def append_row(self) -> None:
        """The last row of metrics, on disk."""
        if is_primary():
            MetricsFile(self.folder / METRICS).append(self.rows[-1])

    def save(self) -> None:
        """A checkpoint, written by the first process."""
        if not is_primary():
            return
        rows = [to_json(row) for row in self.rows]
        account = {"config": self.config, "rows": rows, "seconds": self.seconds}
        save_checkpoint(self.folder / CHECKPOINT, self.state, account)

    def after(self, block: Block, row: EpochMetrics | None) -> "_Run":
        """With a block more, and at the end of an epoch its row."""
        if row is None:
            return dataclasses.replace(self, state=block.state, seconds=block.seconds)
        return dataclasses.replace(self, state=block.state, rows=(*self.rows, row), seconds=0.0)


def _begin(recipe: Recipe, trainer: Trainer) -> TrainState:
    return TrainState.begin(recipe.network(), trainer.optimiser, key=jr.fold_in(jr.key(recipe.seed), 1))


def _row(recipe: Recipe, trainer: Trainer, part: Dataset, block: Block) -> EpochMetrics:
    row, model = epoch_metrics(block, trainer.batch_size), local(block.state.model)
    row = dataclasses.replace(row, gradient_cosine=check_nudge(trainer, model, part))
    if not recipe.validation:
        return row
    images, labels, steps = part.test_images, part.test_labels, recipe.forward_steps
    held_out = evaluate(model, images, labels, method=recipe.method, steps=steps)
    return dataclasses.replace(row, validation_accuracy=held_out.accuracy)


def _diverged(fresh: _Run, trainer: Trainer, part: Dataset, block: Block, mesh: Mesh | None) -> Diverged:
    """What to say of a block that is not finite, once the steps since the checkpoint were done again."""
    images, labels = part.train_images, part.train_labels
    state = fresh.resumed().state
    found = first_failure(trainer, state, images, labels, epochs=block.epoch, mesh=mesh) or block
    names = ", ".join(not_finite(local(found.state.model)))
    return Diverged(
        f"training diverged in epoch {found.epoch}, batch {found.batch} of {found.batches}: "
        f"{f'weights of {names}' if names else 'the loss'} became NaN or infinite. The last good state is in "
        f"{fresh.folder / CHECKPOINT}; lower the learning rate."
    )


def _config(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    data = {"data": dataset.name, "train_examples": len(dataset.train_labels)}
    return {**recipe.config(), **data}
