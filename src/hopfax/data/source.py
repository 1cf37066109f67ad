"""What defines a downloadable data set: file names, hashes of their content, their format, mirrors."""

import dataclasses
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from .formats import AbstractFormat, Idx


class DataFile(NamedTuple):
    """One file of a data set: its name, and the size in bytes and SHA-256 of its content.

    The content is the unpacked one, because mirrors compress differently: the file `name` may be raw, or gzipped as
    `name.gz`. If the name itself ends in `.gz`, the content is that of the gzipped file.
    """

    name: str
    size: int
    sha256: str

    @property
    def packed(self) -> bool:
        """Whether the content is that of a gzipped file."""
        return self.name.endswith(".gz")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """The files of a data set, their format, and the mirrors that serve them.

    Attributes:
        name: the name of the data set and of its folder.
        description: one line for listings.
        files: in the order of the format; of `Idx()`, training images, training labels, test images, test labels.
        mirrors: URLs that end in a slash, tried in order. HTTPS, except for this machine itself.
        classes: the number of classes.
        format: how images and labels are read from the files.
        suffix: a mirror serves each file as `<mirror><file name><suffix>`; a name that ends in `.gz` gets no suffix.
        archive: the tar file that mirrors serve in place of the files, if they do.
        flat: whether the files may also lie in the data directory itself, not only in its folder `name`.
            Other data sets use the same file names, so a file there with other content is ignored, not
            reported as damaged.
    Raises: `ValueError` for a name that is not a plain folder name, a malformed hash or an unsafe mirror.
    """

    name: str
    description: str
    files: tuple[DataFile, ...]
    mirrors: tuple[str, ...]
    classes: int = 10
    format: AbstractFormat = Idx()
    suffix: str = ".gz"
    archive: DataFile | None = None
    flat: bool = False

    def __post_init__(self):
        served = self.files if self.archive is None else (*self.files, self.archive)
        for name in (self.name, *(file.name for file in served)):
            if not re.fullmatch(r"\w[\w.-]*", name):
                raise ValueError(
                    f"`Source`: {name!r} is not a plain file name; use letters, digits, `.`, `-`, `_`."
                )
        for file in served:
            if not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
                raise ValueError(f"`Source`: {file.sha256!r} is not a SHA-256 in lower-case hexadecimal.")
        for mirror in self.mirrors:
            if not mirror.endswith("/") or not _is_safe(mirror):
                raise ValueError(
                    f"`Source(mirrors=...)`: {mirror!r} must begin with https:// and end with a slash."
                )


def _is_safe(mirror: str) -> bool:
    url = urlsplit(mirror)
    return url.scheme == "https" or (
        url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")
    )


def url_of(source: Source, file: DataFile, mirror: str) -> str:
    """Where a mirror serves a file of `source`, or its archive."""
    return f"{mirror}{file.name}{'' if file.packed else source.suffix}"
