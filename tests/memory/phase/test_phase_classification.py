"""What a state represents: constructed states, fixed points of every type, and batches."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import ModernHopfield
from hopfax.memory import phase
from hopfax.memory.phase import StateKind


@jax.jit
def classify(patterns, states, betas):
    """Each state at its own `beta`."""
    return jax.vmap(lambda x, beta: phase.classify(ModernHopfield(patterns, beta), x))(states, betas)


@pytest.mark.parametrize("n", [3, 7])
def test_fixed_points_are_recognised_by_type(n):
    """At every temperature `k` is read back exactly, or the contrast `k m` is small and the state global."""
    betas = np.linspace(phase.thresholds(n).spinodal * 1.001, 2 * n, 6)
    branches = [phase.branches(n, beta) for beta in betas.tolist()]
    k, m, b = (np.concatenate([getattr(types, name) for types in branches]) for name in ("k", "m", "b"))
    states = jnp.asarray((np.arange(n) < k[:, None]) * m[:, None] + b[:, None])
    result = classify(jnp.eye(n), states, np.repeat(betas, [types.k.size for types in branches]))
    apart = k * m > 0.25
    np.testing.assert_array_equal(result.size, np.where(apart, k, n))
    np.testing.assert_array_equal(result.members.sum(axis=1), result.size)
    np.testing.assert_allclose(result.contrast[apart], (k * m)[apart], atol=1e-9)
    kinds = np.where(k == 1, StateKind.PATTERN, StateKind.SUBSET)
    np.testing.assert_array_equal(result.kind, np.where(apart, kinds, StateKind.GLOBAL))


def test_exact_states_have_confidence_one():
    patterns = 10 * jnp.eye(5)
    states = jnp.stack([patterns.mean(axis=0), patterns[1:4].mean(axis=0), patterns[2]])
    result = classify(patterns, states, jnp.ones(3))
    assert result.kind.tolist() == [StateKind.GLOBAL, StateKind.SUBSET, StateKind.PATTERN]
    assert result.size.tolist() == [5, 3, 1]
    np.testing.assert_allclose(result.confidence, 1, atol=1e-9)
    assert result.members[1].tolist() == [False, True, True, True, False]
    assert result.index[2] == 2


def test_confidence_is_the_weight_of_the_members():
    state = jnp.array([jnp.log(0.8), jnp.log(0.15), jnp.log(0.05)])
    result = phase.classify(ModernHopfield(jnp.eye(3), 1.0), state)
    assert result.kind == StateKind.PATTERN
    np.testing.assert_allclose(result.confidence, 0.8, rtol=1e-12)
    np.testing.assert_allclose(result.contrast, 0.8 - 0.1, rtol=1e-12)


def test_cluster_averages_are_subsets_within_their_range():
    patterns = phase.cluster_patterns(3, 4, 0.9, 0.0, 16, 1.0, jr.key(0))
    limits = phase.cluster_thresholds(3, 4, 0.9, 0.0)
    beta = float(np.sqrt(limits.cluster_minima_appear * limits.pattern_minima_appear))
    network = ModernHopfield(patterns, beta)
    result = jax.jit(lambda x: phase.classify(network, network.retrieve(x).state))(patterns[5])
    assert result.kind == StateKind.SUBSET
    np.testing.assert_array_equal(np.flatnonzero(result.members), [4, 5, 6, 7])


def test_order_parameter_is_the_difference_of_the_two_weights():
    types = phase.branches(6, 5.0)
    network, state = ModernHopfield(jnp.eye(6), 5.0), jnp.where(jnp.arange(6) == 2, types.a[1], types.b[1])
    for i in (2, None):
        np.testing.assert_allclose(phase.order_parameter(network, state, i), types.m[1], atol=1e-12)


def test_one_pattern_has_no_kinds():
    with pytest.raises(ValueError, match="two patterns or more"):
        phase.classify(ModernHopfield(jnp.ones((1, 2)), 1.0), jnp.ones(2))
