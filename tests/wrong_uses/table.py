"""A row of the table of wrong uses."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple


class Tensor:
    """An array of another library, which JAX does not take, for a layer of two neurons."""

    shape, ndim, dtype = (2,), 1, "float32"


class Row(NamedTuple):
    """A wrong use by name; `call` is given an empty folder, and must raise `error` with a message like `pattern`."""

    name: str
    call: Callable[[Path], object]
    error: type[Exception] | tuple[type[Exception], ...]
    pattern: str
