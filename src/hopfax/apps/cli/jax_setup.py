"""What a command sets up in JAX before it computes: the cache of compiled code, and several devices or processes."""

import os
from pathlib import Path
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


def cache_compiled_code() -> None:
    """Let JAX keep compiled code in the user's cache folder if that can be written.

    A folder named by `JAX_COMPILATION_CACHE_DIR` takes precedence.
    """
    import jax
    import pooch

    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    folder = Path(pooch.os_cache("hopfax")) / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


def share_compiled_code() -> None:
    """Let child processes use the same cache: runs that differ only in the seed compile the same code."""
    import jax

    if folder := jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
