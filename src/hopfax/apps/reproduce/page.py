"""The page of an experiment: text that people write, around a table that is made."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..._internal.files import write_atomic
from .crossings import crossing_table
from .results import Result
from .table import TableRow, markdown

BEGIN, END = "<!-- table: made by hopfax reproduce -->", "<!-- end of table -->"


def write_page(folder: Path, table: Sequence[TableRow], results: Mapping[str, Sequence[Result]]) -> Path:
    """Puts the table, and curves that the paper prints, into `folder/README.md`. Raises: `OSError`."""
    return fill(folder / "README.md", markdown(table) + crossing_table(results))


def fill(path: Path, text: str) -> Path:
    """Puts `text` between the two marks in a file of Markdown, and leaves the rest as it was.

    Without the file, or without marks in it, they are added at its end. Raises: `OSError`.
    """
    page = path.read_text(encoding="utf-8") if path.exists() else f"# {path.parent.name}\n"
    if BEGIN not in page or END not in page:
        page = f"{page}\n{BEGIN}\n{END}\n"
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    write_atomic(path, f"{before}{BEGIN}\n\n{text}\n{END}{after}".encode())
    return path
