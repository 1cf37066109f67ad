"""All wrong uses, one after another in this process; what each raised goes to standard output as JSON."""

import json
import sys
import warnings
from pathlib import Path

from . import commands, files, memories, networks, relaxing, training
from .table import Row

TABLE = [
    *networks.ROWS,
    *relaxing.ROWS,
    *memories.ROWS,
    *files.ROWS,
    *training.ROWS,
    *commands.ROWS,
]


def said(row: Row, folder: Path) -> tuple[list[str], str]:
    """The names of the classes of what it raised, and the message in one line; of nothing, where it was accepted."""
    folder.mkdir()
    try:
        row.call(folder)
    except Exception as error:
        return [kind.__name__ for kind in type(error).__mro__], " ".join(str(error).split())
    return [], "accepted"


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    messages = {row.name: said(row, folder / str(number)) for number, row in enumerate(TABLE)}
    sys.stdout.write(json.dumps(messages) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
