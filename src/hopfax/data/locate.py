"""Where data files lie on this machine, and whether they are the right ones."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pooch

from .errors import DataError
from .idx import read_bounded, reading
from .source import IdxFile, Source

VARIABLE = "HOPFAX_DATA"


class Located(NamedTuple):
    """A file whose content has the expected hash, with that content: what was checked is what is used."""

    path: Path
    content: bytes


def places(directory: str | os.PathLike[str] | None) -> list[Path]:
    """The data directories in their order of search: the argument, `HOPFAX_DATA`, the user's cache folder.

    Raises:
        DataError: where the argument or the variable names something that is not a directory.
    """
    named = [("`directory`", directory), (f"the variable {VARIABLE}", os.environ.get(VARIABLE))]
    found = []
    for origin, place in named:
        if place is None or not os.fspath(place):
            continue
        path = Path(place).expanduser()
        if path.exists() and not path.is_dir():
            raise DataError(f"`{path}`, named by {origin}, is not a directory; name one.")
        found.append(path)
    return [*found, Path(pooch.os_cache("hopfax"))]


def locate(source: Source, file: IdxFile, directory: str | os.PathLike[str] | None) -> Located | None:
    """The first place's file, unpacked and checked, or None when no place has it.

    Raises:
        DataError: for a file that is there, in the folder of this data set, and is not what it should be.
    """
    for path, strict in candidates(source, file, directory):
        try:
            return Located(path, checked_content(path, file))
        except DataError as error:
            if strict:
                raise DataError(
                    f"{error} Replace it by {file.name} of {source.name} (raw or .gz; SHA-256 of the content "
                    f"{file.sha256}), or delete it and load again, which downloads what is missing from "
                    f"{' or '.join(source.mirrors)}; or name another directory by `directory=` or by the "
                    f"environment variable {VARIABLE}."
                ) from error
    return None


def candidates(
    source: Source, file: IdxFile, directory: str | os.PathLike[str] | None
) -> Iterator[tuple[Path, bool]]:
    """Existing paths that may be `file`, each with whether it must be."""
    for place in places(directory):
        folders = [(place / source.name, True)] + [(place, False)] * source.flat
        for folder, strict in folders:
            paths = (folder / file.name, folder / f"{file.name}.gz")
            yield from ((path, strict) for path in paths if os.path.exists(path))


def checked_content(path: Path, file: IdxFile) -> bytes:
    """The unpacked content of `path`, if it is that of `file`.

    Raises:
        DataError: naming the path, with the sizes or hashes expected and found.
    """
    with reading(path) as stream:
        content = read_bounded(stream, file.size + 1)
    check(content, file, f"`{path}`")
    return content


def check(content: bytes, file: IdxFile, origin: str) -> None:
    """Refuse content that is not that of `file`; `origin` is what the error calls it."""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 == file.sha256:
        return
    # Longer content was not read to its end, so its hash is not known.
    found = "more" if len(content) > file.size else f"{len(content)} with SHA-256 {sha256}"
    raise DataError(
        f"{origin} is not {file.name}: expected {file.size} bytes with SHA-256 {file.sha256}, found {found}."
    )
