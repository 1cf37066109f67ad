"""Formulas: TeX to MathML while the site is built, so that pages need no script from elsewhere."""

import html as escapes
import re

from latex2mathml.converter import convert

INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def drawn(html: str) -> str:
    """`html` with the formulas that `pymdownx.arithmatex` has marked."""
    html = INLINE.sub(lambda found: convert(_tex(found)), html)
    display = lambda found: f'<div class="formula">{convert(_tex(found), display="block")}</div>'
    return DISPLAY.sub(display, html)


def _tex(found: re.Match[str]) -> str:
    return escapes.unescape(found.group(1)).strip()
