"""Press Ctrl-C at random moments of `hopfax train`, `vae train` and `sweep`, in a terminal and by a signal.

    python tools/interrupt_training.py --times 20

Every second time in a terminal; every third time twice. Each command must end with exit code 130 and one line that
begins with "hopfax:", without a traceback, and leave a whole checkpoint or none. Prints as JSON what happened; the exit
code is 1 where something else did.
"""

import argparse
import json
import os
import pty
import random
import select
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.numpy import load_file

DIGITS = ["--data", "digits", "--epochs", "100000"]
COMMANDS = {
    "train": ["train", *DIGITS, "--layers", "64,32,10"],
    "vae train": ["vae", "train", *DIGITS, "--hidden", "16", "--latents", "2"],
    "sweep": ["sweep", *DIGITS, "--layers", "64,8,10", "--seeds", "0,1,2"],
    "sweep --jobs 2": ["sweep", *DIGITS, "--layers", "64,8,10", "--seeds", "0,1,2", "--jobs", "2"],
}
EARLIEST, LIMIT = 0.3, 120  # seconds: Python itself starts, and the longest that a command may take to end
NOT_WANTED = ("Traceback", "Exception ignored", "Error")


class Ending(NamedTuple):
    """How a command ended: exit code, seconds since Ctrl-C, lines for the user, and what is wrong."""

    code: int
    seconds: float
    lines: list[str]
    problems: list[str]


def press(process: int, screen: int, by_terminal: bool) -> None:
    if by_terminal:
        os.write(screen, b"\x03")
    else:
        os.kill(process, signal.SIGINT)


def output(screen: int, until: float) -> tuple[bytes, bool]:
    """What the command prints until this time, and whether it has ended."""
    text = b""
    while (left := until - time.monotonic()) > 0:
        if not select.select([screen], [], [], left)[0]:
            continue
        try:
            chunk = os.read(screen, 65536)
        except OSError:  # how a terminal without processes answers
            return text, True
        if not chunk:
            return text, True
        text += chunk
    return text, False


def interrupt(arguments: list[str], folder: Path, after: float, *, by_terminal: bool, twice: bool) -> Ending:
    """Run a command in a terminal of its own and press Ctrl-C so many seconds `after` its start."""
    process, screen = pty.fork()
    if not process:
        os.execv(sys.executable, [sys.executable, "-m", "hopfax", *arguments, "--out", str(folder)])
    text, ended = output(screen, time.monotonic() + after)
    pressed = time.monotonic()
    press(process, screen, by_terminal)
    if twice and not ended:
        more, ended = output(screen, time.monotonic() + 0.2)
        text += more
        if not ended:
            press(process, screen, by_terminal)
    if not ended:
        more, ended = output(screen, time.monotonic() + LIMIT)
        text += more
    if not ended:
        os.kill(process, signal.SIGKILL)
    seconds = time.monotonic() - pressed
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.close(screen)
    return judged(code, seconds, text.decode(errors="replace"), folder)


def judged(code: int, seconds: float, text: str, folder: Path) -> Ending:
    parts = text.replace("\r", "\n").split("\n")
    lines = [line[line.index("hopfax: ") :] for line in parts if "hopfax: " in line]
    lines = [line.removesuffix("\x1b[?25h") for line in lines if "Ctrl-C again" not in line]
    problems = [word for word in NOT_WANTED if word in text]
    problems += [] if code == 130 else [f"exit code {code}"]
    problems += [] if len(lines) == 1 else [f"{len(lines)} lines"]
    for path in folder.glob("**/checkpoint.safetensors"):
        try:
            load_file(path)
        except SafetensorError as error:
            problems.append(f"checkpoint: {error}")
    return Ending(code, seconds, lines, problems)


def measure(name: str, times: int, latest: float, place: Path, chance: random.Random) -> dict:
    """So many interrupts of one command, between `EARLIEST` and `latest` seconds after its start."""
    endings = []
    for count in range(times):
        after, how = (
            chance.uniform(EARLIEST, latest),
            {"by_terminal": count % 2 == 0, "twice": count % 3 == 2},
        )
        folder = place / f"{name} {count}".replace(" ", "-")
        endings.append(interrupt(COMMANDS[name], folder, after, **how))
    return {
        "times": times,
        "exit code 130": sum(ending.code == 130 for ending in endings),
        "with a checkpoint": sum(
            "checkpoint" in line for e in endings for line in e.lines if "before" not in line
        ),
        "longest seconds to end": round(max(ending.seconds for ending in endings), 2),
        "problems": [problem for ending in endings for problem in ending.problems],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="for each command")
    parser.add_argument("--latest", type=float, default=15.0, help="seconds after the start")
    parser.add_argument("--only", choices=COMMANDS, action="append", help="this command; can be repeated")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, names = random.Random(options.seed), options.only or list(COMMANDS)
    with tempfile.TemporaryDirectory() as place:
        results = {n: measure(n, options.times, options.latest, Path(place), chance) for n in names}
    print(json.dumps(results, indent=1))
    sys.exit(any(result["problems"] for result in results.values()))


if __name__ == "__main__":
    main()
