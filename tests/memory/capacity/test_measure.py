"""Patterns by their overlaps, intervals by their coverage, and capacities by theory."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import binom

from hopfax.memory.capacity import theory
from hopfax.memory.capacity.measure import (
    Trial,
    basin_size,
    capacity,
    recall_against_corruption,
    recall_against_load,
    recall_rate,
    wilson,
)
from hopfax.memory.capacity.memories import binary, continuous, modern, polynomial
from hopfax.memory.capacity.patterns import (
    CorrelatedSigns,
    Flip,
    HierarchicalSigns,
    Mask,
    Noise,
    RandomNormal,
    RandomSigns,
)
from hopfax.memory.capacity.spurious import AttractorKind, census, classify_attractors
from hopfax.memory.modern import ModernHopfield
from hopfax.memory.storage_rules import projection

KEY = jr.key(0)


def overlaps(patterns):
    return np.asarray(patterns @ patterns.T) / patterns.shape[1]


@pytest.mark.parametrize(
    ("generator", "expected"), [(RandomSigns(), 0.0), (RandomSigns(0.6), 0.36), (CorrelatedSigns(0.4), 0.4)]
)
def test_any_two_patterns_overlap_as_asked(generator, expected):
    patterns = generator(6, 20_000, KEY)
    assert set(np.unique(patterns)) == {-1.0, 1.0}
    np.testing.assert_allclose(overlaps(patterns)[~np.eye(6, dtype=bool)], expected, atol=0.03)


def test_patterns_of_a_tree_have_two_overlaps():
    patterns = HierarchicalSigns(branches=3, within=0.6, across=0.2)(9, 20_000, KEY)
    branch = np.arange(9) % 3
    same = branch[:, None] == branch[None, :]
    np.testing.assert_allclose(overlaps(patterns)[same & ~np.eye(9, dtype=bool)], 0.6, atol=0.03)
    np.testing.assert_allclose(overlaps(patterns)[~same], 0.2, atol=0.03)


def test_corruptions_change_as_many_values_as_asked():
    patterns = RandomSigns()(5, 1000, KEY)
    np.testing.assert_array_equal(np.sum(Flip(0.1)(patterns, KEY) != patterns, axis=1), 100)
    masked = Mask(0.4)(patterns, KEY)
    np.testing.assert_allclose(np.mean(masked != patterns), 0.2, atol=0.03)
    np.testing.assert_allclose(np.std(Noise(0.3)(patterns, KEY) - patterns), 0.3, rtol=0.05)
    assert RandomNormal()(2, 3, KEY).shape == (2, 3)


def test_wilson_covers_as_often_as_its_confidence():
    trials, p = 60, 0.2
    intervals = [wilson(k, trials, 0.9) for k in range(trials + 1)]
    covers = [interval.low <= p <= interval.high for interval in intervals]
    assert abs(np.sum(binom.pmf(np.arange(trials + 1), trials, p) * covers) - 0.9) < 0.03
    assert intervals[0].low == 0 < intervals[0].high < 0.1
    assert intervals[-1].high == 1


def test_hebb_recalls_below_its_load_and_not_above():
    trial = Trial(200, corruption=Flip(0.05), repeats=2)
    curve = recall_against_load(binary(), trial, [round(0.08 * 200), round(0.3 * 200)], KEY)
    assert curve.low[0] > 0.85
    assert curve.high[1] < 0.1
    assert np.all((curve.low <= curve.fraction) & (curve.fraction <= curve.high))


@pytest.mark.slow
def test_capacity_of_hebb_is_near_theory_and_projection_stores_more():
    """At 150 neurons the collapse at 0.138 n is still gradual, and half recall lies somewhat above it."""
    trial = Trial(150, corruption=Flip(0.0), overlap=0.9, repeats=2, queries=32)
    low, high = capacity(binary(), trial, KEY, fraction=0.5, rtol=0.2)
    assert theory.hebbian(150) < low < high < 2 * theory.hebbian(150)
    assert recall_rate(binary(projection), trial, high, KEY).fraction == 1
    assert capacity(binary(projection), trial, KEY, most=32) == (32, 32)


@pytest.mark.slow
def test_basins_shrink_with_load_and_recall_falls_with_corruption():
    trial = Trial(100, repeats=1, queries=16)
    sizes = [basin_size(binary(), trial, count, KEY) for count in (3, 10, 60)]
    assert 0.5 > sizes[0] > sizes[1] > sizes[2] == 0
    curve = recall_against_corruption(binary(), trial, 6, [Flip(0.1), Flip(0.5)], KEY)
    assert curve.fraction[0] > 0.9 > 0.2 > curve.fraction[1]


def test_dense_and_modern_memories_recall_what_hebb_forgets():
    trial = Trial(32, corruption=Flip(0.1), repeats=1, queries=24)
    fractions = [
        recall_rate(store, trial, 24, KEY).fraction for store in (binary(), polynomial(4), modern(0.5))
    ]
    assert fractions[0] < 0.2
    assert fractions[1] > 0.9
    assert fractions[2] > 0.9


def test_any_network_is_measured_like_the_built_in_ones():
    built = continuous(lambda patterns: ModernHopfield(patterns, 0.5).ham())
    trial = Trial(32, repeats=1, queries=24)
    direct = recall_rate(modern(lambda patterns: 0.5), trial, 24, KEY)
    assert recall_rate(built, trial, 24, KEY).fraction == direct.fraction


def test_kinds_of_attractors():
    patterns = jr.rademacher(KEY, (5, 400), float)
    mixture = jnp.sign(patterns[0] - patterns[2] + patterns[4])
    other = jr.rademacher(jr.key(1), (400,), float)
    states = jnp.stack([patterns[1], -patterns[3], mixture, other])
    np.testing.assert_array_equal(jax.jit(classify_attractors)(patterns, states), list(AttractorKind))


def test_census_of_a_light_load_finds_patterns_and_inverses_alike():
    patterns = jr.rademacher(KEY, (4, 300), float)
    result = census(binary(), patterns, 200, jr.key(1))
    pattern, inverse = AttractorKind.PATTERN, AttractorKind.INVERSE
    np.testing.assert_allclose(result.fraction.sum(), 1)
    assert result.distinct[pattern] == result.distinct[inverse] == 4
    assert abs(result.fraction[pattern] - result.fraction[inverse]) < 0.2


def test_theory_agrees_with_itself_and_with_the_worked_examples():
    assert theory.polynomial(100, 2) == pytest.approx(theory.hebbian_exact(100))
    assert theory.hebbian(1000) == pytest.approx(138)
    assert theory.exponential(20) == 1024
    assert theory.hebbian_exact(100) < theory.storkey(100)
    # [ramsauer2020], after theorem 3: beta = 1, K = 3, d = 20, p = 0.001 gives c >= 3.1546.
    assert theory.modern_bound(20, radius=3.0) == pytest.approx(0.001**0.5 * 3.1546 ** (19 / 4), rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson(5, 3), "is not a proportion"),
        (lambda: Flip(1.5), r"`Flip\(fraction=1.5\)`"),
        (lambda: RandomSigns(1.0), "bias"),
        (lambda: CorrelatedSigns(1.0), "correlation"),
        (lambda: HierarchicalSigns(within=0.1, across=0.2), "must be ordered"),
        (lambda: Noise(-0.1), "negative"),
        (lambda: Trial(0), "`neurons=0`"),
        (lambda: recall_rate(binary(), Trial(8), 0, KEY), "`count=0`"),
        (lambda: capacity(binary(), Trial(8), KEY, fraction=0.0), "`fraction`"),
        (lambda: census(binary(), jnp.ones((2, 4)), 3, KEY), "number of patterns"),
        (lambda: theory.modern_bound(1), "`dimension=1`"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
