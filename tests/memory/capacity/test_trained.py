"""A trained HAM is a memory: it holds what it was trained on, and more than Hebb's rule does."""

import jax.numpy as jnp
import jax.random as jr
import pytest

from hopfax.memory.capacity.measure import Trial, recall_rate
from hopfax.memory.capacity.memories import binary
from hopfax.memory.capacity.trained import trained

KEY = jr.key(0)


def test_training_holds_patterns_that_hebb_forgets():
    trial = Trial(32, repeats=1)
    learned, hebb = trained(lambda visible: 2 * visible, KEY), binary()
    shares = [recall_rate(store, trial, 14, KEY).share for store in (learned, hebb)]
    assert shares[0] > 0.8
    assert shares[1] < 0.3


def test_untrained_it_holds_nothing():
    """With small weights every state decays to zero, whose cosine with any pattern is zero."""
    learned = trained(4, KEY, steps=1, rate=1e-6)
    patterns = jr.rademacher(KEY, (3, 32), float)
    assert jnp.max(jnp.abs(learned(patterns)(patterns))) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: trained(4, KEY, steps=0), "steps"),
        (lambda: trained(4, KEY, rate=0.0), "`rate`"),
        (lambda: trained(0, KEY)(jnp.ones((2, 4))), "hidden"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
