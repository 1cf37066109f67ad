"""The report of a run of benchmarks: a page with a table, and a figure."""

from collections.abc import Sequence
from pathlib import Path

from .benchmark import BenchmarkResult, Timing

OURS = "hopfax"  # how the names of our implementations begin
HEADINGS = ("benchmark", "implementation", "ms, median", "quartiles", "relative time", "check", "note")


def cells(row: Timing) -> tuple[str, ...]:
    """A row of the table, as text."""
    times = row.milliseconds
    quartiles = f"{times['lower']:.3g} to {times['upper']:.3g}"
    check = "; ".join(f"{what} {value:.3g}" for what, value in row.check.items())
    median, relative = f"{times['median']:.3g}", f"{row.relative_time:.2f}"
    return row.benchmark, row.implementation, median, quartiles, relative, check, row.note


def markdown(results: Sequence[BenchmarkResult]) -> str:
    """A page: the work, the table, where another library is faster than hopfax and why, or as fast as a row of it."""
    work = [f"- **{result.benchmark}**: {result.work}." for result in results]
    rule = "| --- " * len(HEADINGS) + "|"
    lines = [f"| {' | '.join(cells(row))} |" for result in results for row in result.rows]
    slower = [f"- {result.benchmark}: {result.remark}" for result in results if not result.fastest]
    conclusion = (
        ["Another library was faster:", "", *slower]
        if slower
        else ["In this run no other library was faster than the first row of its benchmark."]
    )
    conclusion += [line for result in results for line in _ties(result)]
    return "\n".join([*work, "", f"| {' | '.join(HEADINGS)} |", rule, *lines, "", *conclusion, ""])


def _ties(result: BenchmarkResult) -> list[str]:
    """For each further row of hopfax, the other libraries that took no longer than it."""
    ours = [row for row in result.rows[1:] if row.implementation.startswith(OURS)]
    others = [row for row in result.rows if not row.implementation.startswith(OURS)]
    return [
        f'In "{result.benchmark}", {other.implementation} took {other.relative_time / row.relative_time:.2f} times as '
        f"long as {row.implementation}."
        for row in ours
        for other in others
        if other.relative_time <= row.relative_time
    ]


def draw(results: Sequence[BenchmarkResult], path: Path) -> Path:
    """Draw the relative times on a logarithmic axis, a panel for each benchmark, and save the figure to `path`."""
    from matplotlib.figure import Figure

    heights = [len(result.rows) for result in results]
    figure = Figure(figsize=(8, 0.9 * len(results) + 0.32 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(results), squeeze=False, gridspec_kw={"height_ratios": heights}, sharex=True)
    for panel, result in zip(panels[:, 0], results, strict=True):
        names = [row.implementation for row in result.rows]
        values = [row.relative_time for row in result.rows]
        colours = ["C0" if name.startswith(OURS) else "0.65" for name in names]
        bars = panel.barh(names, values, color=colours)
        panel.bar_label(bars, [f"{value:.2f}" for value in values], padding=3, fontsize=8)
        panel.set(xscale="log", title=result.benchmark)
        panel.invert_yaxis()
        panel.axvline(1, color="C0", linewidth=0.8)
        panel.margins(x=0.15)
    panels[-1, 0].set_xlabel("median time over that of hopfax")
    figure.savefig(path, dpi=150)
    return path
