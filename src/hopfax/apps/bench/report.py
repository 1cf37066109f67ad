"""What a run of contests says, for people: a table and a figure."""

from collections.abc import Sequence
from pathlib import Path

from .contest import Outcome, Timing

HEADINGS = ("contest", "contestant", "ms, median", "quartiles", "times ours", "check", "note")


def cells(row: Timing) -> tuple[str, ...]:
    """A row of the table, as text."""
    times = row.milliseconds
    spread = f"{times['lower']:.3g} to {times['upper']:.3g}"
    check = "; ".join(f"{what} {value:.3g}" for what, value in row.check.items())
    median = f"{times['median']:.3g}"
    return row.contest, row.contestant, median, spread, f"{row.times_ours:.2f}", check, row.note


def markdown(outcomes: Sequence[Outcome]) -> str:
    """A page: what was done, the table, and where hopfax does not lead, why."""
    work = [f"- **{outcome.contest}**: {outcome.work}." for outcome in outcomes]
    rule = "| --- " * len(HEADINGS) + "|"
    lines = [f"| {' | '.join(cells(row))} |" for outcome in outcomes for row in outcome.rows]
    behind = [f"- {outcome.contest}: {outcome.remark}" for outcome in outcomes if not outcome.leads]
    told = (
        ["Somebody else was faster:", "", *behind] if behind else ["No other library was faster in this run."]
    )
    return "\n".join([*work, "", f"| {' | '.join(HEADINGS)} |", rule, *lines, "", *told, ""])


def draw(outcomes: Sequence[Outcome], path: Path) -> Path:
    """Medians against ours, a panel for each contest, on a logarithmic axis; written to `path`."""
    from matplotlib.figure import Figure

    heights = [len(outcome.rows) for outcome in outcomes]
    figure = Figure(figsize=(8, 0.9 * len(outcomes) + 0.32 * sum(heights)), layout="constrained")
    panels = figure.subplots(
        len(outcomes), squeeze=False, gridspec_kw={"height_ratios": heights}, sharex=True
    )
    for panel, outcome in zip(panels[:, 0], outcomes, strict=True):
        names = [row.contestant for row in outcome.rows]
        values = [row.times_ours for row in outcome.rows]
        colours = ["C0" if name.startswith("hopfax") else "0.65" for name in names]
        bars = panel.barh(names, values, color=colours)
        panel.bar_label(bars, [f"{value:.2f}" for value in values], padding=3, fontsize=8)
        panel.set(xscale="log", title=outcome.contest)
        panel.invert_yaxis()
        panel.axvline(1, color="C0", linewidth=0.8)
        panel.margins(x=0.15)
    panels[-1, 0].set_xlabel("median time over that of hopfax")
    figure.savefig(path, dpi=150)
    return path
