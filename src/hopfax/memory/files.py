"""Memories as files: one safetensors file with the patterns, their values, `beta`, similarity, separation and metric.

Loading a file runs no code from it.
"""

import json
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from .._internal.files import write_atomic
from .._internal.registry import Registry
from ..lagrangians import Entmax, KSubsets, Normmax, Softmax, Sparsemax
from .epanechnikov import Epanechnikov
from .metric import Mahalanobis
from .sharded import Separation
from .similarities import AbstractSimilarity, Dot, Euclidean

FORMAT, VERSION = "hopfax memory", "1"
_REGISTRIES = {
    "separation": Registry("a separation", (Softmax, Sparsemax, Entmax, Normmax, KSubsets, Epanechnikov)),
    "metric": Registry("a metric", (Mahalanobis,)),
}
_SIMILARITIES: dict[str, type[AbstractSimilarity]] = {"dot": Dot, "euclidean": Euclidean}


def write_memory(
    path: str | PathLike,
    patterns: Float[np.ndarray, "patterns dimension"],
    beta: float,
    similarity: AbstractSimilarity,
    values: Float[np.ndarray, "values outputs"] | None = None,
    separation: Separation = Softmax(1.0),
    metric: Mahalanobis | None = None,
) -> None:
    """Writes the file whole or not at all.

    Raises: `ValueError` for a similarity or separation of your own, which a file cannot hold; `OSError`.
    """
    from safetensors.numpy import save  # imported here, so that all else works without it

    names = [name for name, kind in _SIMILARITIES.items() if type(similarity) is kind]
    if not names:
        raise ValueError(
            f"`similarity` {type(similarity).__name__} cannot be saved; only {list(_SIMILARITIES)} can."
        )
    metadata = {"format": FORMAT, "version": VERSION, "similarity": names[0]}
    metadata["separation"] = json.dumps(_REGISTRIES["separation"].to_dict(separation))
    if metric is not None:
        metadata["metric"] = json.dumps(_REGISTRIES["metric"].to_dict(metric))
    tensors = {"patterns": np.ascontiguousarray(patterns), "beta": np.asarray(beta, np.float64)}
    if values is not None:
        tensors["values"] = np.ascontiguousarray(values)
    write_atomic(Path(path), save(tensors, metadata))


class StoredMemory(NamedTuple):
    """What a file of a memory holds: patterns, `beta`, similarity, values and metric if there are any, separation."""

    patterns: Float[np.ndarray, "patterns dimension"]
    beta: float
    similarity: AbstractSimilarity
    values: np.ndarray | None
    separation: Separation
    metric: Mahalanobis | None


def read_memory(path: str | PathLike) -> StoredMemory:
    """The memory in a file; its separation is softmax where the file names none.

    Raises: `ValueError` naming the file and what is wrong with it; `FileNotFoundError`.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; write it with `Memory.save`.")
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a safetensors file: {error}. Write it with `Memory.save`."
        ) from error
    if fault := _fault(metadata, tensors):
        raise ValueError(f"{path} does not hold a memory: {fault}. Write it with `Memory.save`.")
    similarity = _SIMILARITIES[metadata["similarity"]]()
    separation = _described("separation", metadata) or Softmax(1.0)
    metric, values = _described("metric", metadata), tensors.get("values")
    return StoredMemory(tensors["patterns"], float(tensors["beta"]), similarity, values, separation, metric)


def _described(name: str, metadata: dict[str, str]) -> Any:
    """The object that the metadata describe under `name`, or None. Raises: `ValueError` for another text."""
    registry, text = _REGISTRIES[name], metadata.get(name, "null")
    value = registry.from_dict(json.loads(text))
    if value is not None and type(value) not in registry.classes.values():
        raise ValueError(f"{text:.80} does not describe {registry.title}")
    return value


def _fault(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the contents of a file, or None."""
    form, version, similarity = (metadata.get(name) for name in ("format", "version", "similarity"))
    if (form, version) != (FORMAT, VERSION):
        return f"its format is {form!r}, version {version!r}, not {FORMAT!r}, version {VERSION!r}"
    if similarity not in _SIMILARITIES:
        return f"its similarity is {similarity!r}, not one of {list(_SIMILARITIES)}"
    for name in _REGISTRIES:
        try:
            _described(name, metadata)
        except ValueError as error:
            return f"its {name} cannot be read: {error}"
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    if (
        set(shapes) - {"values"} != {"patterns", "beta"}
        or len(shapes["patterns"]) != 2
        or shapes["patterns"][0] < 2
        or shapes["patterns"][1] < 1
        or shapes["beta"] != ()
    ):
        return f"its tensors have the shapes {shapes}, not a matrix of two patterns or more and one beta"
    patterns, beta = tensors["patterns"], tensors["beta"]
    if not np.issubdtype(patterns.dtype, np.floating) or not np.isfinite(patterns).all():
        return "its patterns are not all finite numbers"
    values = tensors.get("values", patterns)
    if values.ndim != 2 or len(values) != len(patterns) or not np.isfinite(values).all():
        return f"its values, of shape {values.shape}, are not finite rows, one for each pattern"
    return None if 0 < beta < np.inf else f"its beta is {beta}, not positive"
