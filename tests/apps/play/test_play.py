"""The numbers of the page: thresholds of the regimes, falling energy, one equilibrium for three methods."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from hopfax import data
from hopfax.apps import play
from hopfax.apps.play import markup, patterns
from hopfax.memory import phase

N = 5
SIMPLEX = np.asarray(phase.equidistant_patterns(N, 6, 1.3, 0.2, jr.key(0)))
TRIANGLE = patterns.arranged_points("triangle")


@pytest.fixture(scope="module")
def digits():
    return data.digits()


@pytest.fixture(scope="module")
def stored(digits):
    return patterns.stored_digits(digits, 1)[0]


@pytest.mark.parametrize("points", [SIMPLEX, TRIANGLE, SIMPLEX + 2.0], ids=["simplex", "triangle", "moved"])
def test_minima_appear_and_vanish_at_the_thresholds_of_equidistant_patterns(points):
    n, expected = len(points), play.equidistant_thresholds(points)
    between = (expected.spinodal + expected.instability) / 2
    betas = np.array(
        [0.99 * expected.spinodal, 1.003 * expected.spinodal, between, 1.01 * expected.instability]
    )
    assert play.minima_counts(points, betas).tolist() == [1, n + 1, n + 1, n]
    regimes = [play.find_minima(points, beta).regime for beta in betas]
    assert regimes == [play.Regime.AVERAGING, *[play.Regime.METASTABLE] * 2, play.Regime.SINGLE]


def test_thresholds_are_those_of_the_phase_package():
    expected, theirs = play.equidistant_thresholds(SIMPLEX), phase.thresholds(N).in_beta(1.3, 0.2)
    assert jax.tree.leaves(expected) == pytest.approx(jax.tree.leaves(theirs))
    assert play.is_equidistant(SIMPLEX)
    assert not play.is_equidistant(patterns.arranged_points("square"))


def test_average_and_patterns_are_equally_deep_at_coexistence():
    minima = play.find_minima(TRIANGLE, play.equidistant_thresholds(TRIANGLE).coexistence)
    assert len(minima.states) == 4
    assert np.ptp(minima.energy) < 1e-9


def test_each_pattern_reaches_its_own_minimum_when_they_are_single():
    minima = play.find_minima(SIMPLEX, 3 * play.equidistant_thresholds(SIMPLEX).instability)
    nearest = minima.states[minima.reached]
    assert np.all(np.linalg.norm(nearest - SIMPLEX, axis=1) < 0.01)
    assert sorted(minima.reached.tolist()) == list(range(N))


@pytest.mark.parametrize("beta", [0.4, 1.0, 1.5, 4.0])
@pytest.mark.parametrize("clamp", [False, True])
def test_energy_falls_along_a_path_that_converges(digits, stored, beta, clamp):
    known = patterns.known_pixels("top half")
    query = play.initial_query(patterns.one_digit(digits, 3, stored=False), known, stored)
    path = play.recall_path(stored, query, beta, known & clamp)
    assert np.all(np.diff(path.energy) <= 1e-12)
    assert path.converged
    np.testing.assert_allclose(
        path.states[:, known & clamp], query[known & clamp][None].repeat(path.steps + 1, 0)
    )
    np.testing.assert_allclose(path.weights.sum(axis=1), 1)
    step = np.where(known & clamp, query, path.weights[-1] @ stored) - path.states[-1]
    assert np.linalg.norm(step) <= 1e-5 * np.linalg.norm(query)


def test_recall_without_a_clamp_ends_at_a_minimum_and_describes_it(digits, stored):
    query = play.initial_query(
        patterns.one_digit(digits, 3, stored=True), patterns.known_pixels("top half"), stored
    )
    for beta, words in ((0.1, "the average of all"), (3.0, "one pattern")):
        path, minima = play.recall_path(stored, query, beta), play.find_minima(stored, beta)
        assert path.description == words
        assert np.min(np.linalg.norm(minima.states - path.states[-1], axis=1)) < 1e-3
    assert np.argmax(path.weights[-1]) == 3


def test_a_path_that_has_not_converged_says_so():
    pair = patterns.arranged_points("pair")
    path = play.recall_path(pair, np.array([0.9, 0.0]), play.equidistant_thresholds(pair).spinodal)
    assert not path.converged
    assert path.description.endswith("(not converged)")


def test_weights_of_classes_are_sums_over_their_patterns():
    weights, labels = np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([0, 2, 0, 2])
    np.testing.assert_allclose(play.class_weights(weights, labels, 3), [[0.4, 0.0, 0.6]])


@pytest.mark.parametrize("beta", [0.4, 3.0])
@pytest.mark.parametrize("clamp", [False, True])
def test_three_methods_end_at_one_equilibrium_and_even_odd_takes_fewer_sweeps(digits, stored, beta, clamp):
    known = patterns.known_pixels("bottom half")
    query = play.initial_query(patterns.one_digit(digits, 8, stored=True), known, stored)
    synchronous, even_odd, anderson = results = play.compare_methods(stored, query, beta, known & clamp)
    assert all(result.converged for result in results)
    assert play.largest_distance(results) < 1e-4
    assert [result.energy for result in results] == pytest.approx([results[0].energy] * 3, abs=1e-8)
    assert even_odd.sweeps < synchronous.sweeps <= 2 * even_odd.sweeps + 1
    assert all(len(result.trace) == result.sweeps for result in (synchronous, even_odd))
    assert anderson.trace.min() <= 1e-6
    path = play.recall_path(stored, query, beta, known & clamp)
    assert np.linalg.norm(path.states[-1] - results[0].state) < 1e-3


def test_heights_are_the_energy_at_the_points_of_the_axes():
    points = np.array([[1.0, 0.0], [-1.0, 0.2], [0.0, 1.2]])
    surface = play.landscape(points, 3.0, side=17)
    i, j = 4, 11
    place = np.array([surface.axis[j], surface.axis[i]])
    mixture = -np.log(np.sum(np.exp(-1.5 * np.sum((place - points) ** 2, axis=1)))) / 3
    assert surface.heights[i, j] == pytest.approx(mixture)
    assert surface.minima.energy[0] <= surface.heights.min() + 1e-12


def test_the_gradient_vanishes_at_minima_which_have_the_symmetry_of_the_patterns():
    minima = play.landscape(TRIANGLE, 1.9, side=3).minima
    energy = lambda x: -jax.nn.logsumexp(-0.95 * jnp.sum((x[None] - TRIANGLE) ** 2, axis=1)) / 1.9
    assert np.all(np.abs(jax.vmap(jax.grad(energy))(jnp.asarray(minima.states))) < 1e-6)
    turn = np.array([[-0.5, -(0.75**0.5)], [0.75**0.5, -0.5]])
    apart = np.linalg.norm((minima.states @ turn.T)[:, None] - minima.states[None], axis=-1)
    assert np.all(apart.min(axis=1) < 1e-6)


def test_two_equal_patterns_share_a_minimum():
    points = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert len(play.find_minima(points, 8.0).states) == 2
    assert play.find_minima(points, 8.0).regime == play.Regime.METASTABLE


@pytest.mark.parametrize(
    ("corruption", "count"),
    [("none", 64), ("top half", 32), ("left half", 32), ("30 % of pixels", 45), ("70 % of pixels", 19)],
)
def test_corruptions_leave_as_many_known_pixels_as_they_say(corruption, count):
    assert patterns.known_pixels(corruption).sum() == pytest.approx(count, abs=1)


def test_unknown_pixels_start_at_the_mean(stored):
    query = play.initial_query(stored[0], np.zeros(64, bool), stored)
    np.testing.assert_allclose(query, stored.mean(axis=0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda digits: patterns.known_pixels("all"), "`corruption` must be one of none"),
        (lambda digits: patterns.arranged_points("line"), "`arrangement` must be one of triangle"),
        (
            lambda digits: patterns.stored_digits(digits, 0),
            "`per_class=0` must be a whole number, at least 1",
        ),
        (lambda digits: patterns.stored_digits(digits, 10_000), "`per_class` must be at most"),
        (lambda digits: patterns.one_digit(digits, 10, stored=True), "`label` must be one of the 10"),
        (lambda digits: play.landscape(SIMPLEX, 1.0), "must have 2 values a row, got 6"),
        (lambda digits: play.landscape(TRIANGLE, 0.0), "`beta` must be positive"),
        (lambda digits: play.find_minima(TRIANGLE[:1], 1.0), "`patterns` must hold two rows"),
        (lambda digits: play.recall_path(TRIANGLE, np.array([np.nan, 0.0]), 1.0), "`query` must be finite"),
        (lambda digits: play.compare_methods(TRIANGLE, TRIANGLE[0], -1.0), "`beta` must be positive"),
        (lambda digits: play.minima_counts(TRIANGLE, np.array([2.0, 1.0])), "strictly increasing"),
    ],
)
def test_wrong_arguments_are_named(digits, wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong(digits)


def test_markup_escapes_and_names_its_numbers():
    assert 'id="plane-after-steps">&lt;3' in markup.facts("plane", {"after steps": "<3"})
    assert "a &lt; b" in markup.picture(np.ones(64), "a < b")
    shown = markup.strip(np.ones((20, 64)), most=5)
    assert shown.count("<figure") == 5
    assert all(f">{name}<" in shown for name in ("query", "step 1", "end"))
    assert markup.table("t", ("a", "b"), [("x", 1)]).count("<td>") == 1


def test_charts_are_valid_and_hold_their_data():
    pytest.importorskip("altair")
    pytest.importorskip("anywidget")
    from hopfax.apps.play import graphics

    results = [play.MethodResult("one", TRIANGLE[0], 0.0, 3, True, np.array([0.1, 1e-4, 0.0]))]
    drawn = [
        graphics.energy_chart(np.array([1.0, 0.5]), 1),
        graphics.weights_chart(np.array([0.5, 0.5])),
        graphics.regimes_chart(
            np.array([1.0, 2.0]), np.array([1, 3]), play.equidistant_thresholds(TRIANGLE), 1.5
        ),
        graphics.residuals_chart(results),
    ]
    for chart in drawn:
        assert chart.to_dict()["usermeta"] == {"embedOptions": {"actions": False}}
    assert len(drawn[-1].to_dict()["data"]["values"]) == 2  # zero has no logarithm
