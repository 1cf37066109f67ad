"""What a state stands for: constructed states, fixed points of every type, and batches."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax.memory import phase

batched = jax.jit(jax.vmap(phase.classify, in_axes=(None, 0, 0)))


@pytest.mark.parametrize("n", [3, 7])
def test_fixed_points_are_recognised_by_type(n):
    """At every temperature `k` is read back exactly, or the contrast `k m` is small and the state global."""
    betas = np.linspace(phase.thresholds(n).spinodal * 1.001, 2 * n, 6)
    found = [phase.branches(n, beta) for beta in betas.tolist()]
    k, m, b = (np.concatenate([getattr(each, name) for each in found]) for name in ("k", "m", "b"))
    states = jnp.asarray((np.arange(n) < k[:, None]) * m[:, None] + b[:, None])
    told = batched(jnp.eye(n), states, np.repeat(betas, [each.k.size for each in found]))
    apart = k * m > 0.25
    np.testing.assert_array_equal(told.size, np.where(apart, k, n))
    np.testing.assert_array_equal(told.members.sum(axis=1), told.size)
    np.testing.assert_allclose(told.contrast[apart], (k * m)[apart], atol=1e-9)
    kinds = np.where(k == 1, phase.Kind.PATTERN, phase.Kind.SUBSET)
    np.testing.assert_array_equal(told.kind, np.where(apart, kinds, phase.Kind.GLOBAL))


def test_exact_states_have_confidence_one():
    patterns = 10 * jnp.eye(5)
    states = jnp.stack([patterns.mean(axis=0), patterns[1:4].mean(axis=0), patterns[2]])
    told = batched(patterns, states, jnp.ones(3))
    assert told.kind.tolist() == [phase.Kind.GLOBAL, phase.Kind.SUBSET, phase.Kind.PATTERN]
    assert told.size.tolist() == [5, 3, 1]
    np.testing.assert_allclose(told.confidence, 1, atol=1e-9)
    assert told.members[1].tolist() == [False, True, True, True, False]
    assert told.index[2] == 2


def test_confidence_is_the_share_explained():
    state = jnp.array([jnp.log(0.8), jnp.log(0.15), jnp.log(0.05)])
    told = jax.jit(phase.classify)(jnp.eye(3), state, 1.0)
    assert told.kind == phase.Kind.PATTERN
    np.testing.assert_allclose(told.confidence, 0.8, rtol=1e-12)
    np.testing.assert_allclose(told.contrast, 0.8 - 0.1, rtol=1e-12)


def test_cluster_averages_are_subsets_within_their_range():
    patterns = phase.cluster_patterns(3, 4, 0.9, 0.0, 16, 1.0, jr.key(0))
    found = phase.cluster_thresholds(3, 4, 0.9, 0.0)
    beta = float(np.sqrt(found.cluster_minima_appear * found.pattern_minima_appear))
    settled = jax.jit(lambda x: phase.classify(patterns, phase.settle(patterns, x, beta).state, beta))
    told = settled(patterns[5])
    assert told.kind == phase.Kind.SUBSET
    np.testing.assert_array_equal(np.flatnonzero(told.members), [4, 5, 6, 7])


def test_one_pattern_has_no_kinds():
    with pytest.raises(ValueError, match="number of patterns"):
        phase.classify(jnp.ones((1, 2)), jnp.ones(2), 1.0)
