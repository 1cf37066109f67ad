"""Runs that go on: the settings that a folder has stored, and what a command says about an interrupted run."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .interrupts import safe_point

# What Typer passes is a context of click, of which it has brought its own copy since 0.26; its own class is a subclass.
if TYPE_CHECKING:
    Context = typer.Context
else:
    Context = typer.Context.__mro__[1]


def stored_settings(folder: Path) -> dict[str, Any] | None:
    """The settings in the checkpoint of `folder`, the same in all processes; None if there is no checkpoint.

    Raises: `ValueError` for a damaged file.
    """
    from ...parallel.processes import broadcast_from_primary
    from ...training.checkpoint import read_metadata
    from ...training.job import CHECKPOINT

    path = folder / CHECKPOINT
    read = lambda: ((), read_metadata(path)["config"] if path.exists() else None)
    return broadcast_from_primary(read)[1]


def options_on_command_line(context: Context) -> set[str]:
    """The names of the parameters that were typed, and not left at their defaults."""
    typed = context.get_parameter_source
    return {name for name in context.params if (source := typed(name)) and source.name == "COMMANDLINE"}


def refuse_other_value(option: str, value: Any, stored: Any, folder: Path) -> None:
    """Raises: `ValueError` if `value`, which was typed for `option`, is not the `stored` one of the run in `folder`."""
    if value != stored:
        raise ValueError(
            f"{option} {_text(value)} is not the setting of the run in {folder}, which is {_text(stored)}; leave "
            f"{option} out to go on with that run, or name another folder with --out."
        )


def how_to_go_on(command: str, folder: Path, directory: Path | None) -> Callable[[], str]:
    """What to say when a run in `folder` is interrupted, where `command` with --resume goes on with it."""
    from ...training.job import CHECKPOINT

    words = [*command.split(), "--out", str(folder), *(["--directory", str(directory)] if directory else [])]

    def message() -> str:
        path = folder / CHECKPOINT
        if not path.exists():
            return "interrupted before the first checkpoint; start the run again"
        return f"interrupted; the checkpoint is {path}; to go on: {shlex.join([*words, '--resume'])}"

    return message


def end_if_asked(chunk: Any, epochs: int) -> None:
    """A safe point after `chunk` of a run. Raises: `Interrupted`."""
    safe_point(more=chunk.epoch < epochs or not chunk.ends_epoch)


def _text(value: Any) -> str:
    sizes = isinstance(value, list | tuple)
    return ",".join(map(str, value)) if sizes else str(value)
