"""Objects as JSON and back: `{"kind": class name, field: value, ...}`.

Only classes in the registry are constructed, so a file cannot make hopfax run other code.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import numpy as np

Take = Callable[[str, tuple[int, ...]], Any]
PLAIN = bool | int | float | str | None


class Registry:
    """The classes that can be written and read, by name.

    Args:
        title: names them in error messages.
        classes: the classes that can be read.
        others: whether objects of other `eqx.Module` classes are written too.
    """

    def __init__(self, title: str, classes: Iterable[type], others: bool = False):
        self.title, self.classes, self.others = title, {kind.__name__: kind for kind in classes}, others

    def extended(self, types: Iterable[type]) -> "Registry":
        """The registry with `types` added.

        Raises: `ValueError` for an object that is no class, or the name of another class.
        """
        types = tuple(types)
        for kind in types:
            if not isinstance(kind, type) or self.classes.get(kind.__name__, kind) is not kind:
                raise ValueError(
                    f"`types` has {kind!r:.80}; give classes, of other names than {self._known()}."
                )
        return Registry(self.title, (*self.classes.values(), *types), self.others)

    def to_dict(self, value: Any, arrays: dict[str, np.ndarray] | None = None, path: str = "") -> Any:
        """`value` in JSON types. Its arrays are added to `arrays` under their paths, which begin with `path`.

        Raises: `ValueError` for an object of another class, and for an array if `arrays` is None.
        """
        if isinstance(value, PLAIN):
            return value
        if isinstance(value, tuple | list):
            return [self.to_dict(item, arrays, f"{path}.{i}") for i, item in enumerate(value)]
        if eqx.is_array(value) and arrays is not None:
            arrays[path] = np.asarray(value)
            return {"array": path, "shape": list(value.shape)}
        kind = type(value).__name__
        other = type(value) if self.others and isinstance(value, eqx.Module) else None
        if self.classes.get(kind, other) is not type(value):
            raise ValueError(f"{value!r:.80} cannot be written as {self.title}; known are {self._known()}.")
        fields = [field.name for field in dataclasses.fields(value)]
        described = {name: self.to_dict(getattr(value, name), arrays, f"{path}.{name}") for name in fields}
        return {"kind": kind, **described}

    def from_dict(self, description: Any, take: Take | None = None) -> Any:
        """The value that `to_dict` described; `take(path, shape)` returns its arrays.

        Raises: `ValueError` for an unknown class, or for fields that do not fit it.
        """
        if isinstance(description, list):
            return tuple(self.from_dict(item, take) for item in description)
        if not isinstance(description, Mapping):
            return description
        if "array" in description and take is not None:
            return take(str(description["array"]), tuple(description["shape"]))
        kind = str(description.get("kind"))
        if kind not in self.classes:
            hint = " Give the class of your own in `types`." if self.others else ""
            raise ValueError(f"{kind!r} is unknown as {self.title}; known are {self._known()}.{hint}")
        fields = {name: self.from_dict(value, take) for name, value in description.items() if name != "kind"}
        return self._made(kind, fields)

    def _made(self, kind: str, fields: Mapping[str, Any]) -> Any:
        expected = {field.name for field in dataclasses.fields(self.classes[kind])}
        if fields.keys() != expected:
            raise ValueError(f"{kind} has the fields {sorted(expected)}, got {sorted(fields)}.")
        try:
            return self.classes[kind](**fields)
        except (TypeError, AttributeError) as error:  # a field of another type
            raise ValueError(f"{kind} cannot be constructed from {fields!r:.200}: {error}") from error

    def _known(self) -> str:
        return ", ".join(self.classes)
