"""Settings as JSON: an object becomes its kind and its fields, and comes back as the same object.

Only the kinds listed here are ever made, so that reading a file runs no code of the file's choosing.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from . import costs, gradients, lagrangians, rules
from .architecture import Architecture
from .gradients import adjoints, nudging

KINDS: Mapping[str, type] = MappingProxyType(
    {
        kind.__name__: kind
        for kind in (
            *(lagrangians.Identity, lagrangians.Sigmoid, lagrangians.Tanh, lagrangians.ReLU),
            *(lagrangians.HardSigmoid, lagrangians.Softmax, lagrangians.LayerNorm, lagrangians.SphericalNorm),
            *(costs.SquaredError, costs.CrossEntropy, costs.StateSquaredError),
            *(Architecture, rules.Madam, rules.Adam, rules.Linear, rules.Cosine),
            *(gradients.Implicit, gradients.RecurrentBackprop, gradients.EquilibriumPropagation),
            *(adjoints.ConjugateGradient, adjoints.Neumann),
            *(nudging.Centred, nudging.Positive, nudging.Negative, nudging.Holomorphic),
        )
    }
)


def describe(value: Any) -> Any:
    """`{"kind": ..., field: ...}` for an object of `KINDS`, the value itself for what JSON has.

    Raises: `ValueError` for anything else, such as an array.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value).__name__
    if KINDS.get(kind) is not type(value):
        raise ValueError(f"{value!r} cannot be written as a setting; the kinds known are {', '.join(KINDS)}.")
    fields = {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return {"kind": kind, **fields}


def restore(description: Any) -> Any:
    """The value that `describe` was given. Raises: `ValueError` for an unknown kind, or fields that are not its own."""
    if not isinstance(description, Mapping):
        return description
    kind = str(description.get("kind"))
    if kind not in KINDS:
        raise ValueError(f"a setting of unknown kind {kind!r}; the kinds known are {', '.join(KINDS)}.")
    fields = {name: restore(value) for name, value in description.items() if name != "kind"}
    try:
        return KINDS[kind](**fields)
    except TypeError as error:
        raise ValueError(f"{description} is no {kind}: {error}.") from error
