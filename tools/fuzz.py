"""Fuzz what reads files with atheris. Needs atheris: pip install atheris.

    python tools/fuzz.py --seconds 3600

Readers and valid files are those of `tests/readers.py`; the first byte of an input chooses the reader. One that raises
what is not hopfax's own, hangs for a minute or takes more than two gigabytes ends the tool with a code other than 0,
and its input is left in this folder.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3600)
    seconds = parser.parse_args().seconds
    with atheris.instrument_imports(include=["hopfax"]):
        from readers import READERS, attempt

    readers = list(READERS.values())

    def one(content: bytes) -> None:
        if content:
            attempt(readers[content[0] % len(readers)], content[1:])

    with tempfile.TemporaryDirectory() as corpus:
        for number, reader in enumerate(readers):
            (Path(corpus) / str(number)).write_bytes(bytes([number]) + reader.valid)
        limits = [f"-max_total_time={seconds}", "-timeout=60", "-rss_limit_mb=2048", "-max_len=4096"]
        atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
