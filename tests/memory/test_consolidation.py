"""Consolidation: close patterns become their mean, in any memory that tells them apart at a high beta only."""

import jax.random as jr
import numpy as np
import pytest

from hopfax import Memory
from hopfax.lagrangians import Sparsemax
from hopfax.memory import consolidate
from hopfax.memory.emergent import distinct_states

CENTRES = np.array([[0.0, 0.0, 4.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
GROUPS = np.repeat(np.arange(3), [3, 4, 5])
PATTERNS = CENTRES[GROUPS] + 0.1 * np.asarray(jr.normal(jr.key(0), (12, 3)))


@pytest.mark.parametrize("separation", ["softmax", Sparsemax])
def test_groups_of_close_patterns_become_their_means(separation):
    options = {} if separation == "softmax" else {"separation": separation}
    memory = Memory.store(PATTERNS, 5000.0, values=np.arange(12.0)[:, None], **options)
    result = consolidate(memory, 3, rtol=0.5)
    np.testing.assert_array_equal(result.label, GROUPS)
    means = np.stack([PATTERNS[group == GROUPS].mean(axis=0) for group in range(3)])
    np.testing.assert_allclose(result.patterns, means, atol=1e-14)
    np.testing.assert_allclose(result.values[:, 0], [1, 4.5, 9], atol=1e-14)
    assert result.beta < 5000


def test_states_within_the_radius_of_the_first_are_one():
    states = np.array([[0.0], [1.0], [0.05], [1.04], [0.5]])
    label, first = distinct_states(states, 0.1)
    np.testing.assert_array_equal(label, [0, 1, 0, 1, 2])
    np.testing.assert_array_equal(first, [0, 1, 4])
