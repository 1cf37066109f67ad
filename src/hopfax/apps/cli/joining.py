"""The options of a command whose work several devices or processes share."""

from typing import Annotated

import typer

from ...parallel.processes import join

Devices = Annotated[
    int | None,
    typer.Option(
        "--devices",
        metavar="N",
        help="Devices that share each batch; one if not given, or all of those of several processes.",
        show_default=False,
    ),
]
Coordinator = Annotated[
    str | None,
    typer.Option(
        "--coordinator",
        metavar="HOST:PORT",
        help="Where process 0 of several listens; `auto` finds it under Slurm, Open MPI, Kubernetes, on a TPU pod.",
        show_default=False,
    ),
]
Processes = Annotated[
    int | None, typer.Option("--processes", help="How many processes there are.", show_default=False)
]
ProcessId = Annotated[
    int | None, typer.Option("--process-id", help="Which of them this is, from 0.", show_default=False)
]
Heartbeat = Annotated[
    int, typer.Option("--heartbeat", metavar="SECONDS", help="Silence after which a process counts as lost.")
]


def join_processes(
    coordinator: str | None, processes: int | None, process_id: int | None, heartbeat: int
) -> None:
    """Join the other processes, if there are to be others. Raises: `ValueError`; `ProcessLost`."""
    if coordinator == "auto":
        join(heartbeat=heartbeat)
    elif (coordinator, processes, process_id) != (None, None, None):
        join(coordinator, processes, process_id, heartbeat=heartbeat)
