"""Laws of Gaussian networks: clamped in part, one gives conditional means, and a mixture what is most probable."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import double
from scipy.optimize import lsq_linear, minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from hopfax import Method, PartialClamp, relax
from hopfax.lagrangians import HardSigmoid
from hopfax.networks import gaussian, gaussian_mixture, with_hidden

RIDGE, SIZE = 0.05, 7
SAMPLES = np.random.default_rng(0).uniform(size=(40, SIZE)) @ np.random.default_rng(1).normal(
    size=(SIZE, SIZE)
)
MEAN, COVARIANCE = 0.3 + 0.1 * SAMPLES.mean(axis=0), np.cov(SAMPLES.T)
KNOWN = np.array([True, False, True, True, False, False, True])
IMAGES = np.random.default_rng(2).uniform(size=(5, SIZE))
METHOD = Method(rtol=1e-10, max_steps=2000)


def completed(model, start=None):
    clamp = {"visible": PartialClamp(IMAGES, KNOWN)}
    result = relax(double(model), clamp, start=None if start is None else {"visible": start}, method=METHOD)
    assert bool(jnp.all(result.converged))
    return np.asarray(result.activation["visible"])


def conditional_means(covariance):
    known, missing = np.flatnonzero(KNOWN), np.flatnonzero(~KNOWN)
    slopes = np.linalg.solve(covariance[np.ix_(known, known)], covariance[np.ix_(known, missing)])
    filled = IMAGES.copy()
    filled[:, missing] = MEAN[missing] + (IMAGES[:, known] - MEAN[known]) @ slopes
    return filled


def test_the_missing_values_are_the_conditional_mean():
    expected = conditional_means(COVARIANCE + RIDGE * np.eye(SIZE))
    np.testing.assert_allclose(completed(gaussian(MEAN, COVARIANCE, ridge=RIDGE)), expected, atol=1e-5)


def test_no_equilibrium_depends_on_the_gain_of_the_factors():
    one, other = (gaussian(MEAN, COVARIANCE, ridge=RIDGE, factor_gain=gain) for gain in (1.0, 0.01))
    np.testing.assert_allclose(completed(one), completed(other), atol=1e-5)


def test_fewer_factors_are_the_gaussian_of_the_largest_eigenvalues():
    values, vectors = np.linalg.eigh(COVARIANCE)
    low_rank = vectors[:, -3:] * values[-3:] @ vectors[:, -3:].T
    model = gaussian(MEAN, COVARIANCE, ridge=RIDGE, factors=3)
    expected = conditional_means(low_rank + RIDGE * np.eye(SIZE))
    np.testing.assert_allclose(completed(model), expected, atol=1e-5)


def test_clipped_neurons_are_at_the_most_probable_values_within_the_bounds():
    model = gaussian(MEAN, COVARIANCE, ridge=RIDGE, visible=HardSigmoid())
    precision = np.linalg.inv(COVARIANCE + RIDGE * np.eye(SIZE))
    root = np.linalg.cholesky(precision).T  # |root (x - mean)|² is the exponent
    missing = ~KNOWN
    for image, result in zip(IMAGES, completed(model), strict=True):
        offset = root[:, KNOWN] @ (image - MEAN)[KNOWN] - root[:, missing] @ MEAN[missing]
        best = lsq_linear(root[:, missing], -offset, (0, 1), tol=1e-14)
        np.testing.assert_allclose(result[missing], best.x, atol=1e-5)
        np.testing.assert_array_equal(result[KNOWN], image[KNOWN])


def test_the_energy_is_that_of_the_gaussian_and_a_constant():
    model = double(gaussian(MEAN, COVARIANCE, ridge=RIDGE))
    precision = np.linalg.inv(COVARIANCE + RIDGE * np.eye(SIZE))

    @jax.jit
    @jax.vmap
    def energies(visible):
        activations = {"visible": visible, "factors": jnp.zeros(SIZE)}
        factors = model.drive(activations, ("factors",))["factors"]
        return model.energy({"visible": visible, "factors": factors})

    offsets = IMAGES - MEAN
    expected = 0.5 * RIDGE * np.einsum("ni,ij,nj->n", offsets, precision, offsets)
    differences = np.asarray(energies(IMAGES)) - expected
    np.testing.assert_allclose(differences, differences[0], atol=1e-5)


def test_hidden_neurons_start_as_a_small_change_of_the_gaussian_in_two_colours():
    plain = gaussian(MEAN, COVARIANCE, ridge=RIDGE)
    model = with_hidden(plain, 4, gain=1e-4, std=1.0, key=jr.key(0))
    assert model.order == ("hidden", "factors", "visible")
    assert model.graph.odd_cycle() is None
    np.testing.assert_allclose(completed(model), completed(plain), atol=0.05)


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_there_is_one_equilibrium(start):
    model = gaussian(MEAN, COVARIANCE, ridge=RIDGE, visible=HardSigmoid())
    np.testing.assert_allclose(completed(model, np.full_like(IMAGES, start)), completed(model), atol=1e-8)


MEANS = np.stack([MEAN, MEAN + np.linspace(0.2, -0.3, SIZE), MEAN - 0.1])
COVARIANCES = np.stack([COVARIANCE, 0.5 * np.eye(SIZE), 0.3 * COVARIANCE + 0.1])
WEIGHTS = np.array([0.5, 0.2, 0.3])


def mixture(**changes):
    return double(gaussian_mixture(MEANS, COVARIANCES, WEIGHTS, **{"ridge": RIDGE, **changes}))


def mixture_energy(visible, temperature=1.0):
    """`-ε T log Σ_k (w_k N(g; μ_k, C_k))^(1/T)`, by scipy."""
    logs = [
        np.log(weight) + multivariate_normal(mean, covariance + RIDGE * np.eye(SIZE)).logpdf(visible)
        for mean, covariance, weight in zip(MEANS, COVARIANCES, WEIGHTS, strict=True)
    ]
    return -RIDGE * temperature * logsumexp(np.stack(logs) / temperature, axis=0)


@pytest.mark.parametrize("temperature", [1.0, 7.0])
@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_the_energy_of_a_mixture_is_that_of_its_density_and_a_constant(temperature, gain):
    model = mixture(temperature=temperature, gain=gain)

    @jax.jit
    @jax.vmap
    def energies(visible):
        activations = {"visible": visible, "components": jnp.zeros((3, 1 + SIZE))}
        components = model.drive(activations, ("components",))["components"]
        return model.energy({"visible": visible, "components": components})

    differences = np.asarray(energies(IMAGES)) - mixture_energy(IMAGES, temperature)
    np.testing.assert_allclose(differences, differences[0], atol=1e-5)


def test_the_missing_values_are_the_most_probable_under_a_mixture():
    missing = ~KNOWN
    for image, result in zip(IMAGES, completed(mixture()), strict=True):

        def energy(values, image=image):
            visible = image.copy()
            visible[missing] = values
            return mixture_energy(visible)

        best = minimize(energy, result[missing], tol=1e-12)
        np.testing.assert_allclose(result[missing], best.x, atol=2e-4)
        np.testing.assert_array_equal(result[KNOWN], image[KNOWN])


def test_a_mixture_of_one_is_the_gaussian():
    one = gaussian_mixture(MEAN[None], COVARIANCE[None], np.ones(1), ridge=RIDGE, factors=4)
    other = gaussian(MEAN, COVARIANCE, ridge=RIDGE, factors=4)
    np.testing.assert_allclose(completed(one), completed(other), atol=1e-5)


def test_no_equilibrium_of_a_mixture_depends_on_the_gain():
    np.testing.assert_allclose(completed(mixture()), completed(mixture(gain=0.01)), atol=1e-5)


def test_a_mixture_has_two_colours():
    assert mixture().graph.odd_cycle() is None
