"""Which method completes damaged images best: `hopfax completion`, stored method by method.

    python -m experiments.completion.benchmark --data mnist [--methods nearest,metric] [--tested 1000]
    python -m experiments.completion.benchmark --data mnist --numbers [--tested 200]
    python -m experiments.completion.benchmark --table

A method that is stored is not measured again. `hopfax completion --out DIR` draws completed images, and
`python -m experiments.completion.figures` the error against the number of stored images.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.runs import markdown

from hopfax._internal.files import write_json
from hopfax._internal.provenance import circumstances
from hopfax.apps.completion import METHODS, UNTRAINED, Training, benchmark, by_number
from hopfax.data import load

HERE = Path(__file__).parent
STORED = HERE / "benchmark"
NUMBERS = {"digits": (10, 100, 1000), "mnist": (10, 100, 1000, 10_000, 60_000)}


def measure(data: str, methods: Sequence[str], tested: int, runs: Path, path: Path) -> None:
    """Measure the methods that `path` lacks, and store each as soon as it is there."""
    dataset = load(data)
    result: dict[str, Any] = {"data": data, "masks": {}, "tested": {}, "circumstances": {}}
    if path.is_file():
        result = json.loads(path.read_text(encoding="utf-8"))
    missing = [name for name in methods if name not in result["tested"]]
    tested = min(tested, len(dataset.test_images))
    for name, _, errors in benchmark(dataset, missing, Training.of(dataset, runs), tested, print):
        for kind, row in errors.items():
            if row is not None:
                result["masks"].setdefault(kind, {})[name] = row
        result["tested"][name], result["circumstances"][name] = tested, circumstances()
        write_json(path, result)


def measure_numbers(data: str, tested: int, path: Path) -> None:
    """The same with only the first images stored, for the methods that are not trained, stored and unseen images."""
    dataset = load(data)
    result: dict[str, Any] = {"data": data, "by_number": [], "circumstances": {}}
    if path.is_file():
        result = json.loads(path.read_text(encoding="utf-8"))
    for name in (name for name in UNTRAINED if name not in result["circumstances"]):
        rows = by_number(dataset, [name], NUMBERS[data], min(tested, len(dataset.test_images)))
        result["by_number"] += rows
        result["circumstances"][name] = circumstances()
        write_json(path, result)


def table(path: Path) -> str:
    """Error per damaged pixel, in Markdown: a row for each method, a column for each damage; the best in bold."""
    result = json.loads(path.read_text(encoding="utf-8"))
    masks, tested = result["masks"], result["tested"]
    best = {kind: min(row["error_per_pixel"] for row in rows.values()) for kind, rows in masks.items()}
    rows = []
    for name in sorted(tested, key=METHODS.index):
        cells = [_cell(rows.get(name), best[kind]) for kind, rows in masks.items()]
        milliseconds = (
            1000 * max(rows[name]["seconds"] for rows in masks.values() if name in rows) / tested[name]
        )
        rows.append([f"`{name}`", *cells, f"{float(f'{milliseconds:.2g}'):g}", tested[name]])
    return markdown(["method", *masks, "ms an image", "images"], rows)


def numbers_table(path: Path, kind: str = "30 %") -> str:
    """Error per missing pixel against the number of stored images: of stored, and of unseen ones."""
    errors = errors_by_number(path, kind)
    numbers = sorted({n for by_images in errors.values() for n in by_images["unseen"]})
    pair = lambda by_images, n: (by_images["stored"][n], by_images["unseen"][n])
    cells = (
        [f"`{name}`", *("{:.4f}, {:.4f}".format(*pair(by_images, n)) for n in numbers)]
        for name, by_images in errors.items()
    )
    return markdown(["method", *(f"{n:,} stored" for n in numbers)], cells)


def errors_by_number(path: Path, kind: str = "30 %") -> dict[str, dict[str, dict[int, float]]]:
    """Error per missing pixel by method, by "stored" or "unseen" images, and by the number of stored images."""
    errors: dict[str, dict[str, dict[int, float]]] = {}
    rows = json.loads(path.read_text(encoding="utf-8"))["by_number"]
    for row in sorted(rows, key=lambda row: METHODS.index(row["method"])):
        error = row["masks"][kind]["error_per_pixel"]
        errors.setdefault(row["method"], {}).setdefault(row["images"], {})[row["stored"]] = error
    return errors


def _cell(row: dict[str, float] | None, best: float) -> str:
    if row is None:
        return ""
    number = f"{row['error_per_pixel']:.4f}"
    shown = f"**{number}**" if row["error_per_pixel"] == best else number
    return f"{shown}\u00a0±\u00a0{row['standard_error']:.4f}"  # in one line of a narrow column


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=tuple(NUMBERS), default="digits")
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas between them")
    parser.add_argument("--tested", type=int, default=1000, help="how many images are completed")
    parser.add_argument("--numbers", action="store_true", help="with only the first images stored, instead")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/completion_benchmark"), help="folder of networks"
    )
    parser.add_argument("--results", type=Path, default=STORED, help="folder of the JSON")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown")
    options = parser.parse_args(arguments)
    path = options.results / f"{options.data}.json"
    numbers = options.results / f"{options.data}-numbers.json"
    options.results.mkdir(parents=True, exist_ok=True)
    if options.table:
        print(table(path), numbers_table(numbers), sep="\n\n")
    elif options.numbers:
        measure_numbers(options.data, options.tested, numbers)
    else:
        measure(options.data, options.methods.split(","), options.tested, options.runs / options.data, path)


if __name__ == "__main__":
    main()
