"""Where results, progress and errors of a command go: JSON, standard output, standard error."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from ...training import Chunk

Json = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="PATH", help="Write the result as JSON; `-` is standard output.", show_default=False
    ),
]
COMPILING = "compiling, about 10 s the first time"
STANDARD_OUTPUT = Path("-")


def error_console() -> Console:
    """Standard error, for progress, logs and errors."""
    return Console(stderr=True)


def check_json(path: Path | None, to_be_made: Path | None = None) -> None:
    """Refuse a path for JSON that cannot be written, before a command starts to work.

    The folder `to_be_made` need not exist yet. Raises: `ValueError`.
    """
    if path is not None and path != STANDARD_OUTPUT:
        folder = path.parent
        if folder == to_be_made and not folder.exists():
            return
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ValueError(f"--json {path} cannot be written; give a file name in a writable folder.")


def writable_folder(folder: Path, option: str = "--out") -> Path:
    """Make `folder` if it does not exist, and test that a file can be written into it.

    Returns: `folder`. Raises: `ValueError` that names the option.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ValueError(
            f"{option} {folder} cannot be written ({error.strerror}); name a writable folder."
        ) from error


def check_file(path: Path, *suffixes: str) -> None:
    """Test that `path` ends in one of these suffixes and can be written. Raises: `ValueError` that names --out."""
    if path.suffix not in suffixes:
        raise ValueError(f"--out {path} must end in {' or '.join(suffixes)}.")
    writable_folder(path.parent)


def result_table(*headings: str, title: str | None = None) -> Table:
    """A table whose first column has names and whose other columns have numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left")
    return table


def emit(result: Mapping[str, Any], path: Path | None, show: Callable[[Console], None]) -> None:
    """Write the result of a command as JSON to `path`, if there is one, and show it on standard output.

    If `path` is `-`, standard output has the JSON alone. NaN and infinities, which JSON does not have, become null.
    """
    text = json.dumps(_to_json(result), indent=2, allow_nan=False)
    if path == STANDARD_OUTPUT:
        typer.echo(text)
        return
    if path is not None:
        path.write_text(text + "\n", encoding="utf-8")
    show(Console())


def terminal_progress(*columns: str | ProgressColumn) -> Progress:
    """Progress on standard error, shown only if that is a terminal, and gone when it ends."""
    console = error_console()
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


@contextlib.contextmanager
def progress_bar(epochs: int) -> "Iterator[Callable[[Chunk], None]]":
    """A callback for the chunks of a run, which shows the epoch, the means so far and the remaining time.

    Before the first chunk it says that the run compiles.
    """
    from ...training.loggers import numbers_of_epoch

    description, means = TextColumn("{task.description}"), TextColumn("{task.fields[means]}")
    with terminal_progress(description, BarColumn(), means, TimeRemainingColumn()) as progress:
        task = progress.add_task(COMPILING, total=None, means="")
        checked = ""  # the cosine of the gradient, which is checked after each epoch

        def show(chunk: "Chunk") -> None:
            nonlocal checked
            cosine = numbers_of_epoch(chunk).get("gradient_cosine")
            checked = checked if cosine is None else f", worst cosine {cosine:.3f}"
            means = chunk.progress() + checked
            done = (chunk.epoch - 1) * chunk.batches + chunk.batch
            epoch = f"epoch {chunk.epoch}/{epochs}"
            total = epochs * chunk.batches
            progress.update(task, total=total, completed=done, description=epoch, means=means)

        yield show


@contextlib.contextmanager
def long_task(what: str, seconds: float) -> "Iterator[None]":
    """Say on a terminal what is done and about how long it takes, and show how long it has taken."""
    about = f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} minutes"
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with terminal_progress(*columns) as progress:
        progress.add_task(f"{what} ({about})", total=None)
        yield


@contextlib.contextmanager
def stages(total: int, about: str) -> "Iterator[Callable[[str], None]]":
    """A function to call with a description of each of `total` stages as it begins; on a terminal they are shown.

    Args: `about`: how long all of them take.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn(about), TimeElapsedColumn())
    with terminal_progress(*columns) as progress:
        task = progress.add_task("starting", total=total, completed=-1)
        yield lambda description: progress.update(task, description=description, advance=1)


def one_line(message: object) -> str:
    """The message without its line breaks."""
    return " ".join(str(message).split())


def _to_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value
