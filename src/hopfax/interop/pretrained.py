"""Trained networks by name: those of the repository, of the Hugging Face hub, or of a URL."""

import dataclasses
import functools as ft
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._internal.files import parse_json
from .._internal.optional import needed
from ..networks.chn import CHN
from ..networks.files import DESCRIPTION, WEIGHTS, load_model
from ..networks.ham import HAM
from .hub import pull_model

CATALOGUE = Path(__file__).with_name("pretrained.json")
CHECKOUT = Path(__file__).parents[3] / "models"
FILES = (DESCRIPTION, WEIGHTS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainedModel:
    """A trained network of the repository.

    Attributes:
        name: that of `load_pretrained`, and of its folder in `models/`.
        task: `classification` or `completion`.
        data: the data set that it was trained on.
        error: on the test images, measured as `error_is` says.
        error_is: what `error` is.
        parameters: how many weights it has.
        layers: their sizes.
        gradient: by which it was trained.
        epochs: of its training.
        seed: of its training.
        commit: that of hopfax at which it was trained.
        sha256: of its files.
    """

    name: str
    task: str
    data: str
    error: float
    error_is: str
    parameters: int
    layers: str
    gradient: str
    epochs: int
    seed: int
    commit: str | None
    sha256: Mapping[str, str]


@ft.cache
def pretrained_models() -> Mapping[str, PretrainedModel]:
    """The trained networks of the repository by their names; their weights lie in its folder `models/`."""
    entries: list[dict[str, Any]] = parse_json(CATALOGUE.read_bytes())["models"]
    return {entry["name"]: PretrainedModel(**entry) for entry in entries}


def load_pretrained(
    name: str, *, directory: str | Path | None = None, sha256: Mapping[str, str] | None = None
) -> HAM | CHN:
    """A trained network: `load_pretrained("conv-mnist")`.

    Args:
        name: one of `pretrained_models()`; `owner/name` on the Hugging Face hub; or a URL that begins with https://,
            of a folder with the files of `hopfax.save_model`.
        directory: the folder with the networks of the repository, which is `models/` of a checkout. By default it is
            that of the checkout that hopfax is run from.
        sha256: of each file, by its name. A URL needs it, and nothing else takes it.
    Raises: `ValueError` for an unknown name, or where the hash of a file is another; `FileNotFoundError` where the
        files are not there; `ImportError` where a package for downloads is missing, and the errors of that package.
    """
    if not isinstance(name, str):
        raise ValueError(f"`name` {name!r} must be a string, such as 'conv-mnist'.")
    if name.startswith("https://"):
        return load_model(_downloaded(name, _required_hashes(sha256)))
    if sha256 is not None:
        raise ValueError(f"`sha256` is for a URL, and {name!r} is none; leave it out.")
    if "/" in name:
        return pull_model(name)
    if name not in pretrained_models():
        raise ValueError(
            f"there is no trained network {name!r}; choose from {', '.join(pretrained_models())}, or give owner/name "
            "on the Hugging Face hub, or a URL."
        )
    folder = (CHECKOUT if directory is None else Path(directory)) / name
    return _checked(folder, pretrained_models()[name].sha256)


def _required_hashes(sha256: Mapping[str, str] | None) -> Mapping[str, str]:
    """Raises: `ValueError` where a hash is missing or malformed."""
    if sha256 is None or set(sha256) != set(FILES):
        names = None if sha256 is None else sorted(sha256)
        raise ValueError(
            f"`sha256` must have the hashes of {' and '.join(FILES)} for a URL, but has {names}."
        )
    for file, value in sha256.items():
        if not re.fullmatch("[0-9a-f]{64}", value):
            raise ValueError(f"`sha256[{file!r}]` {value!r} is not a SHA-256 in lower-case hexadecimal.")
    return sha256


def _downloaded(url: str, sha256: Mapping[str, str]) -> Path:
    """The folder in the cache of the user with the files of `url`; what is there is not downloaded again."""
    pooch = needed("downloading a network needs pooch", "pooch", "'hopfax[apps]'")
    pooch.get_logger().setLevel("WARNING")
    folder = Path(pooch.os_cache("hopfax")) / "models" / sha256[WEIGHTS][:16]
    for file, value in sha256.items():
        # pooch checks the hash of a download before it gives it its name, and that of a file which is there.
        pooch.retrieve(f"{url.rstrip('/')}/{file}", f"sha256:{value}", file, folder)
    return folder


def _checked(folder: Path, sha256: Mapping[str, str]) -> HAM | CHN:
    """The network in `folder`. Raises: `FileNotFoundError` or `ValueError` where a file is missing or another one."""
    for file, expected in sha256.items():
        path = folder / file
        if not path.is_file():
            raise FileNotFoundError(
                f"`{path}` is not there. The networks are in the folder models/ of the repository of hopfax, not in "
                "the package; name that folder with `directory=`."
            )
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
        if actual != expected:
            raise ValueError(
                f"`{path}` has SHA-256 {actual}, expected {expected}; it is damaged or of another version of hopfax."
            )
    return load_model(folder)
