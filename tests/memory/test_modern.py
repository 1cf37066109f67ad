"""The modern Hopfield network and its separations: one object with a HAM, and the laws of its Lagrangians."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import hopfax
from hopfax import EvenOdd, ModernHopfield
from hopfax.lagrangians import Identity, Softmax, SphericalNorm, Tanh
from hopfax.lagrangians.separations import Entmax, Exponential, Polynomial, Sparsemax
from hopfax.memory import phase
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
}
CONES = {"polynomial": ft.partial(Polynomial, 3), "exponential": Exponential}
each = lambda cases: pytest.mark.parametrize("separation", cases.values(), ids=cases)


@eqx.filter_jit
def over(function, states):
    return jax.vmap(function)(states)


@each({**SIMPLEX, **CONES})
def test_activation_is_the_gradient_and_the_conjugate_closes_fenchel_young(separation):
    lagrangian = separation(BETA)

    def law(s):
        g = lagrangian.activation(s)
        return g, jax.grad(lagrangian)(s), lagrangian(s) + lagrangian.energy(s), jnp.dot(s, g)

    g, slope, both, product = over(law, MEMORIES)
    np.testing.assert_allclose(slope, g, atol=1e-12)
    np.testing.assert_allclose(both, product, rtol=1e-12)


@each({**SIMPLEX, **CONES})
def test_fenchel_young_is_an_inequality_elsewhere(separation):
    lagrangian = separation(BETA)

    def gap(s):
        others = jax.vmap(lagrangian.activation)(MEMORIES)
        energies = jax.vmap(lagrangian.energy)(MEMORIES)
        return lagrangian(s) + energies - others @ s

    assert jnp.all(over(gap, MEMORIES) >= -1e-12)


@each(SIMPLEX)
def test_shares_lie_on_the_simplex_and_ignore_a_common_shift(separation):
    lagrangian = separation(BETA)
    g = over(lagrangian.activation, MEMORIES)
    assert jnp.all(g >= 0)
    np.testing.assert_allclose(jnp.sum(g, axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(over(lagrangian.activation, MEMORIES + 3.0), g, atol=1e-13)


@each(SIMPLEX)
def test_second_derivatives_are_the_slopes_of_the_activation(separation):
    lagrangian = separation(BETA)
    curvature = over(jax.hessian(lagrangian), MEMORIES)
    step = 1e-6 * jnp.eye(5)
    differences = over(
        lambda s: jax.vmap(lambda e: (lagrangian.activation(s + e) - lagrangian.activation(s - e)) / 2e-6)(
            step
        ),
        MEMORIES,
    )
    np.testing.assert_allclose(curvature, differences, atol=1e-6)


def test_entmax_is_sparsemax_at_two_and_softmax_near_one():
    near = lambda a, b: np.testing.assert_allclose(
        over(a.activation, MEMORIES), over(b.activation, MEMORIES), atol=1e-4
    )
    near(Entmax(2.0, BETA), Sparsemax(BETA))
    near(Entmax(1.00001, BETA), Softmax(BETA))
    exact = over(Sparsemax(BETA).activation, MEMORIES)
    np.testing.assert_allclose(over(Entmax(2.0, BETA).activation, MEMORIES), exact, atol=1e-14)


def test_two_memories_under_sparsemax_share_by_a_clipped_line():
    margins = jnp.linspace(-2, 2, 9)
    shares = over(lambda m: Sparsemax(1.0).activation(jnp.array([m, 0.0]))[0], margins)
    np.testing.assert_allclose(shares, jnp.clip((1 + margins) / 2, 0, 1), atol=1e-14)


def test_degree_two_with_inverse_patterns_is_the_hebbian_energy():
    both = jnp.concatenate([PATTERNS, -PATTERNS])
    network = ModernHopfield(both, 1.0, separation=ft.partial(Polynomial, 2), visible=Tanh())
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
    "entmax": ModernHopfield(PATTERNS, BETA, separation=ft.partial(Entmax, 1.5)),
    "polynomial": ModernHopfield(PATTERNS, 0.5, separation=ft.partial(Polynomial, 3), visible=Tanh()),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_network_and_ham_are_one_object(network):
    ham = network.ham()

    def both(x):
        states = {"visible": x}
        whole = EvenOdd().reconstruct(ham, states)
        return EvenOdd().image(ham, states)["visible"], ham.energy(whole), EvenOdd().energy(ham, states)[0]

    image, energy, cheap = over(both, STATES)
    np.testing.assert_allclose(image, over(network.update, STATES), atol=1e-12)
    np.testing.assert_allclose(energy, over(network.energy, STATES), atol=1e-12)
    np.testing.assert_allclose(cheap, energy, atol=1e-12)


def test_relaxing_the_ham_is_recall():
    network = ModernHopfield(PATTERNS, 3.0)
    found = hopfax.relax(
        network.ham(), start={"visible": STATES}, method=hopfax.Method(rtol=0, atol=1e-13, max_steps=500)
    )
    assert jnp.all(found.converged)
    rest = found.state["visible"]
    np.testing.assert_allclose(over(network.update, rest), rest, atol=1e-12)
    np.testing.assert_allclose(found.energy, over(network.energy, rest), atol=1e-12)
    np.testing.assert_allclose(found.activation["memory"], over(network.association, rest), atol=1e-12)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_energy_never_rises(network):
    step = lambda x, _: (network.update(x), network.energy(x))
    energies = over(lambda x: jax.lax.scan(step, x, length=20)[1], STATES)
    assert jnp.all(jnp.diff(energies, axis=1) <= 1e-12)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_jacobian_is_the_derivative_of_the_update(network):
    np.testing.assert_allclose(
        over(network.jacobian, STATES), over(jax.jacfwd(network.update), STATES), atol=1e-11
    )


@each(SIMPLEX)
def test_hessian_is_one_less_the_jacobian(separation):
    network = ModernHopfield(PATTERNS, BETA, separation=separation)
    np.testing.assert_allclose(
        over(network.hessian, STATES), jnp.eye(4)[None] - over(network.jacobian, STATES), atol=1e-11
    )


@each(SIMPLEX)
def test_energy_with_its_offset_is_never_negative(separation):
    network = ModernHopfield(PATTERNS, BETA, separation=separation)
    starts = jnp.concatenate([STATES, PATTERNS, jnp.zeros((1, 4))])
    assert jnp.all(over(network.energy, starts) + network.offset() >= 0)


def test_offset_is_the_papers_constant():
    largest = jnp.max(jnp.sum(PATTERNS**2, axis=1))
    np.testing.assert_allclose(NETWORKS["softmax"].offset(), jnp.log(5) / BETA + largest / 2, rtol=1e-14)


def test_euclidean_similarity_measures_the_distance():
    network = ModernHopfield(PATTERNS, BETA, similarity=Euclidean())
    distances = jnp.sum((STATES[:, None] - PATTERNS[None]) ** 2, axis=2)
    expected = -jax.nn.logsumexp(-BETA * distances / 2, axis=1) / BETA
    np.testing.assert_allclose(over(network.energy, STATES), expected, atol=1e-12)
    np.testing.assert_allclose(
        over(network.association, STATES), jax.nn.softmax(-BETA * distances / 2, axis=1), atol=1e-12
    )


def test_phase_functions_are_those_of_the_network():
    network = NETWORKS["softmax"]
    assert phase.energy(PATTERNS, STATES[0], BETA) == network.energy(STATES[0])
    assert jnp.all(phase.jacobian(PATTERNS, STATES[0], BETA) == network.jacobian(STATES[0]))


def test_entropy_counts_the_patterns_that_share_a_state():
    entropy = lambda x, beta, separation=Softmax: ModernHopfield(
        jnp.eye(4), beta, separation=separation
    ).entropy(x)
    np.testing.assert_allclose(entropy(jnp.zeros(4), 1.0), np.log(4), rtol=1e-14)
    np.testing.assert_allclose(entropy(jnp.array([1.0, 1, 0, 0]), 2.0, Sparsemax), np.log(2), rtol=1e-14)
    assert entropy(jnp.eye(4)[0], 1e6) == 0
    assert jnp.all(jnp.isfinite(jax.jit(jax.grad(entropy), static_argnums=1)(jnp.eye(4)[0], 1e6)))


def test_values_are_read_out_and_patterns_without_them():
    values = jnp.arange(10.0).reshape(5, 2)
    keyed = ModernHopfield(PATTERNS, 200.0, values=values, normalisation=UnitNorm())
    np.testing.assert_allclose(over(keyed.read, keyed.patterns), values, atol=1e-8)
    np.testing.assert_allclose(
        over(NETWORKS["softmax"].read, STATES), over(NETWORKS["softmax"].update, STATES), atol=0
    )


def test_normalisations_do_what_they_say():
    rows = jnp.concatenate([PATTERNS, jnp.zeros((1, 4))])
    np.testing.assert_allclose(jnp.linalg.norm(UnitNorm()(rows), axis=1), [1] * 5 + [0], atol=1e-14)
    made = Standardised()(rows)[:5]
    np.testing.assert_allclose(jnp.mean(made, axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(jnp.linalg.norm(made, axis=1), 2, atol=1e-13)
    assert Raw()(rows) is rows
    assert jnp.all(Dot().thresholds(rows) == 0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ModernHopfield(PATTERNS.at[2, 1].set(jnp.nan), 1.0), r"rows \[2\]"),
        (lambda: ModernHopfield(PATTERNS[:0], 1.0), "at least one row"),
        (lambda: ModernHopfield(PATTERNS, 0.0), "must be positive"),
        (lambda: ModernHopfield(PATTERNS, 1.0, values=jnp.ones((3, 2))), "3 rows for 5 patterns"),
        (lambda: Polynomial(1.5), "at least 2"),
        (lambda: Entmax(1.0), "use `Softmax`"),
        (lambda: Sparsemax(-1.0), "must be positive"),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_dtype_of_the_state_is_kept():
    state = MEMORIES[0].astype(jnp.float32)
    assert isinstance(NETWORKS["softmax"].visible, Identity)
    for separation in (*SIMPLEX.values(), *CONES.values()):
        lagrangian = separation(BETA)
        for result in (lagrangian(state), lagrangian.activation(state), lagrangian.energy(state)):
            assert result.dtype == jnp.float32
