"""Images and numbers as HTML, in the colours of the page, light or dark."""

import html
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float


def picture(values: Float[np.ndarray, " pixels"], label: str, side: int = 8) -> str:
    """A square image as SVG, with 0 as paper and 1 as ink, and a caption that screen readers read, too."""
    ink = np.clip(values, 0, 1)
    cells = "".join(
        f'<rect x="{index % side}" y="{index // side}" width="1.02" height="1.02" fill-opacity="{value:.2f}"/>'
        for index, value in enumerate(ink)
        if value >= 0.005
    )
    caption = html.escape(label)
    return (
        f'<figure class="hopfax-picture"><svg viewBox="0 0 {side} {side}" role="img" aria-label="{caption}" '
        f'fill="currentColor">{cells}</svg><figcaption>{caption}</figcaption></figure>'
    )


def strip(states: Float[np.ndarray, "steps pixels"], most: int = 8) -> str:
    """Images of the first states and the last one, at most `most`."""
    last = len(states) - 1
    steps = sorted({*range(min(most - 1, last)), last})
    name = lambda step: "query" if step == 0 else "end" if step == last else f"step {step}"
    return f'<div class="hopfax-strip">{"".join(picture(states[step], name(step)) for step in steps)}</div>'


def facts(name: str, entries: Mapping[str, object]) -> str:
    """Numbers with their names; the id of each element is `name-key`."""
    cell = lambda key, value: (
        f'<div><dt>{html.escape(key)}</dt><dd id="{name}-{key.replace(" ", "-")}">'
        f"{html.escape(str(value))}</dd></div>"
    )
    return f'<dl class="hopfax-facts">{"".join(cell(key, value) for key, value in entries.items())}</dl>'


def row(*blocks: str) -> str:
    """Blocks of HTML side by side, the first the narrowest. In a narrow window they are stacked."""
    return f'<div class="hopfax-row">{"".join(f"<div>{block}</div>" for block in blocks)}</div>'


def table(name: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table whose first column names the rows."""
    line = lambda tag, values: "".join(f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values)
    body = "".join(
        f"<tr><th scope='row'>{html.escape(str(row[0]))}</th>{line('td', row[1:])}</tr>" for row in rows
    )
    head = f"<thead><tr>{line('th', headings)}</tr></thead>"
    content = f'<table id="{name}" class="hopfax-table">{head}<tbody>{body}</tbody></table>'
    return f'<div class="hopfax-scroll">{content}</div>'
