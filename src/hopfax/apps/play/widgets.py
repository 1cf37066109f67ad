"""Two things to touch: a digit to draw and destroy, and a plane with patterns to drag. Needs anywidget."""
# pyright: reportMissingImports=false

from pathlib import Path

import anywidget
import traitlets

_HERE = Path(__file__).parent


class Pad(anywidget.AnyWidget):
    """64 pixels: `ink` from 0 to 1, `known` where they were not destroyed. Both come back when drawn on."""

    _esm = _HERE / "pad.js"
    _css = _HERE / "widgets.css"
    ink = traitlets.List(traitlets.Float()).tag(sync=True)
    known = traitlets.List(traitlets.Bool()).tag(sync=True)


class Plane(anywidget.AnyWidget):
    """Patterns and a query to drag (`points`, `query`) over an energy (`heights`, rows from the bottom up)."""

    _esm = _HERE / "plane.js"
    _css = _HERE / "widgets.css"
    reach = traitlets.Float().tag(sync=True)
    points = traitlets.List().tag(sync=True)
    query = traitlets.List().tag(sync=True)
    heights = traitlets.List().tag(sync=True)
    minima = traitlets.List().tag(sync=True)
    path = traitlets.List().tag(sync=True)
