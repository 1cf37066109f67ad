"""Memories as functions: a trained HAM recalls what it was trained on, and more than Hebb's rule stores."""

import jax.numpy as jnp
import jax.random as jr
import pytest

from hopfax.memory.capacity.measure import Trial, recall_rate
from hopfax.memory.capacity.memories import binary, trained

KEY = jr.key(0)


@pytest.mark.slow
def test_a_trained_network_recalls_patterns_that_hebb_forgets():
    trial = Trial(32, repeats=1)
    learned, hebb = trained(lambda visible: 2 * visible, KEY), binary()
    fractions = [recall_rate(store, trial, 14, KEY).fraction for store in (learned, hebb)]
    assert fractions[0] > 0.8
    assert fractions[1] < 0.3


def test_without_training_it_recalls_nothing():
    """With small weights every state decays to zero, whose cosine with any pattern is zero."""
    learned = trained(4, KEY, steps=1, learning_rate=1e-6)
    patterns = jr.rademacher(KEY, (3, 32), float)
    assert jnp.max(jnp.abs(learned(patterns)(patterns))) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trained(4, KEY, steps=0), "steps"),
        (lambda: trained(4, KEY, learning_rate=0.0), "`learning_rate`"),
        (lambda: trained(0, KEY)(jnp.ones((2, 4))), "hidden"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
