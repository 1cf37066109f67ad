"""The progress bar of a training run, on standard error if that is a terminal."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .output import error_console

if TYPE_CHECKING:
    from ...training import Chunk


@contextlib.contextmanager
def progress_bar(epochs: int) -> "Iterator[Callable[[Chunk], None]]":
    """A callback for the chunks of a run, which shows the epoch, the means so far and the remaining time."""
    console = error_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[means]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("training", total=None, means="")

        def show(chunk: "Chunk") -> None:
            means = ", ".join(f"{name} {value:.4g}" for name, value in list(chunk.means().items())[:3])
            done = (chunk.epoch - 1) * chunk.batches + chunk.batch
            epoch = f"epoch {chunk.epoch}/{epochs}"
            total = epochs * chunk.batches
            progress.update(task, total=total, completed=done, description=epoch, means=means)

        yield show
