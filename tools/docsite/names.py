"""Names with hyphens in tables, HAM-EO-DEQ or 784-512-10, which a narrow screen would break."""

import re

CELL = re.compile(r"(<t[dh]\b[^>]*>)(.*?)(</t[dh]>)", re.DOTALL)
TAG = re.compile(r"(<[^>]*>)")
NAME = re.compile(r"(?<![\w-])(?:\w+-)*(?:HAM|CHN)(?:-\w+)*(?![\w-])|(?<![\w-])\d+(?:-\d+)+(?![\w-])")


def unbroken(html: str) -> str:
    """`html` with the models and sizes in the cells of its tables marked as one word, for the style sheet."""
    return CELL.sub(lambda cell: cell[1] + _marked(cell[2]) + cell[3], html)


def _marked(cell: str) -> str:
    """Tags stay as they are: between two of them, at even places, is text."""
    parts = TAG.split(cell)
    mark = lambda text: NAME.sub(lambda name: f'<span class="name">{name[0]}</span>', text)
    return "".join(part if place % 2 else mark(part) for place, part in enumerate(parts))
