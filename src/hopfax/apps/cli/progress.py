"""Progress bars of training runs, on standard error where that is a terminal."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from .output import error_console

if TYPE_CHECKING:
    from ...training import Block
    from ...vae.training import VAEBlock


@contextlib.contextmanager
def training_bar(epochs: int, batch_size: int) -> "Iterator[Callable[[Block], None]]":
    """A function to be told of every block; shows loss, accuracy, mean steps to converge, time left."""
    console = error_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[now]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("training", total=None, now="")

        def watch(block: "Block") -> None:
            totals, examples = block.state.totals, block.batch * batch_size
            loss, accuracy = float(totals.loss) / block.batch, int(totals.correct) / examples
            now = f"loss {loss:.4f}, accuracy {accuracy:.2%}, {int(totals.steps) / examples:.1f} steps"
            done = (block.epoch - 1) * block.batches + block.batch
            epoch = f"epoch {block.epoch}/{epochs}"
            progress.update(task, total=epochs * block.batches, completed=done, description=epoch, now=now)

        yield watch


@contextlib.contextmanager
def vae_bar(epochs: int) -> "Iterator[Callable[[VAEBlock], None]]":
    """A function to be told of every block; shows loss, nudged phases that failed, time left."""
    console = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"))
    shown = {"console": console, "disable": not console.is_terminal, "transient": True}
    with Progress(*columns, TimeRemainingColumn(), **shown) as progress:
        task = progress.add_task("training", total=None, now="")

        def watch(block: "VAEBlock") -> None:
            totals = block.state.totals
            loss, failed = float(totals.total) / block.batch, int(totals.unconverged.sum())
            now = f"epoch {block.epoch}/{epochs}, loss {loss:.4f}, {failed} phases did not converge"
            done = (block.epoch - 1) * block.batches + block.batch
            progress.update(task, total=epochs * block.batches, completed=done, now=now)

        yield watch
