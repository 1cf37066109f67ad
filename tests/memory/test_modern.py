"""The modern Hopfield network equals its HAM; the laws of its separations; masks of elements and of patterns."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import hopfax
from hopfax import EvenOdd, ModernHopfield, PartialClamp
from hopfax.lagrangians import Identity, Softmax, SphericalNorm, Tanh
from hopfax.lagrangians.separations import Entmax, Exponential, Polynomial, Softmax1, Sparsemax
from hopfax.lagrangians.thresholds import KSubsets, Normmax
from hopfax.memory.similarities import Dot, Euclidean, Raw, Standardised, UnitNorm

PATTERNS = jr.normal(jr.key(1), (5, 4))
STATES = jr.normal(jr.key(2), (6, 4))
MEMORIES = 2.0 * jr.normal(jr.key(3), (6, 5))
BETA = jnp.asarray(1.7)
SIMPLEX = {
    "softmax": Softmax,
    "sparsemax": Sparsemax,
    "entmax": ft.partial(Entmax, 1.5),
    "entmax3": ft.partial(Entmax, 3.0),
    "normmax": ft.partial(Normmax, 2.0),
    "normmax4": ft.partial(Normmax, 4.0),
    "subsets": ft.partial(KSubsets, 2),
}
OTHERS = {"softmax1": Softmax1, "polynomial": ft.partial(Polynomial, 3), "exponential": Exponential}
each_separation = lambda cases: pytest.mark.parametrize("separation", cases.values(), ids=cases)


@eqx.filter_jit
def over(function, states):
    return jax.vmap(function)(states)


@each_separation({**SIMPLEX, **OTHERS})
def test_activation_is_the_gradient_and_fenchel_young_an_equality_there_and_an_inequality_elsewhere(
    separation,
):
    lagrangian = separation(BETA)

    def law(s):
        g, value, others = lagrangian.activation(s), lagrangian(s), jax.vmap(lagrangian.activation)(MEMORIES)
        gap = value + jax.vmap(lagrangian.energy)(MEMORIES) - others @ s
        return g, jax.grad(lagrangian)(s), value + lagrangian.energy(s), jnp.dot(s, g), gap

    g, slope, both, product, gap = over(law, MEMORIES)
    np.testing.assert_allclose(slope, g, atol=1e-12)
    np.testing.assert_allclose(both, product, rtol=1e-12)
    assert np.all(np.asarray(gap) >= -1e-12)


@each_separation(SIMPLEX)
def test_weights_lie_on_the_simplex_ignore_a_common_shift_and_have_slopes_that_are_second_derivatives(
    separation,
):
    lagrangian, step = separation(BETA), 1e-6
    slopes = lambda s: jax.vmap(lambda e: lagrangian.activation(s + e) - lagrangian.activation(s - e))(
        step * jnp.eye(5)
    )

    def law(s):
        shifted = lagrangian.activation(s + 3.0)
        return lagrangian.activation(s), shifted, jax.hessian(lagrangian)(s), slopes(s) / (2 * step)

    g, shifted, curvature, differences = (np.asarray(x) for x in over(law, MEMORIES))
    assert np.all(g >= 0)
    np.testing.assert_allclose(np.sum(g, axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(shifted, g, atol=1e-13)
    np.testing.assert_allclose(curvature, differences, atol=1e-6)


def test_entmax_is_sparsemax_at_two_and_softmax_near_one():
    near = lambda a, b: np.testing.assert_allclose(
        over(a.activation, MEMORIES), over(b.activation, MEMORIES), atol=1e-4
    )
    near(Entmax(2.0, BETA), Sparsemax(BETA))
    near(Entmax(1.00001, BETA), Softmax(BETA))
    exact = over(Sparsemax(BETA).activation, MEMORIES)
    np.testing.assert_allclose(over(Entmax(2.0, BETA).activation, MEMORIES), exact, atol=1e-14)


def test_the_sparsemax_weight_of_two_memories_is_a_clipped_line():
    margins = jnp.linspace(-2, 2, 9)
    weights = over(lambda m: Sparsemax(1.0).activation(jnp.array([m, 0.0]))[0], margins)
    np.testing.assert_allclose(weights, jnp.clip((1 + margins) / 2, 0, 1), atol=1e-14)


def test_degree_two_with_inverse_patterns_is_the_hebbian_energy():
    patterns = jnp.concatenate([PATTERNS, -PATTERNS])
    network = ModernHopfield(patterns, 1.0, separation=ft.partial(Polynomial, 2), visible=Tanh())
    g = jnp.tanh(STATES)
    hebbian = over(Tanh().energy, STATES) - jnp.sum((g @ PATTERNS.T) ** 2, axis=1) / 2
    np.testing.assert_allclose(over(network.energy, STATES), hebbian, atol=1e-13)


def test_exponential_and_softmax_point_spherical_neurons_the_same_way():
    recall = lambda separation: ModernHopfield(
        PATTERNS, BETA, separation=separation, visible=SphericalNorm(1e-12)
    )
    directions = lambda net: over(lambda x: net.visible.activation(net.update(x)), STATES)
    np.testing.assert_allclose(directions(recall(Exponential)), directions(recall(Softmax)), atol=1e-9)


NETWORKS = {
    "softmax": ModernHopfield(PATTERNS, BETA),
    "euclidean sparsemax": ModernHopfield(PATTERNS, BETA, separation=Sparsemax, similarity=Euclidean()),
    "softmax1": ModernHopfield(PATTERNS, BETA, separation=Softmax1),
    "entmax": ModernHopfield(PATTERNS, BETA, separation=ft.partial(Entmax, 1.5)),
    "polynomial": ModernHopfield(PATTERNS, 0.5, separation=ft.partial(Polynomial, 3), visible=Tanh()),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_network_and_ham_are_one_object(network):
    ham = network.ham()

    def both(x):
        states = {"visible": x}
        whole = EvenOdd().reconstruct(ham, states)
        image, cheap = EvenOdd().image(ham, states)["visible"], EvenOdd().energy(ham, states)[0]
        return image, ham.energy(whole), cheap, network.update(x), network.energy(x)

    image, energy, cheap, update, expected = over(both, STATES)
    np.testing.assert_allclose(image, update, atol=1e-12)
    np.testing.assert_allclose(energy, expected, atol=1e-12)
    np.testing.assert_allclose(cheap, energy, atol=1e-12)


def test_relaxing_the_ham_is_recall():
    network = ModernHopfield(PATTERNS, 3.0)
    equilibrium = hopfax.relax(
        network.ham(), start={"visible": STATES}, method=hopfax.Method(rtol=0, atol=1e-13, max_steps=500)
    )
    assert jnp.all(equilibrium.converged)
    states = equilibrium.state["visible"]
    np.testing.assert_allclose(over(network.update, states), states, atol=1e-12)
    np.testing.assert_allclose(equilibrium.energy, over(network.energy, states), atol=1e-12)
    np.testing.assert_allclose(equilibrium.activation["memory"], over(network.weights, states), atol=1e-12)


def test_update_is_one_unit_step_down_the_energy():
    slopes = over(jax.grad(NETWORKS["softmax"].energy), STATES)
    np.testing.assert_allclose(over(NETWORKS["softmax"].update, STATES), STATES - slopes, atol=1e-14)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_energy_never_rises(network):
    step = lambda x, _: (network.update(x), network.energy(x))
    energies = over(lambda x: jax.lax.scan(step, x, length=20)[1], STATES)
    assert np.all(np.diff(energies, axis=1) <= 1e-12)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_jacobian_is_the_derivative_of_the_update(network):
    both = lambda x: (network.jacobian(x), jax.jacfwd(network.update)(x))
    np.testing.assert_allclose(*over(both, STATES), atol=1e-11)


@each_separation({**SIMPLEX, "softmax1": Softmax1})
def test_hessian_is_one_less_the_jacobian(separation):
    network = ModernHopfield(PATTERNS, BETA, separation=separation)
    hessian, jacobian = over(lambda x: (network.hessian(x), network.jacobian(x)), STATES)
    np.testing.assert_allclose(hessian, np.eye(4)[None] - jacobian, atol=1e-11)


@each_separation(SIMPLEX)
def test_energy_with_its_offset_is_never_negative(separation):
    network = ModernHopfield(PATTERNS, BETA, separation=separation)
    starts = np.concatenate([STATES, PATTERNS, np.zeros((1, 4))])
    assert np.all(np.asarray(over(lambda x: network.energy(x) + network.offset(), starts)) >= 0)


def test_offset_is_the_papers_constant():
    largest = jnp.max(jnp.sum(PATTERNS**2, axis=1))
    np.testing.assert_allclose(NETWORKS["softmax"].offset(), jnp.log(5) / BETA + largest / 2, rtol=1e-14)


def test_euclidean_similarity_measures_the_distance():
    network = ModernHopfield(PATTERNS, BETA, similarity=Euclidean())
    distances = jnp.sum((STATES[:, None] - PATTERNS[None]) ** 2, axis=2)
    expected = -jax.nn.logsumexp(-BETA * distances / 2, axis=1) / BETA
    np.testing.assert_allclose(over(network.energy, STATES), expected, atol=1e-12)
    np.testing.assert_allclose(
        over(network.weights, STATES), jax.nn.softmax(-BETA * distances / 2, axis=1), atol=1e-12
    )


def test_entropy_counts_the_patterns_of_a_state():
    entropy = lambda x, beta, separation=Softmax: ModernHopfield(
        jnp.eye(4), beta, separation=separation
    ).entropy(x)
    np.testing.assert_allclose(entropy(jnp.zeros(4), 1.0), np.log(4), rtol=1e-14)
    np.testing.assert_allclose(entropy(jnp.array([1.0, 1, 0, 0]), 2.0, Sparsemax), np.log(2), rtol=1e-14)
    assert entropy(jnp.eye(4)[0], 1e6) == 0
    assert jnp.all(jnp.isfinite(jax.jit(jax.grad(entropy), static_argnums=1)(jnp.eye(4)[0], 1e6)))
    p = over(NETWORKS["softmax"].weights, STATES)
    np.testing.assert_allclose(over(NETWORKS["softmax"].entropy, STATES), -jnp.sum(p * jnp.log(p), axis=1))


def test_values_are_read_out_and_patterns_without_them():
    values = jnp.arange(10.0).reshape(5, 2)
    keyed = ModernHopfield(PATTERNS, 200.0, values=values, normalisation=UnitNorm())
    np.testing.assert_allclose(over(keyed.read, keyed.patterns), values, atol=1e-8)
    np.testing.assert_allclose(
        over(NETWORKS["softmax"].read, STATES), over(NETWORKS["softmax"].update, STATES), atol=0
    )


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_unknown_elements_have_no_influence(network):
    known = np.arange(4) < 2
    fillers = np.array([0.0, 5.0, -1e30, np.nan, np.inf])
    states = np.where(known, STATES[0], fillers[:, None] * np.ones((1, 4)))

    def functions(x):
        retrieved = network.retrieve(x, known, max_steps=9)
        slope = jax.grad(network.energy)(x, known)
        return network.weights(x, known), network.read(x, known), network.energy(x, known), retrieved, slope

    alone = jax.jit(functions)  # rows of a batch may be rounded differently
    first, *others = [alone(x) for x in states]
    for result in others:
        jax.tree.map(np.testing.assert_array_equal, result, first)
    np.testing.assert_array_equal(first[-1][2:], 0)


def test_a_mask_that_is_true_everywhere_changes_nothing():
    network, known = NETWORKS["euclidean sparsemax"], jnp.ones(4, bool)
    for function in (network.weights, network.read, network.energy):
        result = over(lambda x, f=function: f(x, known), STATES)
        np.testing.assert_allclose(result, over(function, STATES), atol=1e-13)


def test_with_a_mask_the_energy_is_that_of_the_distance_in_the_known_elements():
    network, known = ModernHopfield(PATTERNS, BETA, similarity=Euclidean()), jnp.arange(4) < 2
    distances = jnp.sum((STATES[:, None, :2] - PATTERNS[None, :, :2]) ** 2, axis=2)
    expected = -jax.nn.logsumexp(-BETA * distances / 2, axis=1) / BETA
    np.testing.assert_allclose(over(lambda x: network.energy(x, known), STATES), expected, atol=1e-12)


def test_retrieval_ends_in_a_fixed_point_or_says_that_it_did_not():
    network = NETWORKS["softmax"]
    result = network.retrieve(STATES[0])
    assert result.converged
    np.testing.assert_allclose(network.update(result.state), result.state, atol=1e-11)
    short = network.retrieve(STATES[0], max_steps=2)
    assert not short.converged
    assert short.steps == 2
    assert short.residual > 0


def test_retrieval_of_a_batch_is_that_of_its_rows():
    network = NETWORKS["softmax"]
    batch = over(network.retrieve, STATES)
    for i in range(3):
        row = network.retrieve(STATES[i])
        np.testing.assert_allclose(batch.state[i], row.state, atol=1e-13)
        assert batch.steps[i] == row.steps


def test_retrieval_from_known_elements_is_relaxing_the_ham_with_a_clamp():
    network, known = ModernHopfield(PATTERNS, 3.0, similarity=Euclidean()), jnp.arange(4) < 2
    result = network.retrieve(STATES[0], known)
    start = network.retrieve(STATES[0], known, max_steps=0).state
    np.testing.assert_allclose(start, jnp.where(known, STATES[0], network.read(STATES[0], known)), atol=1e-14)
    equilibrium = hopfax.relax(
        network.ham(),
        {"visible": PartialClamp(start, known)},
        start={"visible": start},
        method=hopfax.Method(rtol=0, atol=1e-13, max_steps=500),
    )
    np.testing.assert_allclose(result.state, equilibrium.state["visible"], atol=1e-9)


PADDED = {
    "softmax": {},
    "euclidean": {"similarity": Euclidean()},
    "sparsemax": {"separation": Sparsemax, "similarity": Euclidean()},
    "softmax1": {"separation": Softmax1},
    "entmax": {"separation": ft.partial(Entmax, 1.5)},
    "normmax": {"separation": ft.partial(Normmax, 2.0)},
    "subsets": {"separation": ft.partial(KSubsets, 2), "similarity": Euclidean()},
    "polynomial": {"separation": ft.partial(Polynomial, 3), "visible": Tanh()},
    "exponential": {"separation": Exponential, "visible": Tanh()},
    "unit norm": {"normalisation": UnitNorm()},
    "standardised": {"normalisation": Standardised(), "similarity": Euclidean()},
}
padded_networks = pytest.mark.parametrize("options", PADDED.values(), ids=PADDED)


@eqx.filter_jit
def everything(network):
    names = ("update", "read", "energy", "jacobian", "hessian", "entropy", "weights")
    each = lambda x: {name: getattr(network, name)(x) for name in names}
    return {**jax.vmap(each)(STATES), "offset": network.offset()}


@padded_networks
def test_padded_patterns_have_no_influence(options):
    values, mask = np.arange(5.0)[:, None] + np.ones((1, 2)), np.array([True, False, True, True, False])
    fill = lambda rows: np.where(mask[:, None], rows, np.array([[0.0], [3.0], [0.0], [0.0], [np.nan]]))
    padded = ModernHopfield(fill(PATTERNS), BETA, values=fill(values), pattern_mask=mask, **options)
    network = ModernHopfield(np.asarray(PATTERNS)[mask], BETA, values=values[mask], **options)
    result, expected = everything(padded), everything(network)
    weights = np.asarray(result.pop("weights"))
    np.testing.assert_array_equal(weights[:, ~mask], 0)
    np.testing.assert_allclose(weights[:, mask], expected.pop("weights"), atol=1e-12)
    for name in result:
        np.testing.assert_allclose(result[name], expected[name], atol=1e-12, err_msg=name)


def test_the_ham_excludes_padding_too():
    mask = jnp.arange(5) < 3
    padded, network = ModernHopfield(PATTERNS, BETA, pattern_mask=mask), ModernHopfield(PATTERNS[:3], BETA)
    image = over(lambda x: EvenOdd().image(padded.ham(), {"visible": x})["visible"], STATES)
    np.testing.assert_allclose(image, over(network.update, STATES), atol=1e-12)
    energy = over(lambda x: EvenOdd().energy(padded.ham(), {"visible": x})[0], STATES)
    np.testing.assert_allclose(energy, over(network.energy, STATES), atol=1e-12)


@padded_networks
def test_batches_of_padded_sets_have_the_values_and_gradients_of_the_sets(options):
    sizes, fillers = (5, 2, 3), (0.0, jnp.nan, 3.0)
    sets = [np.asarray(jr.normal(jr.key(i), (5, 4)))[:n] for i, n in enumerate(sizes)]
    padded = np.array(fillers)[:, None, None] * np.ones((3, 5, 4))
    for rows, inside in zip(padded, sets, strict=True):
        rows[: len(inside)] = inside
    masks = np.arange(5)[None, :] < np.array(sizes)[:, None]

    def loss(patterns, beta, mask=None):
        network = ModernHopfield(patterns, beta, pattern_mask=mask, **options)
        return jnp.sum(network.read(STATES[0]) ** 2) + network.energy(STATES[1])

    @jax.jit
    def compiled():
        both = jax.value_and_grad(loss, argnums=(0, 1))
        batch = jax.vmap(both, in_axes=(0, None, 0))(padded, BETA, masks)
        return batch, [both(patterns, BETA) for patterns in sets]

    (values, (rows, betas)), alone = jax.tree.map(np.asarray, compiled())
    for i, (n, (value, (gradient, slope))) in enumerate(zip(sizes, alone, strict=True)):
        np.testing.assert_allclose(values[i], value, rtol=1e-12)
        np.testing.assert_allclose(rows[i, :n], gradient, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(rows[i, n:], 0)
        np.testing.assert_allclose(betas[i], slope, rtol=1e-9, atol=1e-12)


def test_padding_is_excluded_in_single_precision_at_high_beta():
    mask = jnp.array([True, True, False])
    patterns = jnp.array([[1.0, 0], [0, 1], [9, 9]], jnp.float32)
    network = ModernHopfield(patterns, jnp.asarray(1e4, jnp.float32), pattern_mask=mask)
    result = jax.value_and_grad(lambda x: jnp.sum(network.read(x)))(jnp.array([1, 0.5], jnp.float32))
    np.testing.assert_array_equal(result[0], 1)
    assert jnp.all(jnp.isfinite(result[1]))


def test_a_traced_mask_that_leaves_no_pattern_leaves_no_weight():
    weights = lambda mask: ModernHopfield(PATTERNS, BETA, pattern_mask=mask).weights(STATES[0])
    np.testing.assert_array_equal(jax.jit(weights)(jnp.zeros(5, bool)), 0)


def test_normalisations():
    rows = jnp.concatenate([PATTERNS, jnp.zeros((1, 4))])
    np.testing.assert_allclose(jnp.linalg.norm(UnitNorm()(rows), axis=1), [1] * 5 + [0], atol=1e-14)
    standardised = np.asarray(Standardised()(rows))[:5]
    np.testing.assert_allclose(np.mean(standardised, axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(standardised, axis=1), 2, atol=1e-13)
    for normalise in (UnitNorm(), Standardised()):
        gradient = jax.grad(lambda x, normalise=normalise: jnp.sum(normalise(x) ** 3))(rows)
        assert jnp.all(jnp.isfinite(gradient))
    assert Raw()(rows) is rows
    assert jnp.all(Dot().thresholds(rows) == 0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ModernHopfield(PATTERNS.at[2, 1].set(jnp.nan), 1.0), r"rows \[2\]"),
        (lambda: ModernHopfield(PATTERNS[:0], 1.0), "at least one row"),
        (lambda: ModernHopfield(PATTERNS, 0.0), "positive"),
        (lambda: ModernHopfield(PATTERNS, float("nan")), "finite"),
        (lambda: ModernHopfield(PATTERNS, float("inf")), "finite"),
        (lambda: ModernHopfield(PATTERNS, 1.0, pattern_mask=jnp.ones(4, bool)), "`pattern_mask` has shape"),
        (
            lambda: ModernHopfield(PATTERNS, 1.0, pattern_mask=jnp.zeros(5, bool)),
            "`pattern_mask` is false every",
        ),
        (lambda: ModernHopfield(PATTERNS, 1.0, values=jnp.ones((3, 2))), "3 rows for 5 patterns"),
        (lambda: Polynomial(1.5), "at least 2"),
        (lambda: Entmax(1.0), "`Softmax` is the limit"),
        (lambda: Sparsemax(-1.0), "positive"),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_dtype_of_the_state_is_kept():
    state = MEMORIES[0].astype(jnp.float32)
    assert isinstance(NETWORKS["softmax"].visible, Identity)
    for separation in (*SIMPLEX.values(), *OTHERS.values()):
        lagrangian = separation(BETA)
        for function in (lagrangian, lagrangian.activation, lagrangian.energy):
            assert jax.eval_shape(function, state).dtype == jnp.float32
