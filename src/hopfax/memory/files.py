"""Memories as files: one safetensors file with the patterns, their values, `beta` and the name of the
similarity; no code in it.
"""

import os
import tempfile
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .similarities import AbstractSimilarity, Dot, Euclidean

FORMAT, VERSION = "hopfax memory", "1"
_SIMILARITIES: dict[str, type[AbstractSimilarity]] = {"dot": Dot, "euclidean": Euclidean}


def write_memory(
    path: str | PathLike,
    patterns: Float[np.ndarray, "patterns dimension"],
    beta: float,
    similarity: AbstractSimilarity,
    values: Float[np.ndarray, "values outputs"] | None = None,
) -> None:
    """Writes beside `path` and renames, so that a file is there whole or not at all.

    Raises: `ValueError` for a similarity of your own, which a file cannot hold; `OSError`.
    """
    names = [name for name, kind in _SIMILARITIES.items() if type(similarity) is kind]
    if not names:
        raise ValueError(
            f"`similarity` {type(similarity).__name__} cannot be saved; only {list(_SIMILARITIES)} can."
        )
    target = Path(path)
    about = {"format": FORMAT, "version": VERSION, "similarity": names[0]}
    tensors = {"patterns": np.ascontiguousarray(patterns), "beta": np.asarray(beta, np.float64)}
    if values is not None:
        tensors["values"] = np.ascontiguousarray(values)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        part = Path(folder) / target.name
        save_file(tensors, part, about)
        os.replace(part, target)


def read_memory(
    path: str | PathLike,
) -> tuple[Float[np.ndarray, "patterns dimension"], float, AbstractSimilarity, np.ndarray | None]:
    """Patterns, `beta`, similarity, and values if there are any. Raises: `ValueError` naming the file and
    what is wrong; `FileNotFoundError`.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist; write it with `Memory.save`.")
    try:
        with safe_open(path, "numpy") as file:
            about, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}. Write it with `Memory.save`.") from error
    if reason := _misfit(about, tensors):
        raise ValueError(f"{path} holds no memory: {reason}. Write it with `Memory.save`.")
    similarity = _SIMILARITIES[about["similarity"]]()
    return tensors["patterns"], float(tensors["beta"]), similarity, tensors.get("values")


def _misfit(about: dict[str, str], tensors: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the contents of a file, if something is."""
    form, version, similarity = (about.get(name) for name in ("format", "version", "similarity"))
    if (form, version) != (FORMAT, VERSION):
        return f"its format is {form!r}, version {version!r}, not {FORMAT!r}, version {VERSION!r}"
    if similarity not in _SIMILARITIES:
        return f"its similarity is {similarity!r}, not one of {list(_SIMILARITIES)}"
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
