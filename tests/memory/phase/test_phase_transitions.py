"""Thresholds against the derived table, an independent solution in high precision, and their own laws."""

import decimal
from decimal import Decimal

import numpy as np
import pytest

from hopfax.memory import phase

TABLE = {  # N: spinodal, m at the spinodal, coexistence
    2: (2, 0, 2),
    3: (2.74564, 0.37720, 2.77259),
    4: (3.21874, 0.50713, 3.29584),
    5: (3.56450, 0.57486, 3.69678),
    10: (4.55978, 0.69933, 4.94376),
    20: (5.47878, 0.76502, 6.21604),
    50: (6.62500, 0.81581, 7.94580),
    100: (7.45868, 0.84085, 9.28402),
    1000: (10.11074, 0.88873, 13.82735),
    10000: (12.66282, 0.91356, 18.42232),
}


def decimal_beta(n, m):
    return ((1 + (n - 1) * m) / (1 - m)).ln() / m


def decimal_energy_gap(n, m):
    """`beta E` of the state with overlap `m`, minus that of the centroid."""
    beta, a, b = decimal_beta(n, m), (1 + (n - 1) * m) / n, (1 - m) / n
    partition = (beta * a).exp() + (n - 1) * (beta * b).exp()
    squares = a * a + (n - 1) * b * b
    return beta / 2 * (squares - Decimal(1) / n) - partition.ln() + beta / n + Decimal(n).ln()


def decimal_root(function, low, high):
    for _ in range(110):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return low


@pytest.fixture(autouse=True)
def forty_digits():
    with decimal.localcontext() as context:
        context.prec = 40
        yield


@pytest.mark.parametrize("n", TABLE)
def test_table(n):
    limits = phase.thresholds(n)
    spinodal, overlap, coexistence = TABLE[n]
    assert limits.spinodal == pytest.approx(spinodal, abs=6e-6)
    assert limits.overlap_at_spinodal == pytest.approx(overlap, abs=6e-6)
    assert limits.coexistence == pytest.approx(coexistence, abs=6e-6)
    assert limits.instability == n


@pytest.mark.parametrize("n", [3, 10, 1000, 1_000_000])
def test_independent_high_precision_solution(n):
    def slope(m):  # N m = (1 - m)(1 + (N - 1) m) ln[...], a formula the library does not use
        return n * m - (1 - m) * (1 + (n - 1) * m) * ((1 + (n - 1) * m) / (1 - m)).ln()

    overlap = decimal_root(slope, Decimal("1e-2"), 1 - Decimal("1e-20"))
    coexistence = decimal_root(lambda m: -decimal_energy_gap(n, m), overlap, 1 - Decimal("1e-20"))
    limits = phase.thresholds(n)
    assert limits.spinodal == pytest.approx(float(decimal_beta(n, overlap)), rel=1e-13)
    assert limits.overlap_at_spinodal == pytest.approx(float(overlap), rel=1e-12)
    assert limits.coexistence == pytest.approx(float(decimal_beta(n, coexistence)), rel=1e-13)


def test_two_patterns_are_continuous():
    """`(1/m) ln[(1 + m)/(1 - m)] = 2 + 2 m^2 / 3 + ...` is smallest, 2, at no overlap."""
    limits = phase.thresholds(2)
    assert (limits.spinodal, limits.coexistence, limits.instability) == (2, 2, 2)
    assert limits.overlap_at_spinodal == 0
    for m in (Decimal("1e-6"), Decimal("0.1"), Decimal("0.9")):
        assert decimal_beta(2, m) > 2
    assert decimal_beta(2, Decimal("1e-6")) - 2 == pytest.approx(
        Decimal("6.6666667e-13"), rel=Decimal("1e-6")
    )


@pytest.mark.parametrize("n", [3, 7, 300, 10**6, 10**9])
def test_thresholds_are_ordered_and_coexistence_is_at_its_overlap(n):
    limits = phase.thresholds(n)
    assert limits.spinodal < limits.coexistence < limits.instability
    assert phase.spinodal_beta(n) == limits.spinodal
    coexisting = (n - 2) / (n - 1)
    assert phase.beta_at_overlap(n, 1, coexisting) == pytest.approx(limits.coexistence, rel=1e-9)


@pytest.mark.parametrize(("n", "value"), [(10, 4.3322), (100, 7.4445), (1000, 10.1095), (10000, 12.66270)])
def test_lambert_approximation(n, value):
    assert phase.lambert_spinodal(n) == pytest.approx(value, abs=6e-5)
    # It is accurate to 0.3 % from 100 patterns on, and ever better.
    bound = 0.05 if n == 10 else 0.3 / n
    assert phase.lambert_spinodal(n) == pytest.approx(phase.thresholds(n).spinodal, rel=bound)


def test_in_beta_undoes_effective_beta():
    effective = phase.thresholds(7)
    in_beta = effective.in_beta(norm=3.0, cosine=0.25)
    for name in ("spinodal", "coexistence", "instability"):
        back = phase.effective_beta(getattr(in_beta, name), 3.0, 0.25)
        assert back == pytest.approx(getattr(effective, name), rel=1e-14)
    assert in_beta.overlap_at_spinodal == effective.overlap_at_spinodal


def test_centroid_of_a_simplex_becomes_unstable_at_beta_equal_to_the_dimension():
    dimension = 9
    simplex = phase.thresholds(dimension + 1).in_beta(norm=1.0, cosine=-1 / dimension)
    assert simplex.instability == pytest.approx(dimension, rel=1e-14)


@pytest.mark.parametrize("n", [1, 0, -3])
def test_too_few_patterns(n):
    with pytest.raises(ValueError, match="`n=.*` must be a whole number, at least 2"):
        phase.thresholds(n)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="at least 9"):
        phase.lambert_spinodal(8)
    with pytest.raises(ValueError, match="`cosine`"):
        phase.thresholds(3).in_beta(norm=1.0, cosine=1.0)
    with pytest.raises(ValueError, match="`norm`"):
        phase.thresholds(3).in_beta(norm=0.0, cosine=0.0)
    with pytest.raises(ValueError, match="`factor`"):
        phase.thresholds(3).scaled(float("nan"))


def test_numpy_counts_are_whole_numbers():
    assert phase.spinodal_beta(int(np.int64(5))) == phase.thresholds(5).spinodal


def test_cluster_thresholds_by_hand():
    limits = phase.cluster_thresholds(4, 4, 0.9, 0.0)
    assert limits.cluster_minima_appear == pytest.approx(3.480, abs=5e-4)
    assert limits.centroid_unstable == pytest.approx(4.324, abs=5e-4)
    assert limits.pattern_minima_appear == pytest.approx(32.19, abs=5e-3)
    assert limits.cluster_means_unstable == pytest.approx(40.0, rel=1e-12)
    assert limits.metastable
    assert not phase.cluster_thresholds(4, 4, 0.05, 0.0).metastable


def test_cluster_thresholds_scale_with_the_inverse_squared_norm():
    one, double = phase.cluster_thresholds(3, 5, 0.7, 0.1), phase.cluster_thresholds(3, 5, 0.7, 0.1, norm=2.0)
    assert double.pattern_minima_appear == pytest.approx(one.pattern_minima_appear / 4)
    assert double.cluster_minima_appear == pytest.approx(one.cluster_minima_appear / 4)


def test_cosines_that_no_patterns_have_are_refused():
    with pytest.raises(ValueError, match="`across` must be at least"):
        phase.cluster_thresholds(4, 4, 0.5, -0.5)
