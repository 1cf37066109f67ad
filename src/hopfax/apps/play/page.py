# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""The page that `hopfax play` opens: a marimo app that arranges what the modules beside it compute."""
# pyright: reportMissingImports=false

import marimo

app = marimo.App(width="medium", app_title="hopfax play", css_file="page.css")

with app.setup:
    import contextlib

    import marimo as mo
    import numpy as np

    from hopfax import data
    from hopfax.apps import play
    from hopfax.apps.play import graphics, markup, patterns

    DIGITS = data.digits()
    BETAS = np.geomspace(0.3, 8, 60)  # of the curves; the sliders have finer steps
    PLANE_BETAS = np.geomspace(1, 4, 60)
    COMPUTED: set[str] = set()
    NOTHING_FREE = """
    All pixels are known and clamped, so no pixel is free and there is nothing to recall. Choose unknown pixels, mark
    some by hand, or turn "clamp the known pixels" off.
    """

    def beta_slider(low: float, high: float, step: float, start: float):
        """A slider of β in equal steps, so that assistive technology announces β and not the number of a step."""
        return mo.ui.slider(low, high, step, value=start, label="β", show_value=True, full_width=True)

    def computing(part: str):
        """What is shown while a part is computed for the first time; later it would only move the page about."""
        if part in COMPUTED:
            return contextlib.nullcontext()
        COMPUTED.add(part)
        return mo.status.spinner(title="Computing. The first time it is compiled, which takes some seconds.")


@app.cell
def _():
    mo.md(
        """
        # hopfax play

        A modern Hopfield network stores patterns x<sub>μ</sub>. To recall one of them, it repeats the update
        x ← Σ<sub>μ</sub> p<sub>μ</sub> x<sub>μ</sub> with the weights p = softmax(−β |x − x<sub>μ</sub>|² / 2). No step
        raises the energy. At low inverse temperature β, every query ends at the average of all patterns. At high β,
        each pattern is a minimum of the energy. In between is the metastable regime, with averages of some patterns, or
        with the average of all and the patterns.

        ## 1. Recall a digit

        Choose a digit and which of its pixels are unknown, or draw on it. Unknown pixels (crosses) start at the mean of
        the stored digits.
        """
    )
    return


@app.cell
def _():
    per_class = mo.ui.dropdown(
        {"10, one of each class": 1, "30, three of each class": 3},
        "10, one of each class",
        label="stored digits",
    )
    label = mo.ui.dropdown({str(digit): digit for digit in range(10)}, "3", label="query: a")
    source = mo.ui.dropdown({"stored": True, "not stored": False}, "stored", label="that is")
    corruption = mo.ui.dropdown(list(patterns.CORRUPTIONS), "top half", label="unknown pixels")
    mo.hstack([per_class, label, source, corruption], wrap=True, justify="start", gap=1)
    return corruption, label, per_class, source


@app.cell
def _(corruption, label, source):
    pad = mo.ui.anywidget(
        graphics.Pad(
            ink=patterns.one_digit(DIGITS, label.value, source.value).tolist(),
            known=patterns.known_pixels(corruption.value).tolist(),
        )
    )
    return (pad,)


@app.cell
def _():
    beta = beta_slider(0.3, 8.0, 0.01, start=1.55)
    clamp = mo.ui.switch(label="clamp the known pixels")
    return beta, clamp


@app.cell
def _(per_class):
    stored, labels = patterns.stored_digits(DIGITS, per_class.value)
    thresholds = play.equidistant_thresholds(stored)
    return labels, stored, thresholds


@app.cell
def _(beta, clamp, pad):
    mo.Html(markup.row(f"{pad}", f"{mo.vstack([beta, clamp])}"))
    return


@app.cell
def _(clamp, pad, stored):
    known = np.array(pad.value["known"], bool)
    query = play.initial_query(np.array(pad.value["ink"], float), known, stored)
    clamped = known & clamp.value
    mo.stop(clamped.all(), mo.md(NOTHING_FREE))
    return clamped, query


@app.cell
def _(beta, clamped, query, stored):
    with computing("recall"):
        path = play.recall_path(stored, query, beta.value, clamped)
    return (path,)


@app.cell
def _(path):
    step = mo.ui.slider(
        0, max(path.steps, 1), value=path.steps, label="step", show_value=True, full_width=True
    )
    return (step,)


@app.cell
def _(path, step):
    shown_step = min(step.value, path.steps)
    return (shown_step,)


@app.cell
def _(labels, path, shown_step, step):
    recall_facts = {
        "recall ends at": path.description,
        "largest weight": f"{path.weights[-1].max():.0%}, of a {labels[path.weights[-1].argmax()]}",
        "steps": path.steps,
        "energy at this step": f"{path.energy[shown_step]:.4f}",
    }
    mo.vstack([step, mo.Html(markup.facts("recall", recall_facts))])
    return


@app.cell
def _(path):
    mo.Html(markup.strip(path.states))
    return


@app.cell
def _(labels, path, shown_step):
    weights = play.class_weights(path.weights, labels, patterns.CLASSES)
    mo.Html(
        markup.row(
            markup.picture(path.states[shown_step], f"step {shown_step}"),
            mo.as_html(graphics.energy_chart(path.energy, shown_step)).text,
            mo.as_html(graphics.weights_chart(weights[shown_step])).text,
        )
    )
    return


@app.cell
def _(stored):
    with computing("minima"):
        counts = play.minima_counts(stored, BETAS)
    return (counts,)


@app.cell
def _(beta, counts, stored, thresholds):
    minima = play.find_minima(stored, beta.value)
    memory_facts = {
        "regime of the memory": minima.regime.value,
        "minima": len(minima.states),
        "spinodal": f"{thresholds.spinodal:.3f}",
        "coexistence": f"{thresholds.coexistence:.3f}",
        "instability": f"{thresholds.instability:.3f}",
    }
    mo.vstack(
        [
            mo.Html(markup.facts("memory", memory_facts)),
            graphics.regimes_chart(BETAS, counts, thresholds, beta.value),
            mo.md(
                """
                The chart shows the number of minima against β. The dashed lines are the thresholds of as many patterns
                with equal distances, the mean distance of the stored digits. The distances of digits differ, so their
                minima appear one after another around these lines.
                """
            ),
        ]
    )
    return


@app.cell
def _():
    mo.md(
        """
        ## 2. The energy landscape of a small memory

        Drag the numbered patterns or the query (?), or select them with the tab key and move them with the arrow keys.
        Crosses are the minima of the energy, and the green line is the recall. For three patterns with equal distances,
        the minima at the patterns appear at the spinodal, and their average ceases to be a minimum at the instability.
        """
    )
    return


@app.cell
def _():
    arrangement = mo.ui.dropdown(list(patterns.ARRANGEMENTS), "triangle", label="patterns")
    plane_beta = beta_slider(1.0, 4.0, 0.005, start=1.88)
    mo.vstack([arrangement, plane_beta])
    return arrangement, plane_beta


@app.cell
def _(arrangement):
    plane = mo.ui.anywidget(
        graphics.Plane(
            points=patterns.arranged_points(arrangement.value).tolist(), query=[0.6, 0.5], reach=play.REACH
        )
    )
    return (plane,)


@app.cell
def _(plane):
    points = np.array(plane.value["points"], float)
    plane_query = np.array(plane.value["query"], float)
    mo.stop(
        np.ptp(points, axis=0).max() < 1e-6,
        mo.md("All patterns are at the same point: move one of them away."),
    )
    return plane_query, points


@app.cell
def _(plane, plane_beta, plane_query, points):
    with computing("landscape"):
        surface = play.landscape(points, plane_beta.value)
        plane_path = play.recall_path(points, plane_query, plane_beta.value)
    plane.widget.heights = surface.heights.reshape(-1).tolist()
    plane.widget.minima = surface.minima.states.tolist()
    plane.widget.path = plane_path.states.tolist()
    return plane_path, surface


@app.cell
def _(points):
    plane_thresholds = play.equidistant_thresholds(points)
    plane_counts = play.minima_counts(points, PLANE_BETAS)
    return plane_counts, plane_thresholds


@app.cell
def _(plane_path, plane_thresholds, points, surface):
    plane_facts = {
        "regime": surface.minima.regime.value,
        "minima": len(surface.minima.states),
        "recall ends at": plane_path.description,
        "steps": plane_path.steps,
        "spinodal": f"{plane_thresholds.spinodal:.3f}",
        "coexistence": f"{plane_thresholds.coexistence:.3f}",
        "instability": f"{plane_thresholds.instability:.3f}",
        "thresholds are": "exact" if play.is_equidistant(points) else "a first guess",
    }
    return (plane_facts,)


@app.cell
def _(plane, plane_beta, plane_counts, plane_facts, plane_thresholds):
    plane_chart = graphics.regimes_chart(PLANE_BETAS, plane_counts, plane_thresholds, plane_beta.value)
    plane_text = markup.facts("plane", plane_facts) + mo.as_html(plane_chart).text
    mo.Html(f'<div class="hopfax-halves">{markup.row(f"{plane}", plane_text)}</div>')
    return


@app.cell
def _():
    mo.md(
        """
        ## 3. One query relaxed by three methods

        The query, the clamped pixels and β are those of part 1. Each method stops at a relative residual of 10⁻⁶. A
        sweep is one product with the patterns and one with their transpose. If there is one minimum, all methods find
        it. If there are several, Anderson acceleration sometimes ends at another one than the others.
        """
    )
    return


@app.cell
def _(beta, clamped, query, stored):
    with computing("methods"):
        results = play.compare_methods(stored, query, beta.value, clamped)
    return (results,)


@app.cell
def _(results):
    lines = [
        (result.name, result.sweeps, "yes" if result.converged else "no", f"{result.energy:.6f}")
        for result in results
    ]
    distance = play.largest_distance(results)
    methods_facts = {
        "they end at": "one equilibrium" if distance < 1e-3 else "different equilibria",
        "largest relative distance": f"{distance:.0e}",
    }
    ends = "".join(markup.picture(result.state, result.name) for result in results)
    methods_text = (
        markup.table("methods", ("method", "sweeps", "converged", "energy"), lines)
        + markup.facts("methods", methods_facts)
        + f'<div class="hopfax-strip">{ends}</div>'
    )
    mo.Html(markup.row(methods_text, mo.as_html(graphics.residuals_chart(results)).text))
    return


if __name__ == "__main__":
    app.run()
