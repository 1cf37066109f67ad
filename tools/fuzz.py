"""Fuzz what reads files with atheris, each reader for its share of the time. Needs atheris: pip install atheris.

    python tools/fuzz.py --seconds 3600

Readers and valid files are those of `tests/readers.py`. A reader that raises what is not hopfax's own, hangs for ten
seconds or takes more than a gigabyte stops the tool with code 1 or more, and its input is left in this folder.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def fuzz(name: str, seconds: int, corpus: str) -> None:
    """One reader, in this process, which atheris ends."""
    import atheris

    with atheris.instrument_imports(
        include=["hopfax.data.idx", "hopfax.modelfile", "hopfax.settings", "hopfax.recipes"]
    ):
        from readers import READERS, attempt

    (Path(corpus) / "valid").write_bytes(READERS[name].valid)
    limits = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-max_len=4096",
        "-verbosity=0",
    ]
    atheris.Setup(
        [sys.argv[0], *limits, "-print_final_stats=1", corpus],
        lambda content: attempt(READERS[name], content),
    )
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3600, help="In all.")
    parser.add_argument("--reader", help=argparse.SUPPRESS)
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.reader:
        fuzz(given.reader, given.seconds, given.corpus)
    else:
        fuzz_all(given.seconds)


def fuzz_all(seconds: int) -> None:
    """Each reader in a process of its own, with libFuzzer's limits."""
    from readers import READERS

    each = max(1, seconds // len(READERS))
    for name in READERS:
        with tempfile.TemporaryDirectory() as corpus:
            print(f"{name}: {each} s", flush=True)
            command = [sys.executable, __file__, "--reader", name, "--seconds", str(each), "--corpus", corpus]
            if code := subprocess.run(command).returncode:
                sys.exit(code)
    print("nothing found")


if __name__ == "__main__":
    main()
