"""The charts of the page, by altair, and its widgets, by anywidget. Text takes its colour from the page."""
# pyright: reportMissingImports=false

from collections.abc import Sequence
from pathlib import Path

import altair as alt
import anywidget
import numpy as np
import traitlets
from jaxtyping import Float, Int

from ...memory.phase import Thresholds
from .methods import MethodResult

HEIGHT = 190
_MARK, _LINE = "#e8590c", "#4c8bf5"
_NAMES = ("spinodal", "coexistence", "instability")
_COLOURS = ["#37b24d", "#be4bdb", "#f03e3e"]
_TICKS = [0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8]
_HERE = Path(__file__).parent


class Pad(anywidget.AnyWidget):
    """A digit to draw on: `ink` from 0 to 1 of each of 64 pixels, and which are `known`. Both are sent back."""

    _esm = _HERE / "pad.js"
    _css = _HERE / "widgets.css"
    ink = traitlets.List(traitlets.Float()).tag(sync=True)
    known = traitlets.List(traitlets.Bool()).tag(sync=True)


class Plane(anywidget.AnyWidget):
    """Patterns (`points`) and a query to drag over the energy (`heights`, rows from bottom to top)."""

    _esm = _HERE / "plane.js"
    _css = _HERE / "widgets.css"
    reach = traitlets.Float().tag(sync=True)
    points = traitlets.List().tag(sync=True)
    query = traitlets.List().tag(sync=True)
    heights = traitlets.List().tag(sync=True)
    minima = traitlets.List().tag(sync=True)
    path = traitlets.List().tag(sync=True)


def energy_chart(energy: Float[np.ndarray, " steps"], at: int) -> alt.LayerChart:
    """The energy against the step, with a mark at the step `at`."""
    rows = [{"step": step, "energy": float(value)} for step, value in enumerate(energy)]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("energy:Q", title="energy", scale=alt.Scale(zero=False)),
        tooltip=["step:Q", "energy:Q"],
    )
    mark = base.transform_filter(f"datum.step == {at}").mark_point(color=_MARK, size=130, filled=True)
    line = base.mark_line(color=_LINE, point=alt.OverlayMarkDef(color=_LINE, size=18))
    return _sized(alt.LayerChart(layer=[line, mark]))


def weights_chart(weights: Float[np.ndarray, " classes"]) -> alt.Chart:
    """The weight of each class in the next state."""
    rows = [{"digit": str(label), "weight": float(value)} for label, value in enumerate(weights)]
    bars = alt.Chart(alt.Data(values=rows)).mark_bar(color=_LINE)
    return _sized(
        bars.encode(
            x=alt.X("digit:N", title="digit", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("weight:Q", title="weight", scale=alt.Scale(domain=[0, 1])),
            tooltip=["digit:N", "weight:Q"],
        )
    )


def regimes_chart(
    betas: Float[np.ndarray, " betas"], counts: Int[np.ndarray, " betas"], thresholds: Thresholds, beta: float
) -> alt.LayerChart:
    """The number of minima against the inverse temperature, with lines at the thresholds and at `beta`."""
    rows = [{"beta": float(b), "minima": int(count)} for b, count in zip(betas, counts, strict=True)]
    scale = alt.Scale(type="log", domain=[float(betas[0]), float(betas[-1])], nice=False)
    x = alt.X("beta:Q", title="β", scale=scale, axis=alt.Axis(values=_TICKS, format="~g"))
    steps = alt.Chart(alt.Data(values=rows)).mark_line(interpolate="step", color=_LINE)
    lines = [{"beta": getattr(thresholds, name), "threshold": name} for name in _NAMES]
    colour = alt.Color(
        "threshold:N",
        scale=alt.Scale(domain=list(_NAMES), range=_COLOURS),
        legend=alt.Legend(orient="top", title=None),
    )
    rules = alt.Chart(alt.Data(values=lines)).mark_rule(strokeDash=[5, 4], strokeWidth=1.6, clip=True)
    current = alt.Chart(alt.Data(values=[{"beta": beta}])).mark_rule(color=_MARK, strokeWidth=2.5, clip=True)
    y = alt.Y("minima:Q", title="minima", axis=alt.Axis(tickMinStep=1))
    return _sized(
        alt.LayerChart(
            layer=[
                steps.encode(x=x, y=y, tooltip=["beta:Q", "minima:Q"]),
                rules.encode(x=x, color=colour, tooltip=["threshold:N", "beta:Q"]),
                current.encode(x=x),
            ]
        )
    )


def residuals_chart(results: Sequence[MethodResult]) -> alt.Chart:
    """The relative residual against the sweeps, a line for each method."""
    rows = [
        {"sweep": sweep, "residual": float(value), "method": result.name}
        for result in results
        for sweep, value in enumerate(result.trace, 1)
        if value > 0
    ]
    lines = alt.Chart(alt.Data(values=rows)).mark_line(point=alt.OverlayMarkDef(size=16))
    names = [result.name for result in results]
    return _sized(
        lines.encode(
            x=alt.X("sweep:Q", title="sweeps", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("residual:Q", title="relative residual", scale=alt.Scale(type="log")).axis(
                alt.Axis(format=".0e", tickCount=5)
            ),
            color=alt.Color(
                "method:N",
                scale=alt.Scale(domain=names, range=["#868e96", _LINE, _MARK]),
                legend=alt.Legend(orient="top", title=None, columns=2),
            ),
            tooltip=["method:N", "sweep:Q", "residual:Q"],
        )
    )


def _sized(chart):
    # Without the menu, which offers to open the chart in an editor on the web.
    options = {"embedOptions": {"actions": False}}
    sized = chart.properties(width="container", height=HEIGHT, background="transparent", usermeta=options)
    return sized.configure_axis(gridOpacity=0.35).configure_view(strokeOpacity=0)
