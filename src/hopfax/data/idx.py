"""The idx format, in which MNIST and similar data sets are distributed: a header, then unsigned bytes.

The header is two zero bytes, a type code (8: unsigned byte), the number of axes, then the length of each axis as a
big-endian 32-bit integer. Files are not trusted: memory is allocated for bytes that were read, not for announced ones.
"""

import contextlib
import gzip
import io
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from .dataset import DataError

_UNSIGNED_BYTE = 8
_MAX_AXES = 32  # NumPy 1 holds no more
_CHUNK = 2**20


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = 2**30) -> UInt8[np.ndarray, "..."]:
    """The array in an idx file of unsigned bytes, raw or gzipped (recognised by the content, not by the name).

    At most about twice the announced size is held in memory, and reading stops one byte past it, so a small gzip
    file that unpacks to a huge one does no harm.

    Args:
        path: the file.
        max_bytes: the largest array to accept, in bytes.
    Raises: `DataError` for a file that is missing or unreadable, that is not an idx file of unsigned bytes, or that
        is shorter or longer than its header announces.
    """
    with open_file(Path(path)) as stream:
        return parse_idx(stream, str(path), max_bytes=max_bytes)


@contextlib.contextmanager
def open_file(path: Path, *, packed: bool = False) -> Iterator[io.BufferedIOBase]:
    """The content of `path`, unpacked if it is gzipped and is not to stay `packed`.

    Raises: `DataError`, which names the file, if reading fails.
    """
    try:
        with path.open("rb") as file, contextlib.nullcontext(file) if packed else unpacked(file) as stream:
            yield stream
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"`{path}` cannot be read ({type(error).__name__}: {error}).") from error


@contextlib.contextmanager
def unpacked(file: io.BufferedIOBase) -> Iterator[io.BufferedIOBase]:
    """`file` itself, or its unpacked content if it begins like a gzip file (which no idx file does)."""
    magic = file.read(2)
    file.seek(0)
    if magic == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream
    else:
        yield file


def read_bounded(stream: io.BufferedIOBase, limit: int) -> bytes:
    """At most `limit` bytes, read in chunks, since one large `read` may allocate all of `limit` at once."""
    content = io.BytesIO()
    while content.tell() < limit and (chunk := stream.read(min(_CHUNK, limit - content.tell()))):
        content.write(chunk)
    return content.getvalue()


def parse_idx(stream: io.BufferedIOBase, name: str, *, max_bytes: int) -> UInt8[np.ndarray, "..."]:
    """The array in an open idx stream; `name` is its name in error messages. See `read_idx`."""
    shape = _read_header(stream, name)
    size = math.prod(shape)
    if size > max_bytes:
        raise DataError(f"`{name}` announces {size} bytes for {shape}, more than the {max_bytes} allowed.")
    body = read_bounded(
        stream, size + 1
    )  # one byte more, to reach the end (and gzip's checksum) or see an excess
    if len(body) != size:
        actual = "more" if len(body) > size else f"only {len(body)}"
        raise DataError(
            f"`{name}` is damaged: its header announces {size} bytes for {shape}, it holds {actual}."
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _read_header(stream: io.BufferedIOBase, name: str) -> tuple[int, ...]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != _UNSIGNED_BYTE or not 1 <= magic[3] <= _MAX_AXES:
        raise DataError(
            f"`{name}` is not an idx file of unsigned bytes: it begins with {magic.hex(' ') or 'nothing'}, "
            f"expected 00 00 08 and a number of axes from 1 to {_MAX_AXES}."
        )
    lengths = stream.read(4 * magic[3])
    if len(lengths) < 4 * magic[3]:
        raise DataError(f"`{name}` is damaged: it ends inside its header.")
    shape = tuple(int.from_bytes(lengths[i : i + 4], "big") for i in range(0, len(lengths), 4))
    if 0 in shape:
        raise DataError(f"`{name}` is empty: its header announces the shape {shape}.")
    return shape
