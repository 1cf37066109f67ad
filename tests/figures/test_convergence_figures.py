"""Figures draw the numbers they are given: counts, curves, labels, images; bad input is refused."""

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from hopfax.diagnostics import residual_histogram
from hopfax.figures import convergence, images_figure, images_row
from hopfax.figures.images import UNKNOWN


@pytest.fixture
def axes():
    return Figure().subplots()


def geometric(examples: int = 5, iterations: int = 20, factor: float = 0.1) -> np.ndarray:
    """Residuals `factor^(n + 1/2)`: never on the edge of a bin, and first below `factor^k` at index `k`."""
    return np.tile(factor ** (np.arange(iterations) + 0.5), (examples, 1))


def test_heatmap_has_counts_line_curve_and_circle(axes):
    traces = geometric()
    assert convergence.convergence_heatmap(axes, traces, 1e-3) is axes
    (mesh,) = (child for child in axes.get_children() if isinstance(child, QuadMesh))
    counts = residual_histogram(traces)
    assert np.array_equal(np.ma.filled(mesh.get_array(), 0).reshape(counts.shape), counts)
    line, curve, circle = axes.get_lines()
    assert set(line.get_ydata()) == {-3.0}
    assert line.get_linestyle() == "--"
    assert np.allclose(curve.get_ydata(), np.arange(-8, -1.9, 0.5))
    assert np.array_equal(curve.get_xdata()[::2], np.arange(8, 1, -1))
    assert (circle.get_xdata()[0], circle.get_ydata()[0]) == (3.0, -3.0)
    assert axes.get_xlabel()
    assert "residual" in axes.get_ylabel()


def test_panels_of_a_figure_share_the_colour_scale():
    traces = {"few": geometric(2), "many": geometric(50), "some": geometric(10)}
    figure = convergence.convergence_figure(traces, bins=40)
    panels = [axes for axes in figure.axes if axes.get_title() in traces]
    limits = {mesh.get_clim() for axes in panels for mesh in axes.collections if isinstance(mesh, QuadMesh)}
    assert [axes.get_title() for axes in panels] == list(traces)
    assert limits == {(1, 50)}


def test_residual_curves_show_the_median(axes):
    traces = np.stack([geometric(1)[0] * scale for scale in (0.5, 1, 3)])
    assert convergence.residual_curves(axes, {"model": traces}) is axes
    assert np.allclose(axes.get_lines()[0].get_ydata(), traces[1])
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["model"]


def test_residual_curves_skip_examples_that_have_stopped(axes):
    traces = np.array([[0.1, 0.01], [0.1, np.nan]])
    convergence.residual_curves(axes, {"model": traces}, tolerance=None)
    assert np.allclose(axes.get_lines()[0].get_ydata(), [0.1, 0.01])


def test_energy_and_training_curves_are_the_data(axes):
    assert convergence.energy_curves(axes, {"a": np.array([3.0, 1.0, 0.5])}) is axes
    assert axes.get_lines()[0].get_xdata().tolist() == [0, 1, 2]
    assert convergence.training_curves(axes, {"b": [0.5, 0.9]}, "accuracy", percent=True) is axes
    assert axes.get_lines()[1].get_xdata().tolist() == [1, 2]
    assert axes.get_ylabel() == "accuracy"


def test_images_row_draws_each_image_once_from_left_to_right(axes):
    images = np.linspace(0, 1, 24).reshape(2, 3, 4)
    images[0, 0, 0] = np.nan
    assert images_row(axes, images, "before") is axes
    drawn = axes.get_images()
    for one, image in zip(drawn, images, strict=True):
        assert np.array_equal(one.get_array().filled(np.nan), image, equal_nan=True)
    assert drawn[0].get_extent()[1] <= drawn[1].get_extent()[0]
    assert drawn[0].cmap(np.ma.masked)[:3] != drawn[0].cmap(0.3)[:3]
    assert axes.get_ylabel() == "before"


def test_colour_images_keep_their_colours_and_unknown_pixels_are_painted(axes):
    images = np.zeros((1, 2, 2, 3))
    images[0, 0, 0], images[0, 1, 1, 0] = [1, 0.5, 0], np.nan
    images_row(axes, images)
    (drawn,) = (np.asarray(image.get_array()) for image in axes.get_images())
    np.testing.assert_allclose(drawn[0, 0], [1, 0.5, 0])
    np.testing.assert_allclose(drawn[1, 1], to_rgb(UNKNOWN))
    np.testing.assert_allclose(drawn[0, 1], 0)


def test_images_figure_has_a_row_for_each_title():
    images = np.zeros((3, 2, 2))
    figure = images_figure([("one", images), ("two", images)])
    assert [axes.get_ylabel() for axes in figure.axes] == ["one", "two"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda axes: convergence.convergence_heatmap(axes, np.zeros((0, 4))), "traces"),
        (lambda axes: convergence.convergence_heatmap(axes, geometric(), 2.0), "tolerance"),
        (lambda axes: convergence.convergence_heatmap(axes, geometric(), bins=0), "bins"),
        (lambda axes: convergence.convergence_figure({}), "traces"),
        (lambda axes: convergence.residual_curves(axes, {}), "traces"),
        (lambda axes: convergence.energy_curves(axes, {}), "energies"),
        (lambda axes: convergence.training_curves(axes, {}), "curves"),
        (lambda axes: images_row(axes, np.zeros((0, 2, 2))), "images"),
        (lambda axes: images_row(axes, np.full((1, 2, 2), 16.0)), "images"),
        (lambda axes: images_figure([]), "rows"),
    ],
)
def test_bad_input_is_refused(axes, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(axes)
