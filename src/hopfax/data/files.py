"""The files of a data set on this machine: found, checked by SHA-256, and downloaded by pooch if missing."""

import hashlib
import importlib.util
import io
import os
import tarfile
import textwrap
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from .._internal.files import write_atomic
from .._internal.optional import needed
from .dataset import DataError, MissingDataError
from .formats import CheckedFile
from .idx import open_file, read_bounded, unpacked
from .source import DataFile, Source, url_of

VARIABLE = "HOPFAX_DATA"
_TIMEOUT = 30  # seconds without an answer
_GZIP_OVERHEAD = 2**16  # bytes that gzip may add to incompressible content, a generous bound

Directory = str | os.PathLike[str] | None


def obtain(
    source: Source, directory: Directory = None, *, download: bool = True, progressbar: Any = False
) -> list[CheckedFile]:
    """The files of `source`, checked; missing ones are downloaded into the first data directory.

    An archive in the folder of the data set is unpacked there, if files are missing.

    Args:
        source: the data set.
        directory: the data directory to search first and to download to; `data_directories` lists the others.
        download: whether missing files may be downloaded.
        progressbar: anything `pooch.HTTPDownloader(progressbar=...)` accepts.
    Raises: `DataError` for a damaged file or a folder that cannot be written to; `MissingDataError` for a
        missing file that may not or cannot be downloaded; `ImportError` if pooch is needed and not installed.
    """
    results = [find(source, file, directory) for file in source.files]  # all, before the first download
    missing = [file for file, result in zip(source.files, results, strict=True) if result is None]
    archive = find(source, source.archive, directory) if missing and source.archive else None
    if missing and not archive and not download:
        raise MissingDataError(_not_found(source, missing, directory))
    if missing and source.archive:
        return _unpack(source, archive or _download(source, source.archive, directory, progressbar))
    return [
        result or _download(source, file, directory, progressbar)
        for result, file in zip(results, source.files, strict=True)
    ]


def data_directories(directory: Directory) -> list[Path]:
    """The data directories in their order of search: the argument, `HOPFAX_DATA`, the user's cache folder.

    pooch chooses the cache folder and is the only one to write there; without pooch there is none.
    Raises: `DataError` if the argument or the variable names something that is not a directory.
    """
    named = [("`directory`", directory), (f"the variable {VARIABLE}", os.environ.get(VARIABLE))]
    paths = []
    for origin, value in named:
        if value is None or not os.fspath(value):
            continue
        path = Path(value).expanduser()
        if path.exists() and not path.is_dir():
            raise DataError(f"`{path}`, named by {origin}, is not a directory; name one.")
        paths.append(path)
    if importlib.util.find_spec("pooch") is None:
        return paths
    import pooch

    return [*paths, Path(pooch.os_cache("hopfax"))]


def find(source: Source, file: DataFile, directory: Directory) -> CheckedFile | None:
    """The file from the first data directory that has it, or None.

    Raises: `DataError` for a file in the folder of this data set whose content is not the expected one.
    """
    for path, in_own_folder in _candidates(source, file, directory):
        try:
            return CheckedFile(path, _checked_content(path, file))
        except DataError as error:
            if in_own_folder:
                raise DataError(
                    f"{error} Replace it with {file.name} of {source.name} (raw or .gz; SHA-256 of the content "
                    f"{file.sha256}), or delete it and run `hopfax data fetch {source.name}`, which downloads "
                    f"from {' or '.join(source.mirrors)}; or name another data directory with `directory=` or "
                    f"the environment variable {VARIABLE}."
                ) from error
    return None


def _candidates(source: Source, file: DataFile, directory: Directory) -> Iterator[tuple[Path, bool]]:
    """Existing paths with the name of `file`, each with whether it is in the folder of this data set."""
    for place in data_directories(directory):
        folders = [(place / source.name, True)] + [(place, False)] * source.flat
        for folder, in_own_folder in folders:
            names = (file.name,) if file.packed else (file.name, f"{file.name}.gz")
            paths = (folder / name for name in names)
            yield from ((path, in_own_folder) for path in paths if os.path.exists(path))


def _checked_content(path: Path, file: DataFile) -> bytes:
    """The content of `path`. Raises: `DataError` if it is not that of `file`."""
    with open_file(path, packed=file.packed) as stream:
        content = read_bounded(stream, file.size + 1)
    _check_content(content, file, str(path))
    return content


def _check_content(content: bytes, file: DataFile, path: str) -> None:
    """Raises: `DataError` if `content`, read at most one byte past its end, is not that of `file`."""
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 == file.sha256:
        return
    # Longer content was not read to its end, so its hash is not known.
    actual = "more" if len(content) > file.size else f"{len(content)} with SHA-256 {sha256}"
    raise DataError(
        f"`{path}` is not {file.name}: expected {file.size} bytes with SHA-256 {file.sha256}, found {actual}."
    )


def _not_found(source: Source, missing: Sequence[DataFile], directory: Directory) -> str:
    """The message about files that may not be downloaded."""
    folders = ", ".join(str(place / source.name) for place in data_directories(directory))
    others = [str(path) for file in missing for path, _ in _candidates(source, file, directory)]
    ignored = f" Files with other content were ignored: {', '.join(others)}." if others else ""
    return (
        f"{source.name}: {', '.join(file.name for file in missing)} not found in {folders or 'any folder'}.{ignored} "
        + _remedy(source)
    )


def _remedy(source: Source) -> str:
    return (
        f"Run `hopfax data fetch {source.name}`, or put {_what_to_put(source, 'the files')} into a folder "
        f"{source.name} and set the environment variable {VARIABLE} (or `directory=`) to the directory that contains "
        "it."
    )


def _what_to_put(source: Source, files: str) -> str:
    return f"{files} (raw or .gz)" + (f" or {source.archive.name}" if source.archive else "")


def _offline(source: Source, folder: Path) -> str:
    """The message where no mirror answers."""
    hosts = " and ".join(dict.fromkeys(urlsplit(mirror).netloc for mirror in source.mirrors))
    names = ", ".join(file.name for file in source.files)
    return (
        f"{source.name} is not on this machine, and there is no answer from {hosts}. With a network, run "
        f"`hopfax data fetch {source.name}`; without one, put {_what_to_put(source, names)} into {folder}, or into a "
        f"folder {source.name} in the directory named by {VARIABLE}."
    )


def _download(source: Source, file: DataFile, directory: Directory, progressbar: Any) -> CheckedFile:
    """`file` from the first mirror that serves the right content."""
    pooch = needed(f"downloading {source.name} needs pooch", "pooch", "'hopfax[apps]'")
    pooch.get_logger().setLevel("WARNING")  # a URL that fails is in our own message
    folder = data_directories(directory)[0] / source.name
    downloader, problems, answered = _downloader(file, progressbar), [], False
    for mirror in source.mirrors:
        url = url_of(source, file, mirror)
        try:
            # The file gets its name only after its hash was checked.
            path = pooch.retrieve(url, f"sha256:{file.sha256}", file.name, folder, downloader=downloader)
        except ValueError as error:
            problems.append(f"{url}: {error}")
            answered |= not isinstance(error, _NoAnswer)
        except OSError as error:
            raise _cannot_write(folder / file.name, error) from error
        else:
            return CheckedFile(Path(path), _checked_content(Path(path), file))
    if not answered:
        raise MissingDataError(_offline(source, folder))
    raise MissingDataError(
        f"{source.name}: {file.name} (SHA-256 {file.sha256}) is not in {folder}, and no mirror served it "
        f"({'; '.join(problems)}). {_remedy(source)}"
    )


def _unpack(source: Source, archive: CheckedFile) -> list[CheckedFile]:
    """The files of `source` from its archive, checked and written beside it."""
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
        return [_unpacked_file(tar, file, archive.path) for file in source.files]


def _unpacked_file(tar: tarfile.TarFile, file: DataFile, archive: Path) -> CheckedFile:
    members = [member for member in tar if member.isfile() and Path(member.name).name == file.name]
    stream = tar.extractfile(members[0]) if members else None
    if stream is None:
        raise DataError(f"`{archive}` has no {file.name}.")
    content = read_bounded(cast(io.BufferedIOBase, stream), file.size + 1)
    _check_content(content, file, f"{archive}:{members[0].name}")
    path = archive.parent / file.name
    try:
        write_atomic(path, content)
    except OSError as error:
        raise _cannot_write(path, error) from error
    return CheckedFile(path, content)


def _cannot_write(path: Path, error: OSError) -> DataError:
    return DataError(
        f"`{path}` cannot be written ({type(error).__name__}: {error}). Name a writable directory with `directory=` or "
        f"the environment variable {VARIABLE}."
    )


def _downloader(file: DataFile, progressbar: Any) -> Callable[[str, str, Any], None]:
    """A downloader for pooch that writes unpacked content. Raises: `DataError` if a server fails or sends too much."""
    import pooch
    import requests

    fetch = pooch.HTTPDownloader(progressbar=progressbar, timeout=_TIMEOUT, chunk_size=2**16)

    def download(url: str, output: str, _: Any) -> None:
        buffer = _BoundedBuffer(file.size + _GZIP_OVERHEAD)
        try:
            fetch(url, buffer, None)
            content = buffer.content.getvalue()
            if not file.packed:
                with unpacked(io.BytesIO(content)) as stream:
                    content = read_bounded(stream, file.size + 1)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _NoAnswer("no answer") from error
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{type(error).__name__}: {textwrap.shorten(str(error), 100)}") from error
        if len(content) > file.size:
            raise DataError(f"it serves more than {file.size} bytes")
        Path(output).write_bytes(content)
        os.chmod(output, 0o644)  # pooch's temporary file is private, but data directories are shared

    return download


class _NoAnswer(DataError):
    """A server that cannot be reached."""


class _BoundedBuffer:
    """A file in memory that refuses to grow past `limit` bytes, whatever a server sends."""

    def __init__(self, limit: int):
        self.limit = limit
        self.content = io.BytesIO()

    def write(self, chunk: bytes) -> int:
        if self.content.tell() + len(chunk) > self.limit:
            raise DataError(f"it serves more than {self.limit} bytes")
        return self.content.write(chunk)

    def flush(self) -> None:
        pass
