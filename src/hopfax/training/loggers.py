"""Loggers: the numbers of a run written to TensorBoard, Weights & Biases or MLflow, beside its own files."""

import abc
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .._internal.optional import needed
from .chunk import Chunk
from .job import Callback
from .metrics import to_json

Settings = Mapping[str, Any]
NO_SETTINGS: Settings = MappingProxyType({})


class AbstractLogger(abc.ABC):
    """A destination of the numbers of a run. A logger of your own needs these two methods."""

    @abc.abstractmethod
    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Write numbers by name; `step` counts the batches since the start of the run."""

    @abc.abstractmethod
    def close(self) -> None:
        """Called once, after the last numbers or where the run failed."""


class TensorBoard(AbstractLogger):
    """Event files in `folder`, for `tensorboard --logdir`. Needs tensorboardX."""

    def __init__(self, folder: str, settings: Settings = NO_SETTINGS):
        self._writer = _needed("tensorboardX", folder).SummaryWriter(folder)
        self._writer.add_text("settings", "\n".join(f"    {k}: {v}" for k, v in settings.items()))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases(AbstractLogger):
    """A new run of the project `project`. Needs wandb, and its account unless `WANDB_MODE=offline`."""

    def __init__(self, project: str, settings: Settings = NO_SETTINGS):
        self._run = _needed("wandb", project).init(project=project, config=dict(settings))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class MLflow(AbstractLogger):
    """A new run of the experiment `experiment`, which is created if needed, at `MLFLOW_TRACKING_URI`. Needs mlflow."""

    def __init__(self, experiment: str, settings: Settings = NO_SETTINGS):
        self._client = _needed("mlflow", experiment).MlflowClient()
        known = self._client.get_experiment_by_name(experiment)
        number = self._client.create_experiment(experiment) if known is None else known.experiment_id
        self._run = self._client.create_run(number).info.run_id
        for name, value in settings.items():
            self._client.log_param(self._run, name, value)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._client.log_metric(self._run, name, value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._run)


KINDS: Mapping[str, Callable[[str, Settings], AbstractLogger]] = MappingProxyType(
    {"tensorboard": TensorBoard, "wandb": WeightsAndBiases, "mlflow": MLflow}
)


def check_names(names: Sequence[str]) -> None:
    """Raises: `ValueError` for names that `open_loggers` does not know."""
    for name in names:
        kind, _, place = name.partition(":")
        if kind not in KINDS or not place:
            raise ValueError(
                f"`log` {name!r} must be one of tensorboard:FOLDER, wandb:PROJECT and mlflow:EXPERIMENT."
            )


@contextlib.contextmanager
def open_loggers(names: Sequence[str], settings: Settings = NO_SETTINGS) -> Iterator[Callback]:
    """A callback for `hopfax.training.train` that logs every chunk; the loggers are closed at the end.

    Args:
        names: any of `tensorboard:FOLDER`, `wandb:PROJECT` and `mlflow:EXPERIMENT`.
        settings: of the run, such as `Recipe.config()`; stored beside the numbers.
    Raises: `ValueError` for other names, and for a package that is not installed, naming it.
    """
    check_names(names)
    with contextlib.ExitStack() as stack:
        loggers: list[AbstractLogger] = []
        for kind, _, place in (name.partition(":") for name in names):
            loggers.append(KINDS[kind](place, settings))
            stack.callback(loggers[-1].close)
        yield log_chunks(loggers)


def log_chunks(loggers: Sequence[AbstractLogger]) -> Callback:
    """A callback that logs every chunk with all `loggers`.

    After each chunk: the means over the epoch so far, as `running_loss` and the like. After an epoch: all its metrics
    by their names, such as those of `hopfax.training.ClassificationMetrics`.
    """

    def log(chunk: Chunk) -> None:
        numbers = numbers_of(chunk)
        for logger in loggers:
            logger.log(numbers, int(chunk.state.step))

    return log


def numbers_of(chunk: Chunk) -> dict[str, float]:
    """The numbers of a chunk by name."""
    return {**{f"running_{name}": value for name, value in chunk.means().items()}, **numbers_of_epoch(chunk)}


def numbers_of_epoch(chunk: Chunk) -> dict[str, float]:
    """The numbers of the epoch that ends with a chunk, by name; none for the other chunks."""
    row = {} if chunk.metrics is None else to_json(chunk.metrics)
    return {
        name: float(value) for name, value in row.items() if isinstance(value, int | float) and name != "step"
    }


def _needed(package: str, place: str) -> Any:
    return needed(f"logging to {place!r} needs {package}", package)
