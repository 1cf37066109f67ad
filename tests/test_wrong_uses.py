"""Every wrong use is refused early, with a message that says what and why.

The table is in `wrong_uses/`. Its calls are made in one process of its own, without the run-time type checks of the
tests and in JAX's default precision: it is the library's own checks that must speak, as they do to its users.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from wrong_uses.run import TABLE

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each wrong use raised: the names of its classes, and the message."""
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "JAX_ENABLE_X64": "0", "NO_COLOR": "1"}
    folder = str(tmp_path_factory.mktemp("wrong"))
    done = subprocess.run(
        [sys.executable, "-m", "wrong_uses.run", folder], env=settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_there_are_many_and_each_has_its_own_name():
    assert len(TABLE) >= 400
    assert len({row.name for row in TABLE}) == len(TABLE)


def refused(row, kinds: list[str], message: str) -> bool:
    expected = row.error if isinstance(row.error, tuple) else (row.error,)
    return bool({kind.__name__ for kind in expected} & set(kinds)) and bool(re.search(row.pattern, message))


def test_every_wrong_use_is_refused_as_the_table_says(said):
    others = {row.name: said[row.name] for row in TABLE if not refused(row, *said[row.name])}
    assert others == {}, "these were accepted, or refused with another error or message"
