"""The page as a program, without a browser: what its cells compute, and what they say if nothing can be computed."""

import pytest

from hopfax import data
from hopfax.apps.play import patterns, serving

for needed in serving.NEEDED:
    pytest.importorskip(needed)


@pytest.fixture(scope="module")
def page():
    from hopfax.apps.play import page

    return page


class Switch:
    """What a switch of the page looks like to other cells."""

    value = True


def test_with_nothing_free_the_page_says_so_and_draws_no_recall(page):
    ink = patterns.one_digit(data.digits(), 3, stored=True).tolist()
    pad = Switch()
    pad.value = {"ink": ink, "known": [True] * 64}
    beta = page.beta_slider(0.3, 8.0, 0.01, start=1.53)
    outputs, values = page.app.run(defs={"pad": pad, "beta": beta, "clamp": Switch()})
    assert any("no pixel is free" in str(getattr(output, "text", "")) for output in outputs)
    assert not {"path", "results"} & {name for name, value in values.items() if value is not None}
    assert "surface" in values


def test_sliders_have_beta_itself_as_their_value(page):
    slider = page.beta_slider(0.3, 8.0, 0.01, start=1.53)
    assert (slider.start, slider.stop, slider.step, slider.value) == (0.3, 8, 0.01, 1.53)
    assert slider.steps is None


def test_the_page_says_that_it_is_loading_before_any_script_has_run():
    css = serving.PAGE.with_name("page.css").read_text(encoding="utf-8")
    assert "#root:empty::before" in css
