"""Citations: `[key]` in pages and docstrings, looked up in the one bibliography."""

import functools as ft
import re
from pathlib import Path

from pybtex.database import parse_file
from pybtex.plugin import find_plugin

KEY = re.compile(r"\[@?([a-z]+[0-9]{4}[a-z]?)\]")
APART = re.compile(
    r"(<(?:pre|code|math|a|script|style)\b.*?</(?:pre|code|math|a|script|style)>|<[^>]*>)", re.DOTALL
)


@ft.cache
def labels(references: Path) -> dict[str, str]:
    """`key -> "Goemaere et al. 2024"`."""
    entries = parse_file(str(references)).entries
    return {key: _label(entry) for key, entry in entries.items()}


def linked(html: str, known: dict[str, str], to: str) -> str:
    """`html` with each citation outside code a link to its entry on the page `to`.

    Raises: `ValueError` for a key that is not known.
    """
    parts = APART.split(html)
    parts[::2] = [KEY.sub(lambda found: _link(found.group(1), known, to), text) for text in parts[::2]]
    return "".join(parts)


def listed(references: Path) -> str:
    """The whole bibliography as HTML, ordered by its labels, each entry with its key as anchor."""
    names = labels(references)
    entries = parse_file(str(references)).entries
    for entry in entries.values():
        entry.fields["title"] = f"{{{entry.fields['title']}}}"  # as it is written, not in lower case
    style = find_plugin("pybtex.style.formatting", "plain")()
    backend = find_plugin("pybtex.backends", "html")()
    formatted = {each.key: each.text.render(backend) for each in style.format_entries(entries.values())}
    rows = [
        f'<dt id="{key}">{names[key]} <code>[{key}]</code></dt><dd>{formatted[key]}</dd>'
        for key in sorted(formatted, key=lambda key: names[key].lower())
    ]
    return "\n\n<dl>\n" + "\n".join(rows) + "\n</dl>\n"


def _label(entry) -> str:
    names = [" ".join([*person.prelast_names, *person.last_names]) for person in entry.persons["author"]]
    names = [name.replace("{", "").replace("}", "") for name in names]
    if len(names) > 2 or names[1:] == ["others"]:
        names = [f"{names[0]} et al."]
    return f"{' and '.join(names)} {entry.fields['year']}"


def _link(key: str, known: dict[str, str], to: str) -> str:
    if key not in known:
        raise ValueError(f"[{key}] is cited, but not in the bibliography; add it to docs/references.bib.")
    return f'<a class="citation" href="{to}#{key}">[{known[key]}]</a>'
