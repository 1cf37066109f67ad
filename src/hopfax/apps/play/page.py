# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The page that `hopfax play` opens: a marimo app, which only arranges what the modules beside it compute."""
# pyright: reportMissingImports=false

import marimo

app = marimo.App(width="medium", app_title="hopfax play", css_file="page.css")

with app.setup:
    import marimo as mo
    import numpy as np

    from hopfax import data
    from hopfax.apps import play
    from hopfax.apps.play import charts, markup, patterns
    from hopfax.apps.play.widgets import Pad, Plane

    DIGITS = data.digits()
    BETAS = np.geomspace(0.3, 8, 60)  # of the curves; sliders have finer ones
    PLANE_BETAS = np.geomspace(1, 4, 60)

    def beta_slider(low: float, high: float, count: int, at: int):
        """Of β, in equal ratios, begun at place `at`."""
        steps = np.geomspace(low, high, count).round(3).tolist()
        return mo.ui.slider(steps=steps, value=steps[at], label="β", show_value=True, full_width=True)


@app.cell
def _():
    mo.md(
        """
        # hopfax play

        A modern Hopfield memory stores patterns x<sub>μ</sub>. Recall repeats x ← Σ<sub>μ</sub> p<sub>μ</sub>
        x<sub>μ</sub> with p = softmax(−β |x − x<sub>μ</sub>|² / 2), and no step raises the energy. At low β every query
        ends at one average. At high β each pattern is a minimum of its own. Between them lies the metastable regime:
        blends, or an average beside the patterns.

        ## 1. Recall a digit
        """
    )
    return


@app.cell
def _():
    each = mo.ui.dropdown(
        {"10, one of each": 1, "30, three of each": 3}, "10, one of each", label="stored digits"
    )
    label = mo.ui.dropdown({str(one): one for one in range(10)}, "3", label="recall a")
    source = mo.ui.dropdown({"stored": True, "not stored": False}, "stored", label="that is")
    damage = mo.ui.dropdown(list(patterns.DAMAGES), "top half", label="destroy")
    mo.hstack([each, label, source, damage], wrap=True, justify="start", gap=1)
    return damage, each, label, source


@app.cell
def _(damage, label, source):
    pad = mo.ui.anywidget(
        Pad(
            ink=patterns.one_digit(DIGITS, label.value, source.value).tolist(),
            known=patterns.kept(damage.value).tolist(),
        )
    )
    return (pad,)


@app.cell
def _():
    beta = beta_slider(0.3, 8, 120, at=59)
    hold = mo.ui.switch(label="hold the pixels that are left")
    return beta, hold


@app.cell
def _(each):
    stored, labels = patterns.first_of_each(DIGITS, each.value)
    expected = play.expected_thresholds(stored)
    return expected, labels, stored


@app.cell
def _(beta, hold, pad, stored):
    known = np.array(pad.value["known"], bool)
    query = play.query_of(np.array(pad.value["ink"], float), known, stored)
    held = known & hold.value
    path = play.recall_path(stored, query, beta.value, held)
    return held, path, query


@app.cell
def _(path):
    step = mo.ui.slider(
        0, max(path.steps, 1), value=path.steps, label="step", show_value=True, full_width=True
    )
    return (step,)


@app.cell
def _(path, step):
    at = min(step.value, path.steps)
    return (at,)


@app.cell
def _(at, beta, hold, labels, pad, path, step):
    recall_facts = {
        "this recall ends at": path.ends,
        "largest share": f"a {labels[path.shares[-1].argmax()]}, {path.shares[-1].max():.0%}",
        "after steps": path.steps,
        "energy at the step shown": f"{path.energy[at]:.4f}",
    }
    mo.Html(
        markup.row(
            f"{pad}", f"{mo.vstack([beta, hold, step, mo.Html(markup.facts('recall', recall_facts))])}"
        )
    )
    return


@app.cell
def _(path):
    mo.Html(markup.strip(path.states))
    return


@app.cell
def _(at, labels, path):
    shares = play.class_shares(path.shares, labels, patterns.CLASSES)
    mo.Html(
        markup.row(
            markup.picture(path.states[at], f"step {at}"),
            mo.as_html(charts.energy_chart(path.energy, at)).text,
            mo.as_html(charts.shares_chart(shares[at])).text,
        )
    )
    return


@app.cell
def _(stored):
    counts = play.count_against_beta(stored, BETAS)
    return (counts,)


@app.cell
def _(beta, counts, expected, stored):
    memory = play.find_minima(stored, beta.value)
    memory_facts = {
        "regime of the memory": memory.regime.value,
        "minima": len(memory.states),
        "spinodal": f"{expected.spinodal:.3f}",
        "coexistence": f"{expected.coexistence:.3f}",
        "instability": f"{expected.instability:.3f}",
    }
    mo.vstack(
        [
            mo.Html(markup.facts("memory", memory_facts)),
            charts.regimes_chart(BETAS, counts, expected, beta.value),
            mo.md(
                """
                The thresholds are those of as many patterns at one distance, the mean of the digits' own. Digits are
                not equally far apart, so their minima appear one after another around them.
                """
            ),
        ]
    )
    return


@app.cell
def _():
    mo.md(
        """
        ## 2. The landscape of a small memory

        Drag the numbered patterns, or the query (tab and arrow keys do it too). Crosses are the minima, the green line
        is the recall. Of three patterns at equal distances the minima appear at the spinodal, and the average ceases to
        be one at the instability.
        """
    )
    return


@app.cell
def _():
    arrangement = mo.ui.dropdown(list(patterns.ARRANGEMENTS), "triangle", label="patterns")
    plane_beta = beta_slider(1, 4, 240, at=109)
    mo.vstack([arrangement, plane_beta])
    return arrangement, plane_beta


@app.cell
def _(arrangement):
    plane = mo.ui.anywidget(
        Plane(points=patterns.points(arrangement.value).tolist(), query=[0.6, 0.5], reach=play.REACH)
    )
    return (plane,)


@app.cell
def _(plane):
    points = np.array(plane.value["points"], float)
    plane_query = np.array(plane.value["query"], float)
    mo.stop(
        np.ptp(points, axis=0).max() < 1e-6, mo.md("All patterns are in one place: move one of them away.")
    )
    return plane_query, points


@app.cell
def _(plane, plane_beta, plane_query, points):
    surface = play.landscape(points, plane_beta.value)
    trail = play.recall_path(points, plane_query, plane_beta.value)
    plane.widget.heights = surface.heights.reshape(-1).tolist()
    plane.widget.minima = surface.minima.states.tolist()
    plane.widget.path = trail.states.tolist()
    return surface, trail


@app.cell
def _(points):
    plane_expected = play.expected_thresholds(points)
    plane_counts = play.count_against_beta(points, PLANE_BETAS)
    return plane_counts, plane_expected


@app.cell
def _(plane_expected, points, surface, trail):
    plane_facts = {
        "regime": surface.minima.regime.value,
        "minima": len(surface.minima.states),
        "the query ends at": trail.ends,
        "after steps": trail.steps,
        "spinodal": f"{plane_expected.spinodal:.3f}",
        "coexistence": f"{plane_expected.coexistence:.3f}",
        "instability": f"{plane_expected.instability:.3f}",
        "these thresholds are": "exact" if play.is_equidistant(points) else "a first guess",
    }
    return (plane_facts,)


@app.cell
def _(plane, plane_beta, plane_counts, plane_expected, plane_facts):
    plane_chart = charts.regimes_chart(PLANE_BETAS, plane_counts, plane_expected, plane_beta.value)
    told = markup.facts("plane", plane_facts) + mo.as_html(plane_chart).text
    mo.Html(f'<div class="hopfax-halves">{markup.row(f"{plane}", told)}</div>')
    return


@app.cell
def _():
    mo.md(
        """
        ## 3. One query relaxed in three ways

        The query, the pixels held and the β of part 1, to a relative residual of 10⁻⁶. A sweep is one product with the
        patterns and one with their transpose. Where there is one minimum all end there. Where there are several,
        Anderson's longer steps may, now and then, end in another.
        """
    )
    return


@app.cell
def _(beta, held, query, stored):
    found = play.contest(stored, query, beta.value, held)
    return (found,)


@app.cell
def _(found):
    lines = [(one.name, one.sweeps, "yes" if one.converged else "no", f"{one.energy:.6f}") for one in found]
    apart = play.disagreement(found)
    contest_facts = {
        "they end at": "one equilibrium" if apart < 1e-3 else "different equilibria",
        "largest distance": f"{apart:.0e}",
    }
    ends = "".join(markup.picture(one.state, one.name) for one in found)
    told_of_ways = (
        markup.table("contest", ("update", "sweeps", "converged", "energy"), lines)
        + markup.facts("contest", contest_facts)
        + f'<div class="hopfax-strip">{ends}</div>'
    )
    mo.Html(markup.row(told_of_ways, mo.as_html(charts.residuals_chart(found)).text))
    return


if __name__ == "__main__":
    app.run()
