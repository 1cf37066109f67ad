"""The phase figures draw the numbers they are given, and say that these are not the paper's."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from hopfax.figures import phase as figures
from hopfax.memory import phase


@pytest.fixture
def axes():
    return Figure().subplots()


BETAS = np.array([1.0, 2.0, 3.0])
SWEEP = phase.Hysteresis(BETAS, BETAS / 10, BETAS / 5)
FRACTIONS = phase.StartFractions(BETAS, BETAS / 3, 0 * BETAS, 1 - BETAS / 3)
COUNTS = np.array([1, 2, 4])
UNEQUAL = phase.UnequalDistances(BETAS, COUNTS, COUNTS, phase.ClusterThresholds(1.0, 2.0, 3.0, 4.0))
GEOMETRY = phase.Geometry(3, 4, 1.0, 0.0)

DRAWN = [
    (lambda a: figures.order_parameter(a, {3: SWEEP}), [SWEEP.up, SWEEP.down]),
    (lambda a: figures.threshold_curves(a, phase.threshold_data([3, 10])), None),
    (lambda a: figures.collapse(a, [GEOMETRY], [SWEEP]), [SWEEP.down]),
    (lambda a: figures.collapse(a, [GEOMETRY], [SWEEP], 2 * BETAS), [SWEEP.down]),
    (lambda a: figures.energy_profiles(a, phase.energy_profile_data(4, points=5)), None),
    (
        lambda a: figures.start_fractions(a, FRACTIONS),
        [FRACTIONS.global_average, FRACTIONS.subset, FRACTIONS.pattern],
    ),
    (lambda a: figures.unequal_distances(a, UNEQUAL), [COUNTS, COUNTS]),
]


@pytest.mark.parametrize(("draw", "values"), DRAWN)
def test_lines_are_the_numbers_and_the_title_says_whose(axes, draw, values):
    assert draw(axes) is axes
    assert "not the paper's" in axes.get_title()
    assert len(axes.lines) >= 1
    for line, expected in zip(axes.lines, values or [], strict=False):
        np.testing.assert_array_equal(line.get_ydata(), expected)
