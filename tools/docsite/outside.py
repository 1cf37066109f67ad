"""Files outside docs/ that the site shows, and links between them as the repository has them."""

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
PATTERNS = ("experiments/README.md", "experiments/*/*.md", "experiments/*/*.png", "experiments/*/results/*.json",
            "benchmarks/results/*.json")  # fmt: skip
FENCED = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(
    r"(!?)\[([^\[\]]*)\]\(([^()\s]+)\)|`[^`\n]+`"
)  # code first met is left alone, but may be in a link


def shown(root: Path) -> Iterator[str]:
    """The files outside docs/ that the site shows, from the root of the repository."""
    yield from PAGES
    for pattern in PATTERNS:
        yield from sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))


def site_path(path: str) -> str:
    """Where the site has the file that the repository has at `path`."""
    return PAGES.get(path) or path.removeprefix("docs/")


def repository_path(site: str) -> str:
    """The inverse of `site_path`."""
    ours = {there: here for here, there in PAGES.items()}
    return ours.get(site) or (site if site.startswith(("experiments/", "benchmarks/")) else f"docs/{site}")


def relinked(markdown: str, origin: str, root: Path) -> str:
    """`markdown` of the file at `origin` with links as the site needs them.

    A link to a file that the site does not show becomes its text.
    """
    parts = FENCED.split(markdown)
    parts[::2] = [LINK.sub(lambda found: _link(found, origin, root), text) for text in parts[::2]]
    return "".join(parts)


def _link(found: re.Match[str], origin: str, root: Path) -> str:
    mark, text, target = found.groups()
    path, _, anchor = (target or "").partition("#")
    if not path or re.match(r"[a-z]+:", target):
        return found.group()
    there = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
    if (root / there).is_dir():
        there += "/README.md"
    if there not in set(shown(root)) and not there.startswith("docs/"):
        return text
    relative = posixpath.relpath(site_path(there), posixpath.dirname(site_path(origin)) or ".")
    return f"{mark}[{text}]({relative}{'#' + anchor if anchor else ''})"


def moved(markdown: str, origin: str, to: str) -> str:
    """Links of a piece of `origin` as they must be to stand in the file `to`."""

    def one(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        if target is None or re.match(r"[a-z]+:|#", target):
            return found.group()
        there = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        return f"{mark}[{text}]({os.path.relpath(there, posixpath.dirname(to))})"

    return LINK.sub(one, markdown)
