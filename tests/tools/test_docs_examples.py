"""The documentation's promises: every Python example runs, page by page, and prints what the page says it prints.

A fence `python` is executed; a fence `text` right after it is what it prints, numbers to 5 %. A fence `py` is another
library's code, which is shown only.
"""

import contextlib
import io
import re
import textwrap
from pathlib import Path

import jax
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(
    r"^( *)```python\n(.*?)^\1```\n(?:\n*^\1```text\n(.*?)^\1```\n)?", re.DOTALL | re.MULTILINE
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
PAGES = {str(path.relative_to(DOCS)): path for path in sorted(DOCS.rglob("*.md"))}


def blocks(path: Path) -> list[tuple[int, str, str | None]]:
    """Line, code and promised output of each executed example of a page."""
    page = path.read_text(encoding="utf-8")
    line = lambda block: page.count("\n", 0, block.start(2))
    return [(line(block), textwrap.dedent(block[2]), block[3]) for block in BLOCK.finditer(page)]


@pytest.mark.parametrize("name", [name for name, path in PAGES.items() if blocks(path)])
def test_examples_run_and_print_what_the_page_says(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    with jax.enable_x64(False), jax.numpy_rank_promotion("allow"):  # as a user would run it
        for line, code, promised in blocks(PAGES[name]):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * line + code, name, "exec"), names)
            if promised is not None:
                agree(printed.getvalue(), textwrap.dedent(promised))


@pytest.mark.parametrize("name", list(PAGES))
def test_every_fence_says_what_it_is(name):
    fences = re.findall(r"^ *```(.*)$", PAGES[name].read_text(encoding="utf-8"), re.MULTILINE)
    opened = {fence.split(" ")[0] for fence in fences[::2]}
    assert opened <= {"python", "py", "text", "sh", "toml", "yaml", "json"}
    assert set(fences[1::2]) <= {""}


def agree(printed: str, promised: str) -> None:
    """The same words, and numbers within 5 %."""
    words = lambda text: NUMBER.sub("#", " ".join(text.split()))
    numbers = lambda text: [float(number) for number in NUMBER.findall(text)]
    assert words(printed) == words(promised), printed
    assert numbers(printed) == pytest.approx(numbers(promised), rel=0.05, abs=1e-6), printed
