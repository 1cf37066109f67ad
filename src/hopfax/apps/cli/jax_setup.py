"""What a command sets up in JAX before it computes on several devices or processes."""

from typing import Annotated

import typer

PANEL = "Several devices or processes"
Devices = Annotated[
    int | None,
    typer.Option(
        "--devices",
        metavar="N",
        help="Number of devices that share each batch. Default: one; with several processes, all of theirs.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Coordinator = Annotated[
    str | None,
    typer.Option(
        "--coordinator",
        metavar="HOST:PORT",
        help="Address of process 0; `auto` finds it under Slurm, Open MPI and Kubernetes and on a TPU pod.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Processes = Annotated[
    int | None,
    typer.Option("--processes", help="Number of processes.", show_default=False, rich_help_panel=PANEL),
]
ProcessId = Annotated[
    int | None,
    typer.Option(
        "--process-id", help="Number of this process, from 0.", show_default=False, rich_help_panel=PANEL
    ),
]
Heartbeat = Annotated[
    int,
    typer.Option(
        "--heartbeat",
        metavar="SECONDS",
        help="A process that is silent for so long counts as lost.",
        rich_help_panel=PANEL,
    ),
]


def join_processes(
    coordinator: str | None, processes: int | None, process_id: int | None, heartbeat: int
) -> None:
    """Join the other processes if an option says that there are any. Raises: `ValueError`; `ProcessLost`."""
    if (coordinator, processes, process_id) == (None, None, None):
        return
    from ...parallel.processes import join

    if coordinator == "auto":
        join(heartbeat=heartbeat)
    else:
        join(coordinator, processes, process_id, heartbeat=heartbeat)
