"""All types of fixed points: they solve the equation, none is missing, stability is that of the Jacobian."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from hopfax.memory import phase


def weights_of(types, i, n):
    """The weights of entry `i`, with the first `k` patterns in the group."""
    return np.where(np.arange(n) < int(types.k[i]), types.a[i], types.b[i])


@given(n=st.integers(2, 60), fraction=st.floats(0.2, 3.0))
@settings(max_examples=30, deadline=None)
def test_fixed_points_solve_their_equation(n, fraction):
    beta = fraction * n
    types = phase.branches(n, beta)
    for i in range(types.k.size):
        p = weights_of(types, i, n)
        weights = np.exp(beta * (p - p.max()))
        np.testing.assert_allclose(p, weights / weights.sum(), atol=1e-10)
    np.testing.assert_allclose(types.a - types.b, types.m, atol=1e-15)


@given(n=st.integers(2, 400), fraction=st.floats(0.01, 3.0))
@settings(max_examples=30, deadline=None)
def test_only_patterns_and_centroid_are_minima(n, fraction):
    types = phase.branches(n, fraction * n)
    assert set(types.k[types.is_minimum].tolist()) <= {1, n}
    assert types.is_minimum[-1] == (fraction * n < n)
    assert types.is_minimum.sum() <= 2


@pytest.mark.parametrize(("n", "beta"), [(2, 3.0), (3, 2.76), (4, 3.25), (5, 7.0), (6, 5.9)])
def test_energy_and_eigenvalue_are_those_of_the_full_space(n, beta):
    types = phase.branches(n, beta)
    for i in range(types.k.size):
        p = weights_of(types, i, n)  # the state itself, for orthonormal patterns
        assert types.energy[i] == pytest.approx(beta * (p @ p) / 2 - logsumexp(beta * p), abs=1e-10)
        eigenvalues = np.linalg.eigvalsh(beta * (np.diag(p) - np.outer(p, p)))
        assert types.eigenvalue[i] == pytest.approx(eigenvalues[-1], abs=1e-10)


def test_no_fixed_point_is_missing():
    """Newton from many random starts reaches nothing but listed fixed points, and all of their types."""
    n, beta = 4, 3.6
    p = np.random.default_rng(0).dirichlet(np.full(n, 0.7), 600)
    for _ in range(60):
        image = softmax(beta * p, axis=1)
        slope = beta * (image[:, :, None] * np.eye(n) - image[:, :, None] * image[:, None, :])
        p = p - np.linalg.solve(np.eye(n) - slope, (p - image)[:, :, None])[:, :, 0]
        p = np.clip(p, -1, 2)  # a step from near a singular matrix may lead anywhere
    solved = np.abs(p - softmax(beta * p, axis=1)).max(axis=1) < 1e-12
    ends = -np.sort(-p[solved], axis=1)
    listed = phase.branches(n, beta)
    known = np.stack([weights_of(listed, i, n) for i in range(listed.k.size)])
    distances = np.abs(ends[:, None] - known[None]).max(axis=2)
    assert distances.min(axis=1).max() < 1e-9
    assert (distances.min(axis=0) < 1e-9).all()


@pytest.mark.parametrize("n", [3, 10, 1000])
def test_pattern_states_appear_at_the_spinodal(n):
    limits = phase.thresholds(n)
    before = phase.branches(n, limits.spinodal * (1 - 1e-9))
    after = phase.branches(n, limits.spinodal * (1 + 1e-9))
    assert before.k.tolist() == [n]
    assert after.k.tolist() == [1, 1, n]
    assert after.is_minimum.tolist() == [False, True, True]
    np.testing.assert_allclose(after.m[:2], limits.overlap_at_spinodal, rtol=1e-3)


@pytest.mark.parametrize("n", [3, 10, 1000])
def test_pattern_and_centroid_are_equally_deep_at_coexistence(n):
    types = phase.branches(n, phase.thresholds(n).coexistence)
    pattern = np.flatnonzero(types.k == 1)[-1]
    assert types.m[pattern] == pytest.approx((n - 2) / (n - 1), rel=1e-9)
    assert types.energy[pattern] == pytest.approx(types.energy[-1], rel=1e-10)


@pytest.mark.parametrize("n", [4, 5, 9])
def test_every_subset_has_one_state_above_the_instability(n):
    assert phase.branches(n, 1.01 * n).k.tolist() == list(range(1, n + 1))


def test_two_patterns_grow_continuously():
    """`m^2 = (3/2)(beta_eff - 2)` close above the one transition of two patterns."""
    types = phase.branches(2, 2 + 1e-4)
    assert types.k.tolist() == [1, 2]
    assert types.m[0] ** 2 == pytest.approx(1.5e-4, rel=1e-3)


@given(n=st.integers(2, 50), fraction=st.floats(1.05, 1.5))
@settings(max_examples=15, deadline=None)
def test_beta_at_overlap_inverts_branches(n, fraction):
    types = phase.branches(n, fraction * n)
    for k, m in zip(types.k[:-1].tolist(), types.m[:-1].tolist(), strict=True):
        if k * m < 1 - 1e-6:  # beyond, 1 - k m has lost its digits
            assert phase.beta_at_overlap(n, k, m) == pytest.approx(fraction * n, rel=1e-8)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`n=.*` must be a whole number, at least 2"):
        phase.branches(1, 3.0)
    with pytest.raises(ValueError, match="`beta_eff` must be positive"):
        phase.branches(3, -1.0)
    with pytest.raises(ValueError, match="`k` must be below the 3 patterns"):
        phase.beta_at_overlap(3, 3, 0.1)
    with pytest.raises(ValueError, match="strictly between 0 and 1/k = 0.5"):
        phase.beta_at_overlap(3, 2, 0.5)
