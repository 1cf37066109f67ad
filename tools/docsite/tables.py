"""Tables of numbers, taken while the site is built from where they are stored: never copied by hand.

`<!-- table: experiments/deep/README.md "run" -->` is the table of that page whose first heading is "run",
`<!-- table: benchmarks/results/recall.json -->` a benchmark's result.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .outside import moved

MARK = re.compile(r'^<!-- table: (\S+)(?: "([^"\n]+)")? -->$', re.MULTILINE)
TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)


def inserted(markdown: str, origin: str, root: Path) -> str:
    """`markdown` of the file `origin` with a table at each mark. Raises: `ValueError` where there is none."""
    return MARK.sub(lambda found: _table(found.group(1), found.group(2), origin, root), markdown)


def _table(source: str, heading: str | None, origin: str, root: Path) -> str:
    text = (root / source).read_text(encoding="utf-8")
    if source.endswith(".json"):
        result = json.loads(text)
        return _BENCHMARKS[Path(source).stem](result) + "\n" + _circumstances(source, result, origin)
    if heading is None:
        raise ValueError(
            f"`<!-- table: {source} -->` must name its table: add the first heading, in quotes, after the path."
        )
    table = next((table for table in TABLE.findall(text) if table.split("|")[1].strip() == heading), None)
    if table is None:
        raise ValueError(f'{source} has no table whose first heading is "{heading}".')
    return moved(table, source, origin)


def _rows(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def _circumstances(source: str, result: Mapping[str, Any], origin: str) -> str:
    where = result["circumstances"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items() if version)
    link = moved(f"[{Path(source).name}]({Path(source).name})", source, origin)
    return f"\n*{link}: {where['cores']} cores, load {where['load']:.1f}, Python {where['python']}, {versions}.*\n"


def _milliseconds(times: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    return [
        [name, f"{t['median']:.2f}", f"{t['lower']:.2f} to {t['upper']:.2f}"] for name, t in times.items()
    ]


def _timed(result: Mapping[str, Any]) -> str:
    return _rows(["", "median, ms", "quartiles, ms"], _milliseconds(result["milliseconds"]))


def _solvers(result: Mapping[str, Any]) -> str:
    rows = [
        [coupling, name, f"{_mean(own['converged']):.1f}", f"{_mean(own['evaluations']):.0f}"]
        for coupling, solvers in _numbered(result)
        for name, own in solvers.items()
        if isinstance(own, Mapping) and "converged" in own
    ]
    return _rows(["coupling", "", "converged, of 64", "sweeps, mean"], rows)


def _default(result: Mapping[str, Any]) -> str:
    """For each network and batch the default's time over that of the fastest, at the four tolerances."""
    rows = result["rows"]
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    names = dict.fromkeys(row["network"] for row in rows)

    def cell(network: str, batch: int) -> str:
        own = [row for row in rows if (row["network"], row["batch"]) == (network, batch)]
        return ", ".join(f"{row['over the fastest']:.2f}" for row in own)

    table = [[name, *(cell(name, batch) for batch in batches)] for name in names]
    return _rows(["network", *(f"batch {batch:,}" for batch in batches)], table)


def _backward(result: Mapping[str, Any]) -> str:
    table = dict(_numbered(result))
    names = list(next(iter(table.values())))
    rows = [[coupling, *(f"{own[name]:.1f}" for name in names)] for coupling, own in table.items()]
    return _rows(["coupling", *names], rows)


def _errors(result: Mapping[str, Any]) -> str:
    rows = [[name, f"{error:.1e}"] for name, error in result["relative error"].items()]
    return _rows(["gradient in float32", "relative error"], rows)


def _deep(result: Mapping[str, Any]) -> str:
    told = lambda own: (own["sweeps, mean"], own["sweeps, slowest of a batch, mean"], own["backward sweeps"])
    rows = [
        [
            name,
            *(f"{x:.0f}" for x in told(own)),
            f"{own['milliseconds']['step']:.1f}",
            f"{own['step over floor']:.2f}",
        ]
        for name, own in result.items()
        if isinstance(own, Mapping) and "step over floor" in own
    ]
    header = ["run", "sweeps, mean example", "slowest of a batch", "backward", "step, ms", "over its floor"]
    return _rows(header, rows)


def _first(result: Mapping[str, Any]) -> str:
    names = ["first call, cold", "first call, cold, CPU", "first call, warm", "second call"]
    rows = [[step, *(f"{own[name]:.3g}" for name in names)] for step, own in result["seconds"].items()]
    return _rows(["training step", *(f"{name}, s" for name in names)], rows)


def _large(result: Mapping[str, Any]) -> str:
    rows = [
        ["seconds, compilation included", f"{result['seconds with compilation']:.2f}"],
        ["bytes of the patterns", f"{result['bytes of the patterns']:,}"],
        ["peak bytes of the process", f"{result['peak bytes after recall']:,}"],
        ["queries recalled", f"{result['recalled']:.0%} of {result['batch']}"],
    ]
    what = f"{result['patterns']:,} patterns of {result['dimension']} values"
    return _rows([what, ""], rows)


def _estimators(result: Mapping[str, Any]) -> str:
    groups = [
        (f"{data}: {own['rows']:,} x {own['features']}, {own['classes']} classes", own["classifiers"])
        for data, own in result["data"].items()
    ]
    cells = lambda numbers: (
        *(f"{numbers[key]:.3f}" for key in ("accuracy", "log loss")),
        *(f"{numbers[key]:.2g}" for key in ("fit, s", "first call, s", "predict, s")),
    )
    header = ["data", "classifier", "accuracy", "log loss", "fit, s", "first call, s", "predict, s"]
    return _rows(header, _grouped(groups, cells))


def _imputers(result: Mapping[str, Any]) -> str:
    groups = [
        (f"{data}: {own['rows']:,} x {own['features']}, {gaps}", imputers)
        for data, own in result["data"].items()
        for gaps, imputers in own["gaps"].items()
    ]
    seconds = ("fit, s", "transform, s", "first call, s")
    cells = lambda numbers: (f"{numbers['error']:.3f}", *(f"{numbers[key]:.2g}" for key in seconds))
    return _rows(["data", "imputer", "error", *seconds], _grouped(groups, cells))


def _clustering(result: Mapping[str, Any]) -> str:
    groups = [
        (f"{data}: {own['rows']:,} x {own['features']}, {own['clusters']} classes", own["methods"])
        for data, own in result["data"].items()
    ]
    cells = lambda numbers: (
        f"{numbers['adjusted Rand index']:.3f} ± {numbers['spread']:.3f}",
        *(f"{numbers[key]:.2g}" for key in ("fit", "first call")),
    )
    return _rows(
        ["data", "method", "adjusted Rand index", "fit, s", "first call, s"], _grouped(groups, cells)
    )


def _grouped(
    groups: Iterable[tuple[str, Mapping[str, Any]]], cells: Callable[[Any], Iterable[str]]
) -> list[list[str]]:
    """A row for each entry of every group, with the title of the group before its first."""
    return [
        ["" if place else title, name, *cells(numbers)]
        for title, entries in groups
        for place, (name, numbers) in enumerate(entries.items())
    ]


def _index(result: Mapping[str, Any]) -> str:
    milliseconds, queries = result["milliseconds"], result["queries"]
    rows = [["all patterns", f"{milliseconds['exact stream']['median']:.0f}", "1", "", "", ""]]
    rows += [
        [
            name,
            f"{milliseconds[name]['median']:.0f}",
            f"{own['exact stream over it']:.0f}",
            f"{own['queries of small bound']} of {queries}",
            f"{own['same pattern']:.0%}",
            f"{own['seconds to build']:.0f}",
        ]
        for name, own in result["indices"].items()
    ]
    header = ["", "recall, ms", "times faster", "bound at most 0.001", "same pattern", "built in, s"]
    return _rows(header, rows)


def _index_mapped(result: Mapping[str, Any]) -> str:
    own, queries = result["codes"], result["queries"]
    codes = [
        "codes",
        f"{result['milliseconds']['codes']['median'] / 1e3:.1f}",
        f"{own['queries of small bound']} of {queries}",
        f"{own['same pattern']:.0%}",
        f"{own['seconds to build']:.0f}",
    ]
    rows = [["all patterns, from the file", f"{result['exact seconds']:.0f}", "", "", ""], codes]
    return _rows(["", "recall, s", "bound at most 0.001", "same pattern", "built in, s"], rows)


def _search(result: Mapping[str, Any]) -> str:
    names = {
        "no cache": "no cache: each worker compiles",
        "first": "first search, empty cache",
        "second": "second search, in new processes",
    }
    rows = [
        [shown, *(f"{round_[name]['seconds']:.0f}" for round_ in result["rounds"])]
        for name, shown in names.items()
    ]
    return _rows(["`GridSearchCV(n_jobs=2)`", *("s" for _ in result["rounds"])], rows)


def _numbered(result: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The entries whose names are numbers."""
    return [(name, own) for name, own in result.items() if re.fullmatch(r"[0-9.]+", name)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


_BENCHMARKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "training_step": _timed,
    "deep_step": _deep,
    "first_call": _first,
    "recall": _timed,
    "recall_large": _large,
    "solvers": _solvers,
    "default": _default,
    "backward": _backward,
    "precision": _errors,
    "estimators": _estimators,
    "search": _search,
    "imputers": _imputers,
    "clustering": _clustering,
    "index": _index,
    "index_mapped": _index_mapped,
}
