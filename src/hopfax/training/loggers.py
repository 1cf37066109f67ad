"""Loggers: numbers of a run to TensorBoard, Weights & Biases or MLflow as they come in, beside the run's own files."""

import abc
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .._internal.optional import needed
from .loop import Block
from .metrics import to_json

Settings = Mapping[str, Any]
NO_SETTINGS: Settings = MappingProxyType({})


class AbstractLogger(abc.ABC):
    """Where numbers go. Two methods, so that one of your own is a few lines."""

    @abc.abstractmethod
    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Numbers by name, after so many batches since the start of the run."""

    @abc.abstractmethod
    def close(self) -> None:
        """Told once, after the last numbers or where the run failed."""


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
    """A new run of the experiment `experiment`, made if it is not there, at `MLFLOW_TRACKING_URI`. Needs mlflow."""

    def __init__(self, experiment: str, settings: Settings = NO_SETTINGS):
        self._client = _needed("mlflow", experiment).MlflowClient()
        found = self._client.get_experiment_by_name(experiment)
        number = self._client.create_experiment(experiment) if found is None else found.experiment_id
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
    """Refuse names that `open_loggers` does not know. Raises: `ValueError`."""
    for name in names:
        kind, _, place = name.partition(":")
        if kind not in KINDS or not place:
            raise ValueError(
                f"`log` {name!r} must be one of tensorboard:FOLDER, wandb:PROJECT and mlflow:EXPERIMENT."
            )


@contextlib.contextmanager
def open_loggers(names: Sequence[str], settings: Settings = NO_SETTINGS) -> Iterator[Callable[[Block], None]]:
    """A function to be told of every block, as `hopfax.training.train(watch=...)` does it; loggers close behind it.

    Args:
        names: any of `tensorboard:FOLDER`, `wandb:PROJECT` and `mlflow:EXPERIMENT`.
        settings: of the run, such as `Recipe.config()`; kept beside the numbers.
    Raises: `ValueError` for other names, and for a package that is not installed, naming it.
    """
    check_names(names)
    with contextlib.ExitStack() as stack:
        loggers: list[AbstractLogger] = []
        for kind, _, place in (name.partition(":") for name in names):
            loggers.append(KINDS[kind](place, settings))
            stack.callback(loggers[-1].close)
        yield watching(loggers)


def watching(loggers: Sequence[AbstractLogger]) -> Callable[[Block], None]:
    """A function that tells all `loggers` of a block.

    After each block: `running_loss`, the mean cost of the epoch so far. After an epoch: all of its row of metrics, by
    the names of `hopfax.training.metrics.EpochMetrics`.
    """

    def watch(block: Block) -> None:
        numbers = numbers_of(block)
        for logger in loggers:
            logger.log(numbers, int(block.state.step))

    return watch


def numbers_of(block: Block) -> dict[str, float]:
    """The numbers of a block by name."""
    row = {} if block.metrics is None else to_json(block.metrics)
    known = {name: float(value) for name, value in row.items() if value is not None and name != "step"}
    return {"running_loss": float(block.state.totals.loss) / block.batch, **known}


def _needed(package: str, place: str) -> Any:
    return needed(f"logging to {place!r} needs {package}", package)
