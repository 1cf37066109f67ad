"""The idx format, in which MNIST and its relatives are kept: a header, then unsigned bytes.

The header is two zero bytes, a type code (8: unsigned byte), the number of axes, then each axis' length as a
big-endian 32-bit integer. Files come from strangers, so no length is believed before the bytes are there.
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

from .errors import DataError

_UNSIGNED_BYTE = 8
_MAX_AXES = 32  # NumPy 1 holds no more
_CHUNK = 2**20


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = 2**30) -> UInt8[np.ndarray, "..."]:
    """The array in an idx file of unsigned bytes, raw or gzipped (told by the content, not by the name).

    Never holds more than about twice what the header announces, nor reads past it: a file that unpacks to
    more than its header says is refused as soon as that shows.

    Args:
        path: the file.
        max_bytes: the largest array to accept, in bytes.

    Raises:
        DataError: naming the file, for one that is missing or unreadable, that is no idx file of unsigned
            bytes, or that is shorter or longer than its header says.
    """
    with reading(Path(path)) as stream:
        return parse_idx(stream, str(path), max_bytes=max_bytes)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[io.BufferedIOBase]:
    """The content of `path`, unpacked if it is gzipped; whatever goes wrong is a `DataError` naming it."""
    try:
        with path.open("rb") as file, unpacked(file) as stream:
            yield stream
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"`{path}` cannot be read ({type(error).__name__}: {error}).") from error


@contextlib.contextmanager
def unpacked(file: io.BufferedIOBase) -> Iterator[io.BufferedIOBase]:
    """`file` itself, or its gunzipped content if it begins as gzip files do (which no idx file does)."""
    magic = file.read(2)
    file.seek(0)
    if magic == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream
    else:
        yield file


def read_bounded(stream: io.BufferedIOBase, limit: int) -> bytes:
    """At most `limit` bytes. In chunks, since one large `read` may allocate what it is asked for."""
    content = io.BytesIO()
    while content.tell() < limit and (chunk := stream.read(min(_CHUNK, limit - content.tell()))):
        content.write(chunk)
    return content.getvalue()


def parse_idx(stream: io.BufferedIOBase, name: str, *, max_bytes: int) -> UInt8[np.ndarray, "..."]:
    """The array in an open idx stream; `name` is what errors call it. See `read_idx`."""
    shape = _read_header(stream, name)
    size = math.prod(shape)
    if size > max_bytes:
        raise DataError(f"`{name}` announces {size} bytes for {shape}, more than the {max_bytes} allowed.")
    body = read_bounded(stream, size + 1)  # one more, to see the end (and gzip's checksum) or an excess
    if len(body) != size:
        found = "more" if len(body) > size else f"only {len(body)}"
        raise DataError(
            f"`{name}` is damaged: its header announces {size} bytes for {shape}, it holds {found}."
        )
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)


def _read_header(stream: io.BufferedIOBase, name: str) -> tuple[int, ...]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != _UNSIGNED_BYTE or not 1 <= magic[3] <= _MAX_AXES:
        raise DataError(
            f"`{name}` is no idx file of unsigned bytes: it begins with {magic.hex(' ') or 'nothing'}, "
            f"expected 00 00 08 and a number of axes from 1 to {_MAX_AXES}."
        )
    lengths = stream.read(4 * magic[3])
    if len(lengths) < 4 * magic[3]:
        raise DataError(f"`{name}` is damaged: it ends within its header.")
    shape = tuple(int.from_bytes(lengths[i : i + 4], "big") for i in range(0, len(lengths), 4))
    if 0 in shape:
        raise DataError(f"`{name}` holds nothing: its header announces {shape}.")
    return shape
