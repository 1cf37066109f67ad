"""Launchers: where the runs of a sweep are executed, on this machine or under Slurm."""

import abc
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .._internal.optional import needed


class AbstractLauncher(abc.ABC):
    """A way to execute independent jobs."""

    @abc.abstractmethod
    def launch(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Any]:
        """The results of `work(job)` for all jobs, in their order; `work` must be a function at module level."""


@dataclasses.dataclass(frozen=True)
class Joblib(AbstractLauncher):
    """Executes jobs on this machine, `processes` at a time.

    One process executes them here, one after the other; more are started by joblib.
    Raises: `ValueError` for less than one process; when launched with more than one, `ImportError` without joblib.
    """

    processes: int = 1

    def __post_init__(self):
        if self.processes < 1:
            raise ValueError(f"`Joblib(processes={self.processes})` must be at least 1.")

    def launch(self, work, jobs):
        if self.processes == 1:
            return [work(job) for job in jobs]
        needed("several processes at a time need joblib", "joblib", "'hopfax[apps]'")
        import joblib

        return list(joblib.Parallel(n_jobs=self.processes)(joblib.delayed(work)(job) for job in jobs))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Submitit(AbstractLauncher):
    """Executes jobs as a Slurm job array by submitit; the calling process waits for it.

    Attributes:
        logs: submitit's folder for the output of the jobs and their pickled arguments; all nodes must see it.
        minutes: the time limit of a job.
        cpus, gpus: the number of each per job.
        at_once: the largest number of jobs at a time.
        partition: the Slurm partition; Slurm's default if None.
        cluster: the executor of submitit: "slurm"; or "local", processes on this machine, or "debug", this process.
    Raises: `ValueError` for a number out of range; when launched, `ImportError` without submitit and `ValueError` if
        there is no such cluster.
    """

    logs: str | Path
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
        submitit = needed("Slurm jobs need submitit", "submitit", "'hopfax[cluster]'")
        try:
            executor = submitit.AutoExecutor(folder=self.logs, cluster=self.cluster)
        except RuntimeError as error:
            raise ValueError(
                f"`Submitit(cluster={self.cluster!r})` cannot be used on this machine: {error} Start it on a machine "
                "of the cluster, or use `Joblib()`."
            ) from error
        settings: dict[str, Any] = {"timeout_min": self.minutes, "slurm_array_parallelism": self.at_once}
        settings |= {"cpus_per_task": self.cpus, "gpus_per_node": self.gpus}
        settings |= {"slurm_partition": self.partition} if self.partition else {}
        executor.update_parameters(**settings)
        return [job.result() for job in executor.map_array(work, list(jobs))]
