"""Memories as functions: a trained HAM recalls what it was trained on, and more than Hebb's rule stores."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import Memory
from hopfax.lagrangians import Sparsemax
from hopfax.memory import Epanechnikov
from hopfax.memory.capacity.measure import Trial, recall_rate
from hopfax.memory.capacity.memories import binary, modern, of_memory, trained

KEY = jr.key(0)


@pytest.mark.slow
def test_a_trained_network_recalls_patterns_that_hebb_forgets():
    """In the median of three: training from a few initial weights ends at states of zero."""
    trial = Trial(32, repeats=1)
    keys = jr.split(KEY, 3)
    learned = [recall_rate(trained(lambda visible: 2 * visible, k), trial, 14, k).fraction for k in keys]
    hebb = [recall_rate(binary(), trial, 14, k).fraction for k in keys]
    assert np.median(learned) > 0.8
    assert np.median(hebb) < 0.3


@pytest.mark.slow
def test_without_training_it_recalls_nothing():
    """With small weights every state decays to zero, whose cosine with any pattern is zero."""
    learned = trained(4, KEY, steps=1, learning_rate=1e-6)
    patterns = jr.rademacher(KEY, (3, 32), float)
    assert jnp.max(jnp.abs(learned(patterns)(patterns))) < 0.05


@pytest.mark.parametrize(
    "store",
    [
        modern(1.0, separation=Sparsemax),
        of_memory(lambda patterns: Memory.store(patterns, 1.0, separation=Sparsemax)),
        of_memory(lambda patterns: Memory.store(patterns, separation=Epanechnikov)),
    ],
    ids=["modern", "memory", "epanechnikov"],
)
def test_sparse_memories_recall_their_patterns_exactly(store):
    """Signs of 32 neurons lead by 1 or more, which is the margin of sparsemax at `beta = 1`."""
    patterns = np.unique(np.asarray(jr.rademacher(KEY, (9, 32), float)), axis=0)
    np.testing.assert_allclose(store(jnp.asarray(patterns))(jnp.asarray(patterns)), patterns, atol=1e-12)


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
