"""The definition of a downloadable data set: file names, hashes of their content, mirrors."""

import dataclasses
import re
from typing import NamedTuple
from urllib.parse import urlsplit


class IdxFile(NamedTuple):
    """One idx file: its name without `.gz`, and the size in bytes and SHA-256 of its unpacked content.

    The hash is of the unpacked content because mirrors compress differently.
    """

    name: str
    size: int
    sha256: str


Files = tuple[IdxFile, IdxFile, IdxFile, IdxFile]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A data set in four idx files, and the mirrors that serve them as `<mirror><file name>.gz`.

    Attributes:
        name: the name of the data set and of its folder.
        description: one line for listings.
        files: training images, training labels, test images, test labels.
        mirrors: URLs that end in a slash, tried in order. HTTPS, except for this machine itself.
        classes: the number of classes.
        flat: whether the files may also lie in the data directory itself, not only in its folder `name`.
            Other data sets use the same file names, so a file there with other content is ignored, not
            reported as damaged.
    Raises: `ValueError` for a name that is not a plain folder name, a malformed hash or an unsafe mirror.
    """

    name: str
    description: str
    files: Files
    mirrors: tuple[str, ...]
    classes: int = 10
    flat: bool = False

    def __post_init__(self):
        for name in (self.name, *(file.name for file in self.files)):
            if not re.fullmatch(r"\w[\w.-]*", name):
                raise ValueError(
                    f"`Source`: {name!r} is not a plain file name; use letters, digits, `.`, `-`, `_`."
                )
        for file in self.files:
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


def _mnist_files(train_images: str, train_labels: str, test_images: str, test_labels: str) -> Files:
    """Files with the names and sizes of MNIST, which Fashion-MNIST shares, and these hashes."""
    return (
        IdxFile("train-images-idx3-ubyte", 47_040_016, train_images),
        IdxFile("train-labels-idx1-ubyte", 60_008, train_labels),
        IdxFile("t10k-images-idx3-ubyte", 7_840_016, test_images),
        IdxFile("t10k-labels-idx1-ubyte", 10_008, test_labels),
    )


MNIST = Source(
    name="mnist",
    description="60,000 + 10,000 handwritten digits, 28x28 (LeCun, Cortes, Burges)",
    files=_mnist_files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
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
    files=_mnist_files(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
)
