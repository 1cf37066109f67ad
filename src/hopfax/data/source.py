"""What a downloadable data set consists of: file names, content hashes, mirrors."""

import dataclasses
import re
from typing import NamedTuple
from urllib.parse import urlsplit


class IdxFile(NamedTuple):
    """One idx file: its name without `.gz`, and the size in bytes and SHA-256 of its unpacked content.

    The unpacked content is what counts because mirrors compress differently.
    """

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A data set in four idx files, and the mirrors that serve them as `<mirror><file name>.gz`.

    Attributes:
        name: what the data set is called, also the name of its folder.
        description: one line for listings.
        files: training images, training labels, test images, test labels.
        mirrors: URLs ending in a slash, tried in order. HTTPS, save for this very machine.
        classes: how many labels there are.
        flat: whether the files may also lie in the data directory itself, not only in the folder `name`.
            Other data sets use the same file names, so there a file of another content is passed over, not
            reported.

    Raises:
        ValueError: for a name that is no plain folder name, a malformed hash or an unsafe mirror.
    """

    name: str
    description: str
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]
    mirrors: tuple[str, ...]
    classes: int = 10
    flat: bool = False

    def __post_init__(self):
        for name in (self.name, *(file.name for file in self.files)):
            if not re.fullmatch(r"\w[\w.-]*", name):
                raise ValueError(
                    f"`Source`: {name!r} is no plain file name; use letters, digits, `.`, `-`, `_`."
                )
        for file in self.files:
            if not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
                raise ValueError(f"`Source`: {file.sha256!r} is no SHA-256 in lower-case hexadecimal.")
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


MNIST = Source(
    name="mnist",
    description="60,000 + 10,000 handwritten digits, 28x28 (LeCun, Cortes, Burges)",
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    flat=True,
)

FASHION_MNIST = Source(
    name="fashion-mnist",
    description="60,000 + 10,000 pictures of clothes, 28x28 (Xiao, Rasul, Vollgraf)",
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            60_008,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
)
