"""`hopfax completion`: which method completes damaged images best, of those stored and of those never seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..._internal.compiled import cache_compiled_code
from .options import DataName, Directory, names_among, whole_numbers
from .output import Json, check_json, emit, result_table, stages, writable_folder

if TYPE_CHECKING:
    from ...data import Dataset
    from ..completion import AbstractCompleter, Training

DRAWN = 10  # images of each method in the figure


def completion(
    data: DataName = "digits",
    methods: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Some of mean, nearest, gaussian, softmax, sparsemax, metric, ham-ep, ham-implicit, vae and mlp. "
            "Default: all.",
            show_default=False,
        ),
    ] = "",
    tested: Annotated[int, typer.Option(help="How many images are completed, at most.")] = 1000,
    stored: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS",
            help="Also with only the first so many training images, such as 10,100,1000; methods without training.",
            show_default=False,
        ),
    ] = "",
    runs: Annotated[
        Path | None,
        typer.Option(
            "--runs",
            metavar="DIR",
            help="Folder of the Hopfield networks and the VAE: what is finished there is used, what is not goes on.",
            show_default=False,
        ),
    ] = None,
    directory: Directory = None,
    seed: Annotated[int, typer.Option(help="Random seed of the trained networks.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for completion.json and completion.png.", show_default=False
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Complete test images of which a part is missing, by each method, and compare the errors.

    30 or 70 % of the pixels are missing, or the upper half, or a block in the middle; or all pixels are noisy. No
    method has seen the test images. On digits it takes about a minute, on MNIST hours.

    Example: hopfax completion --methods mean,nearest,metric --json completion.json
    """
    from ..._internal.files import write_json
    from ..._internal.provenance import circumstances
    from ...data import load
    from ..completion import METHODS, Training, by_number

    check_json(json, out)
    names = names_among("--methods", methods, METHODS)
    if tested < 1:
        raise ValueError(f"--tested {tested} must be at least 1.")
    numbers = whole_numbers("--stored", stored, "10,100,1000") if stored else ()
    folder = None if out is None else writable_folder(out)
    dataset = load(data, directory)
    tested = min(tested, len(dataset.test_images))
    if wrong := [number for number in numbers if not 2 <= number <= len(dataset.train_images)]:
        raise ValueError(f"--stored {wrong[0]} must be from 2 to {len(dataset.train_images)}.")
    cache_compiled_code()
    networks = None if runs is None else writable_folder(runs, "--runs")
    result, completers = _measure(dataset, names, Training.of(dataset, networks, seed), tested)
    result["by_number"] = list(by_number(dataset, names, numbers, tested))
    result["circumstances"] = circumstances()
    if folder is not None:
        write_json(folder / "completion.json", result)
        _draw(dataset, completers, folder / "completion.png")
    emit(result, json, lambda console: _show(console, result))


def _measure(
    dataset: "Dataset", names: Sequence[str], training: "Training", tested: int
) -> "tuple[dict[str, Any], dict[str, AbstractCompleter]]":
    """The errors of each method on each damage, and the methods."""
    from ..completion import benchmark

    masks: dict[str, dict[str, Any]] = {}
    completers: dict[str, AbstractCompleter] = {}
    with stages(len(names), "minutes") as begin:
        for name, completer, errors in benchmark(dataset, names, training, tested, begin):
            completers[name] = completer
            for kind, row in errors.items():
                masks.setdefault(kind, {})
                if row is not None:
                    masks[kind][name] = row
    return {"data": dataset.name, "tested": tested, "masks": masks}, completers


def _draw(dataset: "Dataset", completers: "Mapping[str, AbstractCompleter]", path: Path) -> None:

    from ...figures import images_figure
    from ..completion import damage

    images = dataset.test_images[:DRAWN]
    damaged = damage(images, dataset.image_shape)["top half"]
    shaped = lambda rows: rows.reshape(-1, *dataset.image_shape)
    rows = [("original", shaped(images)), ("known", shaped(damaged.visible()))]
    rows += [(name, shaped(damaged.restored(completer))) for name, completer in completers.items()]
    images_figure(rows).savefig(path)


def _show(console: Console, result: Mapping[str, Any]) -> None:
    masks = result["masks"]
    names = list(dict.fromkeys(name for rows in masks.values() for name in rows))
    table = result_table("squared error per pixel", *masks, "seconds")
    for name in names:
        row = [masks[kind].get(name) for kind in masks]
        seconds = max(cell["seconds"] for cell in row if cell)
        cells = ("" if cell is None else f"{cell['error_per_pixel']:.4f}" for cell in row)
        table.add_row(name, *cells, f"{seconds:.2f}")
    console.print(
        f"{result['tested']} test images of {result['data']}, which no method has seen:", soft_wrap=True
    )
    console.print(table)
    console.print(
        '"seconds" is the longest time for all images of a column, without training.', soft_wrap=True
    )
