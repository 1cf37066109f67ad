"""The results of finished runs, one JSON file each, from which tables and figures are made."""

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

from ...diagnostics import first_crossing, residual_histogram
from ...diagnostics.summaries import TOLERANCES, mean_iterations
from ...training import Evaluation

BATCH = 64  # the papers test in batches of this size, and drop the last one if it is not full


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """A trained network on the test set.

    Attributes:
        row: the name of the `Experiment`.
        seed: random seed of the run.
        config: the recipe, the data, and `stop_after`.
        accuracy: fraction of all test examples.
        paper_iterations: the "iterations" of the papers: the mean index of the first relative step below 1e-4 over full
            batches of 64 test examples, with an index of 0 replaced by the largest index.
        first_crossing: the same over all examples, without this replacement.
        did_not_converge: number of test examples without a relative step below 1e-4.
        examples: number of test examples.
        crossing: `paper_iterations` with each of `TOLERANCES` in place of 1e-4.
        histogram: counts of `log10` of the relative step in 400 bins over [-8, 0].
        seconds: of each training epoch.
        metrics: of each epoch, as `ClassificationMetrics`.
        circumstances: versions, commit and machine.
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


def summarise_evaluation(evaluation: Evaluation) -> dict[str, Any]:
    """The fields of `Result` that an evaluation determines."""
    index, converged = first_crossing(evaluation.trace)
    return {
        "accuracy": evaluation.accuracy,
        "paper_iterations": crossing(evaluation.trace, 1e-4),
        "first_crossing": float(np.mean(np.asarray(index))),
        "did_not_converge": int(jnp.sum(~converged)),
        "examples": len(evaluation.trace),
        "crossing": tuple(crossing(evaluation.trace, tolerance) for tolerance in TOLERANCES),
        "histogram": residual_histogram(evaluation.trace),
    }


def crossing(trace: Float[Array, "examples iterations"], tolerance: float) -> float:
    """Mean index of the first entry below `tolerance` over full batches, as `Result.paper_iterations`."""
    whole = len(trace) // BATCH * BATCH or len(trace)
    return mean_iterations(trace[:whole], tolerance)


def result_path(folder: Path, row: str, seed: int) -> Path:
    """The file of the result of a run, in the folder of its experiment."""
    return folder / "results" / f"{row}-seed{seed}.json"


def read_result(path: Path) -> Result:
    """A stored result. Raises: `ValueError` that names the file, if it holds no result."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(content[name]) for name in ("crossing", "seconds", "metrics")}
        return Result(**{**content, **lists, "histogram": _unpack_histogram(content["histogram"])})
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"`{path}` is no result of a run ({type(error).__name__}: {error}).") from error


def read_results(folder: Path, rows: Sequence[str]) -> dict[str, list[Result]]:
    """The results of each row that has any, in the order of the seeds."""
    files = {row: sorted(result_path(folder, row, 0).parent.glob(f"{row}-seed*.json")) for row in rows}
    read = {row: [read_result(path) for path in paths] for row, paths in files.items() if paths}
    return {row: sorted(results, key=lambda result: result.seed) for row, results in read.items()}


def pack_histogram(counts: Int[np.ndarray, "bins iterations"]) -> dict[str, Any]:
    """The counts as compressed 32-bit little-endian integers, iteration by iteration: a tenth of the size of JSON."""
    data = zlib.compress(counts.T.astype("<u4").tobytes(), 9)
    about = "base64 of zlib of little-endian uint32, one iteration after another"
    return {"format": about, "shape": list(counts.shape), "data": base64.b64encode(data).decode()}


def _unpack_histogram(packed: Mapping[str, Any]) -> Int[np.ndarray, "bins iterations"]:
    bins, iterations = packed["shape"]
    data = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), "<u4")
    return data.reshape(iterations, bins).T.astype(np.int64)
