"""Launchers: where the runs of a sweep are computed, on this machine or under Slurm."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._internal.optional import needed


class AbstractLauncher(abc.ABC):
    """A way to do many jobs that know nothing of one another."""

    @abc.abstractmethod
    def launch(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Any]:
        """`work` done on each of `jobs`: the results, in their order. `work` is a function of a module."""


@dataclasses.dataclass(frozen=True)
class Joblib(AbstractLauncher):
    """On this machine by joblib, `processes` at a time; one does the jobs here, one after the other."""

    processes: int = 1

    def __post_init__(self):
        if self.processes < 1:
            raise ValueError(f"`Joblib(processes={self.processes})` must be at least 1.")

    def launch(self, work, jobs):
        import joblib

        return list(joblib.Parallel(n_jobs=self.processes)(joblib.delayed(work)(job) for job in jobs))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Submitit(AbstractLauncher):
    """As an array of Slurm jobs by submitit, which this process waits for.

    Attributes:
        logs: submitit's folder, of what the jobs print and of their pickled arguments; all nodes must see it.
        minutes: the most that a job may take.
        cpus, gpus: for each job.
        at_once: the most jobs at one time.
        partition: of Slurm; its own choice if None.
        cluster: what submitit calls it: "slurm"; or "local", processes on this machine, or "debug", this process.

    Raises: when launched, `ImportError` without submitit, `ValueError` where there is no such cluster.
    """

    logs: Path
    minutes: int = 60
    cpus: int = 1
    gpus: int = 0
    at_once: int = 64
    partition: str | None = None
    cluster: str = "slurm"

    def __post_init__(self):
        for name, least in (("minutes", 1), ("cpus", 1), ("gpus", 0), ("at_once", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"`Submitit({name}={getattr(self, name)})` must be at least {least}.")

    def launch(self, work, jobs):
        if not jobs:
            return []
        try:
            executor = _submitit().AutoExecutor(folder=self.logs, cluster=self.cluster)
        except RuntimeError as error:
            raise ValueError(
                f"`Submitit(cluster={self.cluster!r})` cannot be used on this machine: {error} Start on one of the "
                "cluster's, or use `Joblib()`."
            ) from error
        settings: dict[str, Any] = {"timeout_min": self.minutes, "slurm_array_parallelism": self.at_once}
        settings |= {"cpus_per_task": self.cpus, "gpus_per_node": self.gpus}
        settings |= {"slurm_partition": self.partition} if self.partition else {}
        executor.update_parameters(**settings)
        return [job.result() for job in executor.map_array(work, list(jobs))]


def _submitit() -> Any:
    return needed("Slurm jobs need submitit", "submitit", "'hopfax[cluster]'")
