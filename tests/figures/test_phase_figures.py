"""What the phase figures draw is the data they are given, labelled as ours."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hopfax.figures import phase as phase_plots
from hopfax.memory import phase


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


BETAS = np.array([1.0, 2.0, 3.0])
SWEEP = phase.Hysteresis(BETAS, BETAS / 10, BETAS / 5)
SHARES = phase.Shares(BETAS, BETAS / 3, 0 * BETAS, 1 - BETAS / 3)
COUNTS = np.array([1, 2, 4])
UNEQUAL = phase.UnequalDistances(BETAS, COUNTS, COUNTS, phase.ClusterThresholds(1.0, 2.0, 3.0, 4.0))
GEOMETRY = phase.Geometry(3, 4, 1.0, 0.0)

DRAWN = [
    (lambda a: phase_plots.order_parameter(a, {3: SWEEP}), [SWEEP.up, SWEEP.down]),
    (lambda a: phase_plots.threshold_curves(a, phase.threshold_data([3, 10])), None),
    (lambda a: phase_plots.collapse(a, [GEOMETRY], [SWEEP]), [SWEEP.down]),
    (lambda a: phase_plots.collapse(a, [GEOMETRY], [SWEEP], 2 * BETAS), [SWEEP.down]),
    (lambda a: phase_plots.energy_profiles(a, phase.energy_profile_data(4, points=5)), None),
    (lambda a: phase_plots.start_shares(a, SHARES), [SHARES.whole, SHARES.subset, SHARES.pattern]),
    (lambda a: phase_plots.unequal_distances(a, UNEQUAL), [COUNTS, COUNTS]),
]


@pytest.mark.parametrize(("draw", "values"), DRAWN)
def test_lines_are_the_data_and_the_title_says_whose(axes, draw, values):
    assert draw(axes) is axes
    assert "not the paper's" in axes.get_title()
    assert len(axes.lines) >= 1
    for line, expected in zip(axes.lines, values or [], strict=False):
        np.testing.assert_array_equal(line.get_ydata(), expected)
