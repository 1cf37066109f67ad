"""Runs of several processes: joining them, broadcasting from the primary one, and the loss of one.

The processes are those of `jax.distributed`, which finds them under Slurm and MPI. All run the same program; only the
primary process, number 0, reads and writes files.
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
    """Another process of the run has ended or cannot be reached."""


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    *,
    heartbeat: int = HEARTBEAT,
) -> None:
    """Join the other processes of a run. Call it before JAX computes anything.

    Without a coordinator, `jax.distributed.initialize` finds the processes itself: under Slurm (`srun`), Open MPI
    (`mpirun`), Kubernetes, or on a TPU pod.

    Args:
        coordinator: HOST:PORT of process 0, the same for all processes.
        processes: the number of processes.
        process_id: the number of this process, from 0.
        heartbeat: seconds without a heartbeat after which a process counts as lost.
    Raises: `ValueError` for numbers out of range, or if no cluster is found; `ProcessLost` if the other processes do
        not join; `RuntimeError` if JAX has already computed something.
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
            f"no cluster was found ({error}); start the processes with srun or mpirun, or give --coordinator, "
            "--processes and --process-id."
        ) from error
    except jax.errors.JaxRuntimeError as error:
        raise ProcessLost(f"the {processes or 'other'} processes did not find each other: {error}") from error


def _check(coordinator: str | None, processes: int | None, process_id: int | None, heartbeat: int) -> None:
    if heartbeat < 1:
        raise ValueError(f"`heartbeat={heartbeat}` must be at least 1 second.")
    if coordinator is None and processes is None and process_id is None:
        return
    if coordinator is None or processes is None or process_id is None:
        raise ValueError(
            f"coordinator {coordinator}, processes {processes} and process id {process_id}: give all three or none."
        )
    if not re.fullmatch(r".+:\d+", coordinator):
        raise ValueError(f"coordinator {coordinator!r} must be HOST:PORT, such as 10.0.0.1:8476.")
    if not 0 <= process_id < processes:
        raise ValueError(f"process id {process_id} must lie in [0, {processes}), for {processes} processes.")


def is_primary() -> bool:
    """Whether this process is number 0, which reads and writes files; True if there is only one process."""
    return jax.process_index() == 0


def broadcast_from_primary(make: Callable[[], tuple[PyTree, T]], like: PyTree = ()) -> tuple[PyTree, T]:
    """Call `make` in the primary process and return its result in all processes.

    `make` returns a tree with arrays like those of `like`, and a value that JSON can hold.
    Raises: `ValueError` in all processes if `make` raises `ValueError` or `OSError`.
    """
    if jax.process_count() == 1:
        return make()
    tree, outcome = _attempt(make, like) if is_primary() else (like, None)
    with guard_collectives():
        outcome = _broadcast_json(outcome)
    if "error" in outcome:
        raise ValueError(outcome["error"])
    with guard_collectives():
        arrays = multihost_utils.broadcast_one_to_all(arrays_of(tree))
    return replace_arrays(like, {name: np.asarray(array) for name, array in arrays.items()}), outcome["value"]


def _attempt(make: Callable[[], tuple[PyTree, Any]], like: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """The tree that `make` returns, and its value or the message of its error."""
    try:
        tree, value = make()
    except (ValueError, OSError) as error:
        return like, {"error": str(error)}
    return tree, {"value": value}


def _broadcast_json(value: Any) -> Any:
    """The value of the primary process. Its length is sent first: all must know the shape of what they receive."""
    text = np.frombuffer(json.dumps(value).encode(), np.uint8)
    length = int(multihost_utils.broadcast_one_to_all(np.asarray(len(text))))
    sent = multihost_utils.broadcast_one_to_all(np.resize(text, length))
    return json.loads(bytes(np.asarray(sent, np.uint8)))


@contextlib.contextmanager
def guard_collectives() -> Iterator[None]:
    """A context manager or decorator for code that waits for other processes.

    Raises: `ProcessLost` if one of them does not answer.
    """
    try:
        yield
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        if jax.process_count() == 1 or not _STATUS.match(str(error)):
            raise
        raise ProcessLost(
            f"process {jax.process_index()} of {jax.process_count()} has lost another one ({str(error)[:200]}). Read "
            "the last output of that process, and continue from the last checkpoint with --resume, on any number of "
            "devices."
        ) from error


def exit_process(code: int) -> None:
    """End this process. After a failure it ends at once, so that the others notice; JAX would wait for them."""
    if code and _joined():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _joined() -> bool:
    return jax.distributed.is_initialized() and jax.process_count() > 1
