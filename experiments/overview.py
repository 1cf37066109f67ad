"""The map of the papers' tables and figures in README.md, from stored results alone.

python -m experiments.overview
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.runs import markdown

from hopfax.apps.reproduce import FIGURES, TABLE1, TABLE2, Experiment, fill_page, read_results, tabulate

HERE = Path(__file__).parent
HEADINGS = ("paper", "row", "command", "minutes", "stored", "iterations, paper", "ours")
COMMANDS = {"figure3-2023": "table1 --stored", "figure3": "figure3 --stored", "figure4": "figure4 --stored"}


def main() -> None:
    rows = [*_rows("table1", TABLE1), *_rows("table2", TABLE2), *_figures()]
    fill_page(HERE / "README.md", markdown(HEADINGS, rows) + "\n")


def _rows(command: str, rows: Sequence[Experiment]) -> Iterator[tuple[str, ...]]:
    """One line a row."""
    paper = rows[0].paper
    results = read_results(HERE / paper, [row.name for row in rows])
    for row, found in zip(rows, tabulate(rows, results), strict=True):
        stored = [
            f"[{each.seed}]({paper}/results/{row.name}-seed{each.seed}.json)"
            for each in results.get(row.name, ())
        ]
        yield (
            f"{paper[-4:]}, [{row.published.where.partition(',')[0]}]({paper})",
            row.name,
            f"`hopfax reproduce {command} --rows {row.name}`",
            "-" if found.seconds is None else f"{found.seconds * row.stop_after / 60:.1f}",
            "seeds " + ", ".join(stored) if stored else "not run yet",
            str(row.published.iterations),
            "-" if found.iterations is None else f"{found.iterations.mean:.2f}",
        )


def _figures() -> Iterator[tuple[str, ...]]:
    """One line a figure."""
    for name in FIGURES:
        paper = "goemaere2023" if "2023" in name else "goemaere2024"
        path = f"{paper}/{name.partition('-')[0]}.png"
        stored = f"[figure]({path})" if (HERE / path).exists() else "not run yet"
        which = f"{paper[-4:]}, Fig. {name[6]}"
        yield which, "heat maps", f"`hopfax reproduce {COMMANDS[name]}`", "seconds", stored, "", ""


if __name__ == "__main__":
    main()
