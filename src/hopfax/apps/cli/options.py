"""Options that several commands share, and the lists of numbers that options take."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from ...training import AbstractAugmentation

Number = TypeVar("Number", int, float)

# Those of `hopfax.data.load`, whose import is slow.
DATA_SETS = ("digits", "mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100", "svhn")


def data_sets() -> list[str]:
    """What the tab key offers after --data."""
    return list(DATA_SETS)


DataName = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="NAME",
        help=f"Data set: {', '.join(DATA_SETS)}.",
        autocompletion=data_sets,
    ),
]
OtherData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="NAME",
        help="Test on another data set than that of the training.",
        autocompletion=data_sets,
        show_default=False,
    ),
]
Directory = Annotated[
    Path | None,
    typer.Option(
        "--directory",
        metavar="DIR",
        help="Look for the data in this directory first; then in HOPFAX_DATA and in the cache of the user.",
        show_default=False,
    ),
]


def check_network_folder(folder: Path, file: str) -> None:
    """Raises: `ValueError` where `folder` has a VAE, or lacks this `file` of a finished `hopfax train`."""
    if (folder / "vae.safetensors").exists():
        raise ValueError(
            f"{folder} has a variational autoencoder, of `hopfax vae train`, and this command is for networks of "
            f"`hopfax train`; for a VAE use `hopfax vae reconstruct {folder} --out FILE.png`, sample or inpaint."
        )
    if not (folder / file).exists():
        raise ValueError(
            f"{folder} has no {file}, so no finished run; name the folder that was --out of `hopfax train`, and finish "
            "an interrupted run with --resume."
        )


def layer_sizes(text: str) -> tuple[int, ...]:
    """The value of `--layers`, such as `784,512,10`. Raises: `ValueError`."""
    return whole_numbers("--layers", text, "784,512,10")


def whole_numbers(option: str, text: str, example: str) -> tuple[int, ...]:
    """The whole numbers in `text`, which commas separate. Raises: `ValueError` naming `option` and an `example`."""
    return _numbers(
        text, int, f"{option} {text!r} must be whole numbers separated by commas, such as {example}."
    )


def real_numbers(option: str, text: str, example: str) -> tuple[float, ...]:
    """The numbers in `text`, which commas separate. Raises: `ValueError` naming `option` and an `example`."""
    return _numbers(text, float, f"{option} {text!r} must be numbers separated by commas, such as {example}.")


def augmentation(text: str) -> "AbstractAugmentation":
    """The value of `--augment`, such as `crop:4,flip`. Raises: `ValueError`."""
    from ...training import Compose

    parts = tuple(_augmentation(text, *part.partition(":")[::2]) for part in split_names(text))
    if not parts:
        raise _no_augmentation(text)
    return parts[0] if len(parts) == 1 else Compose(parts)


def _augmentation(text: str, name: str, number: str) -> "AbstractAugmentation":
    from ...training import HorizontalFlip, RandomCrop

    if name == "flip" and not number:
        return HorizontalFlip()
    if name == "crop" and number.isdecimal():
        return RandomCrop(int(number))
    raise _no_augmentation(text)


def _no_augmentation(text: str) -> ValueError:
    return ValueError(
        f"--augment {text!r} must be crop:N (of the image with N zeros added on each side), flip, or both, such as "
        "crop:4,flip."
    )


def split_names(text: str) -> list[str]:
    """The names in `text`, which commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]


def names_among(option: str, text: str, known: Collection[str]) -> list[str]:
    """The names in `text`, or all that are known if there are none. Raises: `ValueError` naming `option`."""
    names = split_names(text) or list(known)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{option} {','.join(unknown)}: choose from {', '.join(known)}.")
    return names


def _numbers(text: str, kind: Callable[[str], Number], refusal: str) -> tuple[Number, ...]:
    try:
        return tuple(kind(number) for number in text.split(","))
    except ValueError as error:
        raise ValueError(refusal) from error
