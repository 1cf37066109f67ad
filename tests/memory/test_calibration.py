"""Calibration against the formulas for equidistant patterns, and on patterns that have none."""

import jax.random as jr
import numpy as np
import pytest

from hopfax import Memory
from hopfax.memory.calibration import Calibration, calibrate
from hopfax.memory.memory import AveragingWarning
from hopfax.memory.phase import StateKind, equidistant_patterns, thresholds
from hopfax.memory.similarities import Dot, Euclidean

RANDOM = np.asarray(jr.normal(jr.key(0), (30, 16)))


@pytest.mark.parametrize(("norm", "cosine"), [(1.0, 0.0), (2.0, 0.4)])
def test_equidistant_patterns_give_the_spinodal_and_the_instability(norm, cosine):
    patterns = np.asarray(equidistant_patterns(8, 8, norm, cosine, jr.key(1)))
    expected = thresholds(8).in_beta(norm, cosine)
    calibration = calibrate(patterns, rtol=1e-3)
    np.testing.assert_allclose(calibration.first_guess, expected.spinodal, rtol=1e-6)
    np.testing.assert_allclose(calibration.beta, expected.spinodal, rtol=2e-3)
    np.testing.assert_allclose(calibration.global_beta, expected.instability, rtol=2e-3)
    assert calibration.attainable == 1
    assert calibration.recall_beta == max(calibration.beta, calibration.global_beta)


def test_more_patterns_are_fixed_points_at_higher_beta_which_falls_with_the_square_of_the_scale():
    half, most = calibrate(RANDOM, 0.5), calibrate(RANDOM, 1.0)
    assert half.beta < most.beta
    np.testing.assert_allclose(calibrate(3 * RANDOM, 0.5).beta, half.beta / 9, rtol=0.03)


def test_at_the_calibrated_beta_the_fraction_are_fixed_points_and_below_it_fewer():
    beta = calibrate(RANDOM, 0.8).beta
    fraction = lambda beta: np.mean(_right(Memory.store(RANDOM, beta).recall(RANDOM, max_steps=200)))
    assert fraction(1.01 * beta) >= 0.8
    assert fraction(0.95 * beta) < 0.8


def _right(recalled):
    return (recalled.index == np.arange(len(RANDOM))) & (recalled.weight > 0.5)


@pytest.mark.parametrize("similarity", [Euclidean(), Dot()], ids=["euclidean", "dot"])
def test_with_a_mask_patterns_are_recalled_from_their_known_elements(similarity):
    known = np.arange(16) < 3
    calibration = calibrate(RANDOM, 0.8, known=known, similarity=similarity)
    target = 0.8 * calibration.attainable

    def fraction(beta):
        memory = Memory.store(RANDOM, beta, similarity=similarity)
        return np.mean(_right(memory.recall(RANDOM, known, max_steps=200, tolerance=1e-4)))

    assert fraction(1.01 * calibration.beta) >= target
    assert fraction(0.95 * calibration.beta) < target


def test_auto_uses_it_and_recalls_what_one_over_root_d_averages():
    memory = Memory.store(RANDOM)
    assert float(memory.beta) == pytest.approx(calibrate(RANDOM).recall_beta)
    noisy = RANDOM + 0.2 * np.asarray(jr.normal(jr.key(2), RANDOM.shape))
    right = lambda x: np.mean((x.index == np.arange(30)) & (x.kind == StateKind.PATTERN))
    with pytest.warns(AveragingWarning):
        attention = Memory.store(RANDOM, 1 / np.sqrt(16))
    assert right(attention.recall(noisy)) == 0
    assert right(memory.recall(noisy)) > 0.8


def test_patterns_with_a_larger_product_with_another_are_not_attainable():
    patterns = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert calibrate(patterns, similarity=Dot()).attainable == pytest.approx(2 / 3)
    assert calibrate(patterns).attainable == 1


def test_patterns_that_differ_in_unknown_elements_only_are_not_both_attainable():
    patterns = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    assert calibrate(patterns, known=np.array([True, False])).attainable == pytest.approx(2 / 3)


def test_equal_rows_count_once_and_a_sample_represents_all():
    assert calibrate(np.concatenate([RANDOM, RANDOM])).patterns == 30
    sampled, whole = calibrate(RANDOM, 0.5, limit=20), calibrate(RANDOM, 0.5)
    assert isinstance(sampled, Calibration)
    assert sampled.patterns == 20
    np.testing.assert_allclose(sampled.beta, whole.beta, rtol=0.2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibrate(RANDOM, 0.0), r"`fraction` must lie in \(0, 1\]"),
        (lambda: calibrate(np.ones((4, 3))), "all equal"),
        (lambda: calibrate(RANDOM, probes=0), "`probes=0`"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
