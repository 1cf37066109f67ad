"""Curves of memories with known recall: one that returns the query, one that returns the pattern."""

import jax.random as jr
import numpy as np
import pytest

from hopfax.memory.capacity.curves import as_lists, basin_map, curves, growth, loads
from hopfax.memory.capacity.measure import Trial

TRIAL = Trial(20, repeats=1, queries=4)
KEY = jr.key(0)


def nothing(patterns):
    """With 20 signs the cosine is above 0.95 only if all signs are right."""
    return lambda queries: queries


def everything(patterns):
    return lambda queries: patterns[: len(queries)]


def first_three(patterns):
    """As `everything`, for up to three patterns."""
    return lambda queries: patterns[: len(queries)] * (len(patterns) <= 3)


def test_curves_are_against_what_was_varied():
    result = curves(nothing, TRIAL, [1, 4], ([0.0, 0.3], [0.0, 0.9]), 2, KEY)
    np.testing.assert_array_equal(result.load.values, [1, 4])
    np.testing.assert_array_equal(result.flips.values, [0.0, 0.3])
    np.testing.assert_array_equal(result.flips.fraction, [1, 0])
    np.testing.assert_array_equal(result.masks.values, [0.0, 0.9])
    np.testing.assert_array_equal(result.masks.fraction, [1, 0])
    lists = as_lists({"none": result})["none"]
    assert lists["count"] == 2
    assert lists["flips"]["fraction"] == [1, 0]


@pytest.mark.slow
def test_growth_finds_the_capacity_of_each_size_up_to_the_most():
    limited = growth(first_three, TRIAL, [4, 8], KEY, most=16)
    np.testing.assert_array_equal(limited.holds, [3, 3])
    np.testing.assert_array_equal(limited.fails, [4, 4])
    endless = growth(everything, TRIAL, [4], KEY, most=16)
    assert endless.holds == endless.fails == 16


def test_basins_end_where_half_are_recalled():
    result = basin_map(first_three, TRIAL, [2, 5], [0.0, 0.4], KEY)
    np.testing.assert_array_equal(result.fraction, [[1, 1], [0, 0]])
    np.testing.assert_allclose(result.basin, [0.5, 0], atol=0.02)


def test_loads_grow_in_equal_ratios():
    assert loads(1) == [1]
    np.testing.assert_array_equal(loads(1000, 4), [1, 10, 100, 1000])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: growth(nothing, TRIAL, [], KEY), "`sizes`"),
        (lambda: growth(nothing, TRIAL, [0], KEY), "sizes"),
        (lambda: basin_map(nothing, TRIAL, [], [0.1], KEY), "`counts` and `flips`"),
        (lambda: curves(nothing, TRIAL, [], ([0.1], [0.1]), 1, KEY), "`counts`"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
