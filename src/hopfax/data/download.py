"""Obtain missing data files from mirrors, and leave nothing behind that is not whole and right."""

import io
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

import pooch

from .errors import DataError, MissingDataError
from .idx import read_bounded, unpacked
from .locate import VARIABLE, Located, candidates, check, locate, places
from .source import IdxFile, Source

_TIMEOUT = 30  # seconds without an answer
_OVERHEAD = 2**16  # what packing may add to content that does not shrink, generously


def obtain(
    source: Source,
    directory: str | os.PathLike[str] | None = None,
    *,
    download: bool = True,
    progressbar: Any = False,
) -> list[Located]:
    """The four files of `source`, checked; missing ones are downloaded into the first data directory.

    Args:
        source: what to obtain.
        directory: the data directory to search first and to download to; see `places` for the others.
        download: whether missing files may be downloaded.
        progressbar: anything `pooch.HTTPDownloader(progressbar=...)` accepts.

    Raises:
        DataError: for a damaged file, or a folder that cannot be written to; a `MissingDataError` for a
            missing file that may not or cannot be downloaded.
    """
    found = [locate(source, file, directory) for file in source.files]  # all, before the first download
    if not download:
        _refuse_missing(source, directory, found)
    folder = places(directory)[0] / source.name
    return [
        located or _download(source, file, folder, progressbar)
        for located, file in zip(found, source.files, strict=True)
    ]


def _refuse_missing(
    source: Source, directory: str | os.PathLike[str] | None, found: list[Located | None]
) -> None:
    missing = [file for located, file in zip(found, source.files, strict=True) if located is None]
    if missing:
        searched = ", ".join(str(place / source.name) for place in places(directory))
        others = [str(path) for file in missing for path, _ in candidates(source, file, directory)]
        passed_over = f" Passed over, for their content is another: {', '.join(others)}." if others else ""
        raise MissingDataError(
            f"{source.name}: {', '.join(file.name for file in missing)} not found (raw or .gz) in {searched}."
            f"{passed_over} Allow the download with `download=True`, or name the directory that holds the "
            f"files by `directory=` or by the environment variable {VARIABLE}."
        )


def _download(source: Source, file: IdxFile, folder: Path, progressbar: Any) -> Located:
    """`file` from the first mirror that serves it right, written raw into `folder`."""
    problems = []
    for mirror in source.mirrors:
        url = f"{mirror}{file.name}.gz"
        try:
            content = _retrieve(url, file, progressbar)
        except (OSError, EOFError, zlib.error, DataError) as error:
            problems.append(f"  {url}: {type(error).__name__}: {error}")
        else:
            return Located(_write(folder / file.name, content), content)
    raise MissingDataError(
        f"{source.name}: {file.name} (SHA-256 {file.sha256}) is missing and no mirror served it:\n"
        + "\n".join(problems)
        + f"\nTry again later, put the file (raw or .gz) into {folder}, or name a directory that holds it by "
        f"`directory=` or by the environment variable {VARIABLE}."
    )


def _retrieve(url: str, file: IdxFile, progressbar: Any) -> bytes:
    """The unpacked, checked content served at `url`; in memory, so an interruption leaves nothing behind."""
    sink = _Sink(file.size + _OVERHEAD)
    fetch = pooch.HTTPDownloader(progressbar=progressbar, timeout=_TIMEOUT, chunk_size=2**16)
    fetch(url, sink, None)
    with unpacked(io.BytesIO(sink.buffer.getvalue())) as stream:
        content = read_bounded(stream, file.size + 1)
    check(content, file, "what it serves")
    return content


class _Sink:
    """A file to write to that refuses to grow past `limit` bytes, whatever a server sends."""

    def __init__(self, limit: int):
        self.limit = limit
        self.buffer = io.BytesIO()

    def write(self, chunk: bytes) -> int:
        if self.buffer.tell() + len(chunk) > self.limit:
            raise DataError(f"it serves more than {self.limit} bytes.")
        return self.buffer.write(chunk)

    def flush(self) -> None:
        pass


def _write(path: Path, content: bytes) -> Path:
    """Write by way of a temporary name in the same folder: under its own name the file is whole or absent."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            os.chmod(temporary, 0o644)  # `mkstemp` makes it private, but data directories are shared
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"`{path}` cannot be written ({type(error).__name__}: {error}). Name a writable directory by "
            f"`directory=` or by the environment variable {VARIABLE}."
        ) from error
    return path
