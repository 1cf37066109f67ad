"""Jobs: training runs in a folder, saved as they go, resumed exactly, and stored with their result."""

import abc
import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh
from jaxtyping import PyTree

from .._internal.checks import require_integer, require_kind
from .._internal.files import as_path, check_config, parse_json, write_json
from .._internal.provenance import circumstances
from ..data import Dataset
from ..parallel.mesh import device_mesh, local_copy
from ..parallel.processes import broadcast_from_primary, guard_collectives, is_primary
from .checkpoint import load_checkpoint, read_metadata, save_checkpoint
from .chunk import Chunk
from .loop import first_failure, train_chunks
from .metrics import MetricsFile, from_json, to_json
from .run_folder import open_run_folder
from .trainer import Trainer, TrainState
from .watch import watched

CHECKPOINT, METRICS, RESULT = "checkpoint.safetensors", "metrics.jsonl", "run.json"

Metrics = Any  # a dataclass of numbers, one object for each epoch


class Diverged(ArithmeticError):
    """The loss or a weight became NaN or infinite."""


class AbstractJob(abc.ABC):
    """What is trained, on which data, by which settings, and how the result is measured.

    `train` and `run_and_store` do the rest: chunks, checkpoints, exact resuming, metrics, divergence and devices are
    the same for all jobs.
    """

    metrics_type: type  # of the dataclass that `epoch_metrics` returns

    @property
    @abc.abstractmethod
    def epochs(self) -> int:
        """How many epochs the schedule has."""

    @property
    @abc.abstractmethod
    def data(self) -> Dataset:
        """The data set whose training examples are trained on."""

    @abc.abstractmethod
    def config(self) -> dict[str, Any]:
        """All settings in types that JSON has; two runs with equal settings end with equal weights."""

    @abc.abstractmethod
    def trainer(self) -> Trainer:
        """The optimiser, the task and the batch size."""

    @abc.abstractmethod
    def begin(self, trainer: Trainer) -> TrainState:
        """The state before the first step."""

    @abc.abstractmethod
    def check_start(self, trainer: Trainer, model: PyTree) -> None:
        """Warns about settings that do not suit the model at the start of the run."""

    @abc.abstractmethod
    def epoch_metrics(self, chunk: Chunk, model: PyTree) -> Metrics:
        """The metrics of the epoch that ends with `chunk`."""

    @abc.abstractmethod
    def save(self, model: PyTree, folder: Path) -> None:
        """Write the trained model into the folder of the run."""

    @abc.abstractmethod
    def measure(self, model: PyTree, metrics: Sequence[Metrics]) -> dict[str, Any]:
        """The result of the finished run in types that JSON has."""


Callback = Callable[[Chunk], None]


@guard_collectives()
def train(
    job: AbstractJob,
    folder: str | Path,
    *,
    resume: bool = False,
    stop_after: int | None = None,
    checkpoint_chunks: int = 5,
    callback: Callback = lambda chunk: None,
    devices: int | None = None,
) -> tuple[PyTree, list[Metrics]]:
    """Train in `folder`: the model and the metrics of each epoch, which are also in `metrics.jsonl`.

    In a run of several processes, each of them calls this with the same arguments, and only the primary process reads
    and writes the folder.

    Args:
        folder: made if it does not exist; empty unless `resume`.
        resume: continue from the checkpoint in the folder, if it has one; the result is the same to the last bit.
        stop_after: end after this many epochs of the schedule, which stays as it is; the run can be resumed.
        checkpoint_chunks: save each time this many chunks have ended (an epoch has about 20), and after each epoch.
        callback: called with each chunk as it ends, see `hopfax.training.loggers`. An exception that it raises ends the
            run, whose state is saved.
        devices: how many share each batch; by default one, or in a run of several processes
            (`hopfax.parallel.join`) all of theirs. A checkpoint does not depend on it.
    Raises:
        ValueError: `folder` is no path, the folder is in use, or its checkpoint has other settings.
        Diverged: the loss or a weight is no longer finite, naming the first; the last good checkpoint is kept.
        ProcessLost: (`hopfax.parallel`) another process of the run has ended.
    Warns: `TrainingWarning` once where the loss at equilibrium rises over 20 chunks, and once where the activations of
        every layer saturate; not on several devices.
    """
    require_kind("job", job, AbstractJob, "ClassifierJob(recipe, dataset)")
    require_integer("checkpoint_chunks", checkpoint_chunks, 1)
    folder, epochs, mesh = as_path("folder", folder), _last_epoch(job, stop_after), _mesh(devices)
    with contextlib.ExitStack() as lock:
        broadcast_from_primary(lambda: ((), lock.enter_context(open_run_folder(folder, resume=resume))))
        run = _train(job, folder, epochs, checkpoint_chunks, callback, mesh)
    return local_copy(run.state.model), list(run.metrics)


def run_and_store(
    job: AbstractJob,
    folder: str | Path,
    *,
    resume: bool = True,
    checkpoint_chunks: int = 5,
    callback: Callback = lambda chunk: None,
    devices: int | None = None,
) -> dict[str, Any]:
    """The result of a job: read from `folder/run.json` if it is there, else made by `train` and stored.

    The trained model is in the folder too. Raises: as `train`, and `ValueError` where the stored result has other
    settings.
    """
    config, folder = job.config(), as_path("folder", folder)

    def make() -> dict[str, Any]:
        model, metrics = train(
            job,
            folder,
            resume=resume,
            checkpoint_chunks=checkpoint_chunks,
            callback=callback,
            devices=devices,
        )
        if is_primary():
            job.save(model, folder)
        return job.measure(model, metrics)

    if not resume:
        return _store(folder / RESULT, config, make())
    return stored_or_made(folder / RESULT, config, make)


def stored_or_made(
    path: Path, config: Mapping[str, Any], make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The result in the JSON file `path` if it has these settings, else that of `make`, stored with its circumstances.

    Raises: `ValueError` where the file has other settings, naming them, or is damaged.
    """
    if not path.exists():
        return _store(path, config, make())
    stored = read_result(path)
    check_config(stored["config"], config, str(path))
    return {name: value for name, value in stored.items() if name not in ("config", "circumstances")}


def data_settings(dataset: Dataset) -> dict[str, Any]:
    """What the settings of a run say of its data."""
    return {"data": dataset.name, "train_examples": len(dataset.train_labels)}


def without_data_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run without those of `data_settings`."""
    return {name: value for name, value in config.items() if name not in ("data", "train_examples")}


def read_result(path: Path) -> dict[str, Any]:
    """What a finished run stored. Raises: `ValueError` for a file that is missing or damaged."""
    try:
        content = parse_json(path.read_bytes())
        if not isinstance(content, dict) or not isinstance(content["config"], dict):
            raise TypeError("its settings are no table")
        return content
    except OSError as error:
        raise ValueError(
            f"{path.parent} has no {path.name}, so no finished run; name the folder given as --out, and finish an "
            "interrupted run with --resume."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is malformed ({type(error).__name__}: {error}); train again.") from error


def _store(path: Path, config: Mapping[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    if is_primary():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"config": config, **result, "circumstances": circumstances()}, indent=1)
    return json.loads(json.dumps(result))


@dataclasses.dataclass(frozen=True)
class _Run:
    """A run at one moment."""

    job: AbstractJob
    folder: Path
    state: TrainState
    metrics: tuple[Metrics, ...] = ()
    seconds: float = 0.0  # spent on the epoch that has begun

    def resumed(self) -> "_Run":
        """The run as saved, if it was; the same in all processes."""
        state, metadata = broadcast_from_primary(self._saved, self.state)
        if metadata is None:
            return self
        metrics = tuple(from_json(self.job.metrics_type, row) for row in metadata["metrics"])
        return dataclasses.replace(self, state=state, metrics=metrics, seconds=metadata["seconds"])

    def _saved(self) -> tuple[TrainState, dict[str, Any] | None]:
        """The content of the checkpoint. The settings are compared first: they explain a difference in shapes."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return self.state, None
        check_config(read_metadata(path)["config"], self.job.config(), str(path))
        return load_checkpoint(path, self.state)

    def begin_files(self) -> None:
        """Write a checkpoint, and the metrics so far."""
        self.save()
        if is_primary():
            MetricsFile(self.folder / METRICS, self.job.metrics_type).rewrite(self.metrics)

    def append_metrics(self) -> None:
        """Write the last metrics to disk."""
        if is_primary():
            MetricsFile(self.folder / METRICS, self.job.metrics_type).append(self.metrics[-1])

    def save(self) -> None:
        """Write a checkpoint, in the primary process."""
        if is_primary():
            metrics = [to_json(row) for row in self.metrics]
            metadata = {"config": self.job.config(), "metrics": metrics, "seconds": self.seconds}
            save_checkpoint(self.folder / CHECKPOINT, self.state, metadata)

    def after(self, chunk: Chunk) -> "_Run":
        """The run with another chunk, and at the end of an epoch its metrics."""
        if not chunk.ends_epoch:
            return dataclasses.replace(self, state=chunk.state, seconds=chunk.seconds)
        metrics = (*self.metrics, self.job.epoch_metrics(chunk, local_copy(chunk.state.model)))
        return dataclasses.replace(self, state=chunk.state, metrics=metrics, seconds=0.0)


def _train(
    job: AbstractJob, folder: Path, epochs: int, checkpoint_chunks: int, callback: Callback, mesh: Mesh | None
) -> _Run:
    """The run at its end, in its opened folder."""
    trainer, data = job.trainer(), job.data
    run = _Run(job, folder, job.begin(trainer)).resumed()
    run.begin_files()
    job.check_start(trainer, run.state.model)
    examples = data.train_images, data.train_labels
    chunks = train_chunks(trainer, run.state, *examples, epochs=epochs, seconds=run.seconds, mesh=mesh)
    chunks = chunks if mesh is not None else watched(chunks, *examples)
    for count, chunk in enumerate(chunks, start=1):
        if not chunk.finite:
            raise _diverged(job, trainer, folder, chunk, mesh)
        run = run.after(chunk)
        if chunk.ends_epoch or count % checkpoint_chunks == 0:
            run.save()
        if chunk.ends_epoch:
            run.append_metrics()
        reported = dataclasses.replace(chunk, metrics=run.metrics[-1] if chunk.ends_epoch else None)
        with _saved_on_error(run):
            callback(reported)
    return run


@contextlib.contextmanager
def _saved_on_error(run: _Run) -> Iterator[None]:
    """Save the run where the callback ends it by an exception."""
    try:
        yield
    except BaseException:
        run.save()
        raise


def _diverged(job: AbstractJob, trainer: Trainer, folder: Path, chunk: Chunk, mesh: Mesh | None) -> Diverged:
    """The error for a chunk that is not finite, after the steps since the checkpoint were repeated one by one."""
    state = _Run(job, folder, job.begin(trainer)).resumed().state
    examples = job.data.train_images, job.data.train_labels
    failed, what = first_failure(trainer, state, *examples, epochs=chunk.epoch, mesh=mesh) or (
        chunk,
        "the loss",
    )
    return Diverged(
        f"training diverged in epoch {failed.epoch}, batch {failed.batch} of {failed.batches}: {what} became NaN or "
        f"infinite. The last good state is in {folder / CHECKPOINT}; lower the learning rate."
    )


def _last_epoch(job: AbstractJob, stop_after: int | None) -> int:
    if stop_after is not None and not 1 <= stop_after <= job.epochs:
        raise ValueError(
            f"`stop_after={stop_after}` must lie between 1 and the {job.epochs} epochs of the schedule."
        )
    return job.epochs if stop_after is None else stop_after


def _mesh(devices: int | None) -> Mesh | None:
    """None for one device. Raises: `ValueError` for more than there are."""
    if jax.process_count() == 1 and devices in (None, 1):
        return None
    return device_mesh(devices)
