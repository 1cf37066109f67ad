"""Seconds to import hopfax beside those of the libraries that it is built on, and seconds of `hopfax --help`.

    python benchmarks/import_time.py

Each measurement is a new process. The commands take turns. The first round, which warms the file cache, is dropped.
"""

import statistics
import subprocess
import sys
import time

from common import arguments, write

COMMANDS = {
    "python": "pass",
    "jax, equinox, optimistix": "import jax, equinox, optimistix",
    "hopfax": "import hopfax",
    "hopfax, with relax and HAM": "import hopfax; hopfax.relax; hopfax.HAM",
    "hopfax --help": "import hopfax.apps.cli as cli; cli.run(['--help'])",
}


def main() -> None:
    options = arguments(__doc__).parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds + 1):
        for name, code in COMMANDS.items():
            seconds[name].append(_seconds_of(code))
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    ratio = medians["hopfax, with relax and HAM"] / medians["jax, equinox, optimistix"]
    result = {"rounds": options.rounds, "seconds": medians, "ratio of hopfax to its libraries": ratio}
    write("import_time", result, options.json)


def _seconds_of(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
