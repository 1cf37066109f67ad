"""The run of a row of a table: trained in its folder, evaluated as in the papers, and stored."""

from pathlib import Path
from typing import Any

from ...data import Dataset
from ...training import ClassifierJob, train
from ...training.job import Callback, stored_or_made
from ...training.metrics import to_json
from .results import Result, pack_histogram, read_result, result_path, summarise_evaluation
from .rows import Experiment


def run_row(
    row: Experiment,
    seed: int,
    dataset: Dataset,
    folder: Path,
    *,
    epochs: int | None = None,
    callback: Callback = lambda chunk: None,
) -> Result:
    """The result of `row` with `seed`: read if it is stored, else computed and stored.

    The run works in `folder/runs/ROW-SEED`, laid out as by `hopfax train --out`. It continues from a checkpoint there.
    `epochs` ends it earlier than in the paper.

    Raises:
        ValueError: the stored result has other settings, or the recipe does not fit the data.
        Diverged: the loss or a weight is no longer finite.
    """
    recipe, last = row.recipe(dataset, seed), min(epochs or row.stop_after, row.stop_after)
    job = ClassifierJob(recipe, dataset)

    def make() -> dict[str, Any]:
        place = folder / "runs" / f"{row.name}-{seed}"
        model, metrics = train(job, place, resume=True, stop_after=last, callback=callback)
        job.save(model, place)
        numbers = summarise_evaluation(job.evaluate(model, dataset))
        return {
            "row": row.name,
            "seed": seed,
            **numbers,
            "histogram": pack_histogram(numbers["histogram"]),
            "seconds": [epoch.seconds for epoch in metrics],
            "metrics": [to_json(epoch) for epoch in metrics],
        }

    config = {**recipe.config(), "data": dataset.name, "stop_after": last}
    path = result_path(folder, row.name, seed)
    stored_or_made(path, config, make)
    return read_result(path)
