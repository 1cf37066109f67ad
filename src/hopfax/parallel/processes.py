"""Several processes of one run: joining them, what the first one knows told to all, and what to say when one is lost.

The processes are JAX's own (`jax.distributed`), which finds them under Slurm and MPI. Each runs the same program;
only the first, number 0, touches files.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from .._internal.arrays import arrays_of, replace_arrays

T = TypeVar("T")
HEARTBEAT = 60  # seconds
_STATUS = re.compile(
    r"(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED|FAILED_PRECONDITION):"
)


class ProcessLost(RuntimeError):
    """Another process of the run has ended, or cannot be reached."""


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    *,
    heartbeat: int = HEARTBEAT,
) -> None:
    """Make this process one of several; before JAX computes anything.

    Without a coordinator they are found as `jax.distributed.initialize` finds them: under Slurm (`srun`), Open MPI
    (`mpirun`), Kubernetes, or on a TPU pod.

    Args:
        coordinator: HOST:PORT of process 0, the same for all.
        processes: how many there are.
        process_id: which this is, from 0.
        heartbeat: seconds without a sign of life after which a process counts as lost.
    Raises: `ValueError` for numbers that cannot be, or where no cluster is found; `ProcessLost` where the others do
        not come; `RuntimeError` where JAX has computed already.
    """
    _check(coordinator, processes, process_id, heartbeat)
    try:
        jax.distributed.initialize(
            coordinator,
            processes,
            process_id,
            heartbeat_timeout_seconds=heartbeat,
        )
    except ValueError as error:
        raise ValueError(
            f"no cluster was found here ({error}); start the processes with srun or mpirun, or give --coordinator, "
            "--processes and --process-id."
        ) from error
    except jax.errors.JaxRuntimeError as error:
        raise ProcessLost(f"the {processes or 'other'} processes did not find each other: {error}") from error


def _check(coordinator: str | None, processes: int | None, process_id: int | None, heartbeat: int) -> None:
    given = (coordinator, processes, process_id)
    if heartbeat < 1:
        raise ValueError(f"`heartbeat={heartbeat}` must be at least 1 second.")
    if all(value is None for value in given):
        return
    if coordinator is None or processes is None or process_id is None:
        raise ValueError(
            f"coordinator {coordinator}, processes {processes} and process id {process_id} go together; give all three."
        )
    if not re.fullmatch(r".+:\d+", coordinator):
        raise ValueError(f"coordinator {coordinator!r} must be HOST:PORT, such as 10.0.0.1:8476.")
    if not 0 <= process_id < processes:
        raise ValueError(f"process id {process_id} must lie in [0, {processes}), for {processes} processes.")


def is_primary() -> bool:
    """Whether this process is the one that reads and writes files; the only one if there are no others."""
    return jax.process_index() == 0


def broadcast_from_primary(make: Callable[[], tuple[PyTree, T]], like: PyTree = ()) -> tuple[PyTree, T]:
    """What `make` gives in the first process, in all: a tree with arrays as those of `like`, and something in JSON.

    Raises: `ValueError` in all processes where `make` raises it, or `OSError`, in the first.
    """
    if jax.process_count() == 1:
        return make()
    tree, told = _attempt(make, like) if is_primary() else (like, None)
    with guard_collectives():
        told = _told(told)
    if "refused" in told:
        raise ValueError(told["refused"])
    with guard_collectives():
        found = multihost_utils.broadcast_one_to_all(arrays_of(tree))
    return replace_arrays(like, {name: np.asarray(each) for name, each in found.items()}), told["account"]


def _attempt(make: Callable[[], tuple[PyTree, Any]], like: PyTree) -> tuple[PyTree, dict[str, Any]]:
    try:
        tree, account = make()
    except (ValueError, OSError) as error:
        return like, {"refused": str(error)}
    return tree, {"account": account}


def _told(value: Any) -> Any:
    """The first process's value. Its length goes first, since all must know the shape of what they receive."""
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.asarray(len(text))))
    sent = multihost_utils.broadcast_one_to_all(np.resize(text, length))
    return json.loads(bytes(np.asarray(sent, np.uint8)))


@contextlib.contextmanager
def guard_collectives() -> Iterator[None]:
    """Around, or decorating, what waits for other processes: raises `ProcessLost` where one does not answer."""
    try:
        yield
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        if jax.process_count() == 1 or not _STATUS.match(str(error)):
            raise
        raise ProcessLost(
            f"process {jax.process_index()} of {jax.process_count()} has lost another one ({str(error)[:200]}). Look "
            "at what that one said last, and go on from the last checkpoint with --resume, with any number of devices."
        ) from error


def exit_process(code: int) -> None:
    """End this process. After a failure at once, so that the others notice: JAX would wait for them first."""
    if code and _joined():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _joined() -> bool:
    return jax.distributed.is_initialized() and jax.process_count() > 1
