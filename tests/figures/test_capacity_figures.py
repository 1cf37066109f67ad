"""Figures of capacity draw the numbers they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hopfax.figures.capacity import basin_figure, curves_figure, theory_lines
from hopfax.memory.capacity.curves import BasinMap, Curves, Growth
from hopfax.memory.capacity.measure import Curve

CURVE = Curve(np.array([1.0, 10.0]), np.array([1.0, 0.5]), np.array([0.9, 0.4]), np.array([1.0, 0.6]))
CURVES = Curves(CURVE, CURVE, CURVE, 5)
GROWTH = Growth(np.array([8, 16]), np.array([2, 9]), np.array([3, 9]))


def test_each_memory_has_its_curves_and_theory_on_one_figure():
    lines = {"a": {"n": np.array([8.0, 16.0])}}
    figure = curves_figure({"a": CURVES, "b": CURVES}, {"a": GROWTH}, {"a": {"n": 5.0}}, lines)
    load, *_, size = figure.axes
    np.testing.assert_array_equal(load.lines[0].get_ydata(), [1.0, 0.5])
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {"a", "b", "a: n = 5"}
    np.testing.assert_array_equal(size.lines[-1].get_ydata(), [8, 16])
    with pytest.raises(ValueError, match="`curves` is empty"):
        curves_figure({}, {}, {}, {})


def test_theory_outside_the_axis_has_a_label_and_no_line():
    axes = Figure().subplots()
    axes.set_xlim(0, 10)
    theory_lines(axes, {"a": {"near": 5.0, "far": 1e9}}, {"a": "red"})
    drawn = [line for line in axes.lines if len(line.get_xdata())]
    assert [line.get_xdata()[0] for line in drawn] == [5.0]
    assert axes.get_legend_handles_labels()[1] == ["a: near = 5", "a: far = 1e+09"]


def test_the_map_shows_the_basin():
    counts, basin = np.array([1, 2, 4]), np.array([0.5, 0.4, 0.1])
    figure = basin_figure(BasinMap(counts, np.array([0.0, 0.5]), np.ones((3, 2)), basin), "a")
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), basin)
