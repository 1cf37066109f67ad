"""The command line: `hopfax`, or `python -m hopfax`."""

import sys
from collections.abc import Sequence

from .interrupts import EXIT_CODE, exit_at_once, watch_interrupts

NEEDED = ("typer", "rich")


def main() -> None:
    """Run the command that this process was started with, and exit with its code."""
    watch_interrupts()
    code = run(sys.argv[1:])
    if code == EXIT_CODE:
        exit_at_once()  # Python's clean-up would leave a second Ctrl-C to the system
    if code and "jax" in sys.modules:  # only then can other processes be waiting for this one
        from ...parallel.processes import exit_process

        exit_process(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0: done. 1: a run failed. 2: the arguments, the data or a folder are wrong, or a package is missing; one line on
    standard error says which and what to do. 130: interrupted.
    """
    try:
        from .app import run_command
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in NEEDED:
            raise
        sys.stderr.write(
            f"hopfax: the commands need {package}, which is not installed: pip install 'hopfax[apps]'\n"
        )
        return 2
    return run_command(arguments)
