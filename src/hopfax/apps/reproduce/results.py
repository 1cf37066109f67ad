"""One JSON for each finished run: all that tables and figures are made from."""

import base64
import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...diagnostics import first_crossing, paper_iterations, residual_histogram
from ...training import Evaluation

TOLERANCES = tuple(10.0 ** (half / 2) for half in range(-16, -3))  # 1e-8, in half decades, to 1e-2
BATCH = 64  # the papers test in batches of so many, and drop the last if it is not full


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """A trained network on the test set.

    Attributes:
        row, seed: which run. config: its recipe, data, and `stop_after`.
        accuracy: fraction of all test examples.
        paper_iterations: mean index of the first relative step below 1e-4, an index of 0 counting as the most
            there are, over full batches of 64 test examples: the papers' "iterations".
        first_crossing: the same over all examples, 0 counting as 0.
        did_not_converge, examples: test examples that never get there, and all.
        crossing: `paper_iterations` for each of `TOLERANCES` in place of 1e-4.
        histogram: counts of `log10` of the relative step, (400 bins over [-8, 0], iterations).
        seconds: of each training epoch. metrics: of each epoch, as `EpochMetrics`.
        circumstances: versions, commit, machine.
    """

    row: str
    seed: int
    config: dict[str, Any]
    accuracy: float
    paper_iterations: float
    first_crossing: float
    did_not_converge: int
    examples: int
    crossing: tuple[float, ...]
    histogram: Int[np.ndarray, "bins iterations"]
    seconds: tuple[float, ...]
    metrics: tuple[dict[str, Any], ...]
    circumstances: dict[str, Any]


def measured(found: Evaluation) -> dict[str, Any]:
    """The fields of `Result` that an evaluation has."""
    index, converged = first_crossing(found.trace)
    return {
        "accuracy": found.accuracy,
        "paper_iterations": crossing(found.trace, 1e-4),
        "first_crossing": float(np.mean(np.asarray(index))),
        "did_not_converge": int(jnp.sum(~converged)),
        "examples": len(found.trace),
        "crossing": tuple(crossing(found.trace, each) for each in TOLERANCES),
        "histogram": residual_histogram(found.trace),
    }


def crossing(trace: Float[Array, "examples iterations"], tolerance: float) -> float:
    """Mean index of the first entry below `tolerance`, as published, over full batches."""
    whole = len(trace) // BATCH * BATCH or len(trace)
    return float(np.mean(np.asarray(paper_iterations(trace[:whole], tolerance))))


def result_path(folder: Path, row: str, seed: int) -> Path:
    """Where the result of a run is, under the folder of its experiment."""
    return folder / "results" / f"{row}-seed{seed}.json"


def read_result(path: Path) -> Result:
    """A stored result. Raises: `ValueError` naming the file, if it is none of these."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(content[name]) for name in ("crossing", "seconds", "metrics")}
        return Result(**{**content, **lists, "histogram": _unpack(content["histogram"])})
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"`{path}` is no result of a run ({type(error).__name__}: {error}).") from error


def read_results(folder: Path, rows: Sequence[str]) -> dict[str, list[Result]]:
    """For each row of which there are any, its results by seed."""
    found = {row: sorted(result_path(folder, row, 0).parent.glob(f"{row}-seed*.json")) for row in rows}
    read = {row: [read_result(path) for path in paths] for row, paths in found.items() if paths}
    return {row: sorted(results, key=lambda each: each.seed) for row, results in read.items()}


def packed(counts: Int[np.ndarray, "bins iterations"]) -> dict[str, Any]:
    """As 32-bit little-endian numbers, iteration after iteration, compressed: a tenth of them written out."""
    data = zlib.compress(counts.T.astype("<u4").tobytes(), 9)
    about = "base64 of zlib of little-endian uint32, one iteration after another"
    return {"format": about, "shape": list(counts.shape), "data": base64.b64encode(data).decode()}


def _unpack(packed: Mapping[str, Any]) -> Int[np.ndarray, "bins iterations"]:
    bins, iterations = packed["shape"]
    data = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), "<u4")
    return data.reshape(iterations, bins).T.astype(np.int64)
