"""Calibration against the formulas of equidistant patterns, and on patterns that have none."""

import jax.random as jr
import numpy as np
import pytest

from hopfax import Memory
from hopfax.memory.calibration import Calibration, calibrate
from hopfax.memory.memory import AveragingWarning
from hopfax.memory.phase import Kind, equidistant_patterns, thresholds
from hopfax.memory.similarities import Dot

RANDOM = np.asarray(jr.normal(jr.key(0), (30, 16)))


@pytest.mark.parametrize(("norm", "cosine"), [(1.0, 0.0), (2.0, 0.4)])
def test_equidistant_patterns_give_the_spinodal_and_the_instability(norm, cosine):
    patterns = np.asarray(equidistant_patterns(8, 8, norm, cosine, jr.key(1)))
    expected = thresholds(8).in_beta(norm, cosine)
    found = calibrate(patterns, rtol=1e-3)
    np.testing.assert_allclose(found.first_guess, expected.spinodal, rtol=1e-6)
    np.testing.assert_allclose(found.beta, expected.spinodal, rtol=2e-3)
    np.testing.assert_allclose(found.global_beta, expected.instability, rtol=2e-3)
    assert found.attainable == 1
    assert found.recall_beta == max(found.beta, found.global_beta)


def test_more_patterns_hold_at_higher_beta_and_scale_shrinks_it_by_its_square():
    half, most = calibrate(RANDOM, 0.5), calibrate(RANDOM, 1.0)
    assert half.beta < most.beta
    np.testing.assert_allclose(calibrate(3 * RANDOM, 0.5).beta, half.beta / 9, rtol=0.03)


def test_at_the_beta_found_the_share_is_held_and_below_it_is_not():
    found = calibrate(RANDOM, 0.8)
    held = lambda beta: np.mean(_single(Memory.store(RANDOM, beta).recall(RANDOM, max_steps=200)))
    assert held(1.01 * found.beta) >= 0.8
    assert held(0.95 * found.beta) < 0.8


def _single(found):
    return (found.index == np.arange(len(RANDOM))) & (found.share > 0.5)


def test_auto_takes_it_and_recalls_what_one_over_root_d_averages():
    memory = Memory.store(RANDOM)
    assert float(memory.beta) == pytest.approx(calibrate(RANDOM).recall_beta)
    noisy = RANDOM + 0.2 * np.asarray(jr.normal(jr.key(2), RANDOM.shape))
    right = lambda found: np.mean((found.index == np.arange(30)) & (found.kind == Kind.PATTERN))
    with pytest.warns(AveragingWarning):
        usual = Memory.store(RANDOM, 1 / np.sqrt(16))
    assert right(usual.recall(noisy)) == 0
    assert right(memory.recall(noisy)) > 0.8


def test_patterns_beaten_in_product_by_others_are_not_attainable():
    patterns = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert calibrate(patterns, similarity=Dot()).attainable == pytest.approx(2 / 3)
    assert calibrate(patterns).attainable == 1


def test_equal_rows_count_once_and_a_sample_stands_for_all():
    assert calibrate(np.concatenate([RANDOM, RANDOM])).patterns == 30
    sampled, whole = calibrate(RANDOM, 0.5, limit=20), calibrate(RANDOM, 0.5)
    assert isinstance(sampled, Calibration)
    assert sampled.patterns == 20
    np.testing.assert_allclose(sampled.beta, whole.beta, rtol=0.2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibrate(RANDOM, 0.0), r"`share` must lie in \(0, 1\]"),
        (lambda: calibrate(np.ones((4, 3))), "all equal"),
        (lambda: calibrate(RANDOM, probes=0), "`probes=0`"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
