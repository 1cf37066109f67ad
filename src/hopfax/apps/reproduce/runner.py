"""A row's run: trained or found trained in its folder, evaluated as the papers do, and stored."""

from collections.abc import Callable
from pathlib import Path

from ..._internal.files import check_config
from ..._internal.provenance import circumstances
from ...data import Dataset
from ...networks.files import load_model, save_model
from ...training import Block, evaluate, train
from ...training.metrics import EpochMetrics, MetricsFile, to_json
from ...training.recipes import Recipe
from ...training.run import METRICS
from ...training.runfile import NAME, read_run, write_run
from .results import Result, measured, read_result, result_path, write_result
from .rows import Row


def run_row(
    row: Row,
    seed: int,
    dataset: Dataset,
    folder: Path,
    *,
    epochs: int | None = None,
    watch: Callable[[Block], None] = lambda block: None,
) -> Result:
    """The result of `row` with `seed`: read if it is stored, else made and stored.

    The run works in `folder/runs/ROW-SEED`, laid out as by `hopfax train --out`: it goes on from a checkpoint there,
    and a finished run of the same recipe is evaluated only. `epochs` ends it earlier than the paper does.

    Raises:
        ValueError: what is stored is of other settings, or the recipe does not fit the data.
        Diverged: the loss or a weight is no longer finite.
    """
    recipe, last = row.recipe(dataset, seed), min(epochs or row.stop_after, row.stop_after)
    config = {**recipe.config(), "data": dataset.name, "stop_after": last}
    stored, place = result_path(folder, row.name, seed), folder / "runs" / f"{row.name}-{seed}"
    if stored.exists():
        result = read_result(stored)
        check_config(result.config, config, str(stored))
        return result
    rows = finished(place, recipe, last)
    if rows is None:
        network, rows = train(recipe, dataset, place, resume=True, stop_after=last, watch=watch)
        save_model(network, place)
        write_run(place, recipe, dataset.name, {"stop_after": last})
    images, labels, steps = dataset.test_images, dataset.test_labels, recipe.forward_steps
    found = evaluate(load_model(place), images, labels, method=recipe.method, steps=steps)
    result = Result(
        row=row.name,
        seed=seed,
        config=config,
        **measured(found),
        seconds=tuple(each.seconds for each in rows),
        metrics=tuple(to_json(each) for each in rows),
        circumstances=circumstances(),
    )
    write_result(folder, result)
    return result


def finished(folder: Path, recipe: Recipe, epochs: int) -> list[EpochMetrics] | None:
    """The metrics of the run in `folder`, if it has come to its end, which is after so many epochs.

    Raises: `ValueError` where it did by another recipe.
    """
    if not (folder / NAME).exists():
        return None
    found, _ = read_run(folder)
    check_config(found.config(), recipe.config(), str(folder))
    rows = MetricsFile(folder / METRICS).read()
    return rows if len(rows) == epochs else None
