"""The charts of the page, data in, altair charts out. Colours of the text are the page's own."""
# pyright: reportMissingImports=false

from collections.abc import Sequence

import altair as alt
import numpy as np
from jaxtyping import Float, Int

from ...memory.phase import Thresholds
from .contest import Relaxed

HEIGHT = 190
_MARK, _LINE = "#e8590c", "#4c8bf5"
_NAMES = ("spinodal", "coexistence", "instability")
_COLOURS = ["#37b24d", "#be4bdb", "#f03e3e"]
_TICKS = [0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8]


def energy_chart(energy: Float[np.ndarray, " steps"], at: int) -> alt.LayerChart:
    """Energy against the step, the step `at` marked."""
    rows = [{"step": step, "energy": float(value)} for step, value in enumerate(energy)]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("energy:Q", title="energy", scale=alt.Scale(zero=False)),
        tooltip=["step:Q", "energy:Q"],
    )
    here = base.transform_filter(f"datum.step == {at}").mark_point(color=_MARK, size=130, filled=True)
    return _sized(base.mark_line(color=_LINE, point=alt.OverlayMarkDef(color=_LINE, size=18)) + here)


def shares_chart(shares: Float[np.ndarray, " classes"]) -> alt.Chart:
    """How much of each class the next state holds."""
    rows = [{"digit": str(label), "share": float(value)} for label, value in enumerate(shares)]
    bars = alt.Chart(alt.Data(values=rows)).mark_bar(color=_LINE)
    return _sized(
        bars.encode(
            x=alt.X("digit:N", title="digit", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("share:Q", title="share", scale=alt.Scale(domain=[0, 1])),
            tooltip=["digit:N", "share:Q"],
        )
    )


def regimes_chart(
    betas: Float[np.ndarray, " betas"], counts: Int[np.ndarray, " betas"], expected: Thresholds, beta: float
) -> alt.LayerChart:
    """The number of minima against `beta`, the expected thresholds, and where `beta` stands now."""
    rows = [{"beta": float(b), "minima": int(count)} for b, count in zip(betas, counts, strict=True)]
    scale = alt.Scale(type="log", domain=[float(betas[0]), float(betas[-1])], nice=False)
    x = alt.X("beta:Q", title="β", scale=scale, axis=alt.Axis(values=_TICKS, format="~g"))
    steps = alt.Chart(alt.Data(values=rows)).mark_line(interpolate="step", color=_LINE)
    lines = [{"beta": getattr(expected, name), "threshold": name} for name in _NAMES]
    colour = alt.Color(
        "threshold:N",
        scale=alt.Scale(domain=list(_NAMES), range=_COLOURS),
        legend=alt.Legend(orient="top", title=None),
    )
    rules = alt.Chart(alt.Data(values=lines)).mark_rule(strokeDash=[5, 4], strokeWidth=1.6, clip=True)
    now = alt.Chart(alt.Data(values=[{"beta": beta}])).mark_rule(color=_MARK, strokeWidth=2.5, clip=True)
    y = alt.Y("minima:Q", title="minima", axis=alt.Axis(tickMinStep=1))
    return _sized(
        steps.encode(x=x, y=y, tooltip=["beta:Q", "minima:Q"])
        + rules.encode(x=x, color=colour, tooltip=["threshold:N", "beta:Q"])
        + now.encode(x=x)
    )


def residuals_chart(found: Sequence[Relaxed]) -> alt.Chart:
    """Relative residual against sweeps, one line for each way."""
    rows = [
        {"sweep": sweep, "residual": float(value), "update": one.name}
        for one in found
        for sweep, value in enumerate(one.trace, 1)
        if value > 0
    ]
    lines = alt.Chart(alt.Data(values=rows)).mark_line(point=alt.OverlayMarkDef(size=16))
    names = [one.name for one in found]
    return _sized(
        lines.encode(
            x=alt.X("sweep:Q", title="sweeps", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("residual:Q", title="relative residual", scale=alt.Scale(type="log")).axis(
                alt.Axis(format=".0e", tickCount=5)
            ),
            color=alt.Color(
                "update:N",
                scale=alt.Scale(domain=names, range=["#868e96", _LINE, _MARK]),
                legend=alt.Legend(orient="top", title=None, columns=2),
            ),
            tooltip=["update:N", "sweep:Q", "residual:Q"],
        )
    )


def _sized(chart):
    # Without the menu, which offers to send the chart to an editor elsewhere.
    options = {"embedOptions": {"actions": False}}
    sized = chart.properties(width="container", height=HEIGHT, background="transparent", usermeta=options)
    return sized.configure_axis(gridOpacity=0.35).configure_view(strokeOpacity=0)
