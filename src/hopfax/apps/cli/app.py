"""All commands in one application; errors that the user can correct are printed as one line.

A command imports JAX, NumPy and the rest of hopfax only when it runs, so that `hopfax --help`, a typing error and
shell completion are fast.
"""

from collections.abc import Sequence
from typing import Annotated

import typer
from typer.core import TyperGroup

from .audit import audit
from .bench import bench
from .capacity import capacity
from .completion import completion
from .demo import demo
from .evaluate import evaluate
from .interrupts import EXIT_CODE, Interrupted, say_once
from .machine import data_app, info
from .models import models
from .output import one_line
from .phase import app as phase_app
from .play import play
from .recall import calibrate, recall
from .reproduce import reproduce
from .sweep import sweep
from .train import train
from .vae import app as vae_app

# Typer has brought its own copy of click since 0.26; the class has the same place in both.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]

PANELS = {
    "Start here": ("demo", "play"),
    "Hopfield networks": ("train", "sweep", "evaluate", "audit", "models"),
    "Variational autoencoders": ("vae",),
    "Associative memories": ("recall", "calibrate", "completion", "capacity", "phase"),
    "Papers and benchmarks": ("reproduce", "bench"),
    "This machine": ("data", "info"),
}
COMMANDS = {
    **{"demo": demo, "play": play, "train": train, "sweep": sweep, "evaluate": evaluate, "audit": audit},
    **{"recall": recall, "calibrate": calibrate, "completion": completion, "capacity": capacity},
    **{"models": models, "reproduce": reproduce, "bench": bench, "info": info},
}
GROUPS = {"vae": vae_app, "phase": phase_app, "data": data_app}


class OrderedGroup(TyperGroup):
    """Lists the commands in the order of `PANELS`; Typer would list groups of commands after single commands."""

    def list_commands(self, ctx) -> list[str]:
        return [name for names in PANELS.values() for name in names]


app = typer.Typer(
    name="hopfax",
    cls=OrderedGroup,
    epilog="Exit codes: 0 done; 1 a run failed; 2 the arguments, the data or a folder are wrong; 130 interrupted. "
    "There are no colours where NO_COLOR is set or the output is not a terminal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for _panel, _names in PANELS.items():
    for _name in _names:
        if _name in GROUPS:
            app.add_typer(GROUPS[_name], name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(COMMANDS[_name])


def _print_version(wanted: bool) -> bool:
    if wanted:
        from ... import __version__

        typer.echo(f"hopfax {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def hopfax(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Hopfield networks and associative memories: train them, store patterns in them, and measure them."""


def run_command(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: see `hopfax.apps.cli.run`."""
    try:
        code = app(list(arguments) or ["--help"], prog_name="hopfax", standalone_mode=False)
    except _CommandLineError as error:
        return _fail(error.format_message(), 2)  # type: ignore[attr-defined]
    except (ValueError, OSError) as error:  # those of hopfax, `DataError` among them
        return _fail(error, 2)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", EXIT_CODE)
    except Interrupted as interrupted:
        message = str(interrupted)
        say_once(lambda: typer.echo(f"hopfax: {one_line(message)}", err=True))
        return EXIT_CODE
    except Exception as error:
        if not isinstance(error, _run_failures()):
            raise
        return _fail(error, 1)
    return code if isinstance(code, int) else 0


def _run_failures() -> tuple[type[Exception], ...]:
    """What a failed run raises; `Diverged` is an `ArithmeticError`. This imports JAX."""
    from ...parallel.processes import ProcessLost

    return ArithmeticError, ProcessLost


def _fail(message: object, code: int) -> int:
    typer.echo(f"hopfax: {one_line(message)}", err=True)
    return code
