"""Lists of numbers in options: `0,1,2`, and `784 512 10` as well."""

from collections.abc import Callable
from typing import TypeVar

Number = TypeVar("Number", int, float)


def sizes(text: str) -> tuple[int, ...]:
    """Of `--layers`. Raises: `ValueError`."""
    return whole_numbers("--layers", text, "784 512 10")


def whole_numbers(option: str, text: str, example: str) -> tuple[int, ...]:
    """The whole numbers in `text`. Raises: `ValueError` that names `option` and an `example`."""
    return _numbers(option, text, int, f"whole numbers, such as {option} {example}")


def real_numbers(option: str, text: str, example: str) -> tuple[float, ...]:
    """The numbers in `text`. Raises: `ValueError` that names `option` and an `example`."""
    return _numbers(option, text, float, f"numbers, such as {option} {example}")


def _numbers(option: str, text: str, kind: Callable[[str], Number], rule: str) -> tuple[Number, ...]:
    parts = text.replace(",", " ").split() or [""]  # which is no number
    try:
        return tuple(kind(part) for part in parts)
    except ValueError as error:
        raise ValueError(f"{option} {text!r} must be {rule}.") from error
