"""Random features: the closed form of their error, its fall with their number, and patterns that come and go."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from hopfax import Memory
from hopfax.memory import RandomFeatureMemory

PATTERNS = np.asarray(jr.normal(jr.key(0), (6, 3)))
QUERIES = np.asarray(PATTERNS + 0.3 * jr.normal(jr.key(1), (6, 3)))
BETA = 1.5


def kernel(differences):
    return np.exp(-BETA * np.sum(differences**2, axis=-1) / 2)


def variance_of_one_frequency(query):
    """Of `Σ_i cos(ω·(x - x_i))`, as `cos a cos b = (cos(a - b) + cos(a + b)) / 2`."""
    d = query - PATTERNS
    both = kernel(d[:, None] - d[None]) + kernel(d[:, None] + d[None])
    return np.sum(both / 2 - kernel(d)[:, None] * kernel(d)[None])


def test_errors_have_the_mean_and_variance_of_the_closed_form_at_every_number_of_features():
    """So they fall as one over the square root of the number of features."""
    exact = kernel(QUERIES[:, None] - PATTERNS[None]).sum(axis=1)
    draws = 400
    for features in (8, 64, 512):
        of_key = lambda key, y=features: jax.vmap(
            RandomFeatureMemory.store(PATTERNS, BETA, y, key).similarity
        )(jnp.asarray(QUERIES))
        sums = np.asarray(jax.jit(jax.vmap(of_key))(jr.split(jr.key(features), draws)))
        expected = np.array([variance_of_one_frequency(q) for q in QUERIES]) / (features / 2)
        deviation = np.sqrt(expected / draws)
        assert np.all(np.abs(sums.mean(axis=0) - exact) < 4.5 * deviation)
        np.testing.assert_allclose(np.mean((sums - exact) ** 2, axis=0), expected, rtol=0.4)


def test_with_many_features_the_update_and_energy_are_those_of_the_exact_memory():
    exact, fixed = (
        Memory.store(PATTERNS, BETA).network(),
        RandomFeatureMemory.store(PATTERNS, BETA, 2**16, jr.key(2)),
    )
    both = jax.jit(jax.vmap(lambda x: (fixed.update(x), exact.update(x), fixed.energy(x), exact.energy(x))))
    update, expected, energy, whole = both(jnp.asarray(QUERIES))
    np.testing.assert_allclose(update, expected, atol=0.03)
    np.testing.assert_allclose(energy, whole, atol=0.02)
    recalled = fixed.recall(QUERIES)
    assert recalled.converged.all()
    np.testing.assert_allclose(recalled.state, Memory.store(PATTERNS, BETA).recall(QUERIES).state, atol=0.05)


def test_patterns_are_added_and_removed_exactly_in_the_same_size():
    whole = RandomFeatureMemory.store(PATTERNS, BETA, 32, jr.key(3))
    grown = RandomFeatureMemory.store(PATTERNS[:2], BETA, 32, jr.key(3)).add(PATTERNS[2:])
    np.testing.assert_allclose(grown.total, whole.total, atol=1e-14)
    shrunk = grown.remove(PATTERNS[2:])
    np.testing.assert_allclose(
        shrunk.total, RandomFeatureMemory.store(PATTERNS[:2], BETA, 32, jr.key(3)).total, atol=1e-14
    )
    assert grown.total.shape == (32,)


def test_where_the_similarity_is_not_positive_the_state_stays():
    stored = RandomFeatureMemory.store(PATTERNS, BETA, 8, jr.key(4))
    far = np.asarray(20 * jr.normal(jr.key(5), (50, 3)))
    negative = np.asarray(jax.vmap(stored.similarity)(jnp.asarray(far))) <= 0
    assert negative.any()
    recalled = stored.recall(far[negative])
    np.testing.assert_array_equal(recalled.state, far[negative])
    assert np.isinf(stored.energy(jnp.asarray(far[negative][0])))
