"""The commands put together, and the errors that people can mend turned into one line."""

import sys
from collections.abc import Sequence

import typer

from ...parallel.processes import ProcessLost, exit_process
from .audit import audit
from .bench import bench
from .capacity import capacity
from .data import app as data_app
from .demo import demo
from .evaluate import evaluate
from .info import info
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

app = typer.Typer(
    name="hopfax",
    help="Hopfield networks and hierarchical associative memories: train, evaluate, inspect.",
    epilog="Exit codes: 0 done; 1 a run failed; 2 arguments, data or a folder are at fault; 130 interrupted. "
    "No colours where NO_COLOR is set or the output is no terminal.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(train)
app.command()(sweep)
app.command()(evaluate)
app.command()(audit)
app.command()(info)
app.command()(recall)
app.command()(calibrate)
app.command()(capacity)
app.command()(reproduce)
app.command()(bench)
app.command()(play)
app.add_typer(data_app, name="data")
app.add_typer(phase_app, name="phase")
app.add_typer(vae_app, name="vae")


def main() -> None:
    """Run the command line of this process and exit with its code."""
    exit_process(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code.

    0 where it did its work; 2, after one line on standard error that says what to do, where its arguments,
    the data or a folder are at fault; 1 where a run failed; 130 where it was interrupted.
    """
    try:
        code = app(joined_layers(arguments) or ["--help"], prog_name="hopfax", standalone_mode=False)
    except _CommandLineError as error:
        return _fail(error.format_message(), 2)  # type: ignore[attr-defined]
    except (ValueError, OSError) as error:  # hopfax's own, a `DataError` among them
        return _fail(error, 2)
    except (ArithmeticError, ProcessLost) as error:  # a `Diverged` run among the first
        return _fail(error, 1)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", 130)
    return code if isinstance(code, int) else 0


def joined_layers(arguments: Sequence[str]) -> list[str]:
    """`--layers 784,512,10` as `--layers 784,512,10`, since an option takes one value."""
    joined: list[str] = []
    for argument in arguments:
        open_list = joined[-2:-1] == ["--layers"] or joined[-1:] and joined[-1].startswith("--layers=")
        if open_list and not argument.startswith("-"):
            joined[-1] += f",{argument}"
        else:
            joined.append(argument)
    return joined


def _fail(message: object, code: int) -> int:
    typer.echo(f"hopfax: {one_line(message)}", err=True)
    return code
