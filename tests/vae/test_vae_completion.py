"""Completion: a descent, its objective, and where it ends for a linear decoder, no known pixels, and all of them."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.optimize
from jaxtyping import Array
from problems import double, scaled

from hopfax import Method
from hopfax.gradients import ConjugateGradient, Implicit
from hopfax.lagrangians import Tanh
from hopfax.solvers import Picard
from hopfax.solvers.equilibrium import Status
from hopfax.vae import AbstractVAE, Bernoulli, FixedVariance, Gaussian, HopfieldVAE, Posterior, Tied, layered
from hopfax.vae.completion import fill_in, inpaint, negative_log_posterior, relax_pixels
from hopfax.vae.descent import descend
from hopfax.vae.likelihoods import AbstractLikelihood

PIXELS, LATENTS, EXAMPLES = 6, 2, 4
IMAGES = np.asarray(jr.uniform(jr.key(0), (EXAMPLES, PIXELS)), np.float32)
KNOWN = np.arange(PIXELS) < 4
GUESS = np.full(PIXELS, 0.5, np.float32)
EXACT = Method(
    solver=Picard(), gradient=Implicit(ConjugateGradient(rtol=1e-12)), rtol=1e-13, atol=1e-14, max_steps=2000
)


class LinearVAE(AbstractVAE):
    """`x = W z + b`, whose posterior is a Gaussian known in closed form."""

    weight: Array
    bias: Array
    likelihood: AbstractLikelihood = Gaussian(0.05)
    pixels: int = PIXELS
    latents: int = LATENTS
    has_energy: ClassVar[bool] = False

    def encode(self, image):
        mean = self.weight.T @ (image - self.bias)
        return Posterior(mean, jnp.zeros_like(mean)), jnp.array(True)

    def decode(self, latent):
        return self.weight @ latent + self.bias, jnp.array(True)

    def relax_unknown(self, image, known, start):
        raise NotImplementedError

    def start_at_mean(self, mean, hidden_state=0.0):
        return self

    def relaxations(self, images, noise):
        return iter(())


@pytest.fixture(scope="module")
def linear():
    return LinearVAE(jr.normal(jr.key(1), (PIXELS, LATENTS), jnp.float32), jnp.full(PIXELS, 0.4, jnp.float32))


def tied(likelihood, method=EXACT):
    variance = FixedVariance(0.3)
    network = layered(PIXELS, 5, LATENTS, likelihood, variance, neurons=Tanh(), key=jr.key(2))
    return HopfieldVAE(Tied(scaled(network, 0.6)), likelihood, variance, method)


def falls(trace):
    """Whether every value of a trace is below the one before, up to the NaN after the last."""
    return all(np.all(np.diff(row[np.isfinite(row)]) < 0) for row in np.atleast_2d(trace))


def test_a_descent_falls_at_every_step_to_the_minimum_that_scipy_finds():
    def rosenbrock(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), jnp.array(True)

    start = jnp.array([-1.2, 1.0, 0.5])
    result = jax.jit(lambda x: descend(rosenbrock, x, tolerance=1e-12, max_steps=200))(start)
    expected = scipy.optimize.minimize(scipy.optimize.rosen, np.asarray(start), method="BFGS")
    assert result.status == Status.converged
    assert falls(result.trace)
    assert np.isfinite(result.trace).sum() == result.steps + 1 <= result.evaluations
    np.testing.assert_allclose(result.point, expected.x, atol=1e-4)


def test_the_status_says_how_a_descent_ended():
    quadratic = lambda x: (jnp.sum(x**2), jnp.array(True))
    only_start = lambda x: (jnp.sum(x**2), jnp.all(x == 1))
    nowhere = lambda x: (jnp.sum(x) + jnp.nan, jnp.array(True))
    cases = ((quadratic, 0), (quadratic, 50), (only_start, 90), (nowhere, 50))
    run = jax.jit(lambda x: [descend(f, x, tolerance=1e-9, max_steps=n) for f, n in cases])
    results = run(jnp.ones(2))
    names = [Status(int(result.status)).name for result in results]
    assert names == ["max_steps", "converged", "stalled", "nonfinite"]
    for i in (0, 2, 3):
        np.testing.assert_array_equal(results[i].point, np.ones(2))


@pytest.mark.parametrize("likelihood", [Gaussian(0.1), Bernoulli(2.0)], ids=["Gaussian", "Bernoulli"])
def test_the_gradient_of_the_objective_is_that_of_finite_differences(likelihood):
    vae, image = double(tied(likelihood)), jnp.asarray(IMAGES[0], float)
    value = lambda z: negative_log_posterior(vae, z, image, jnp.asarray(KNOWN))[0]
    point, step = jr.normal(jr.key(3), (LATENTS,), float), 1e-5 * jnp.eye(LATENTS)

    def both(z):
        differences = jax.lax.map(lambda d: (value(z + d) - value(z - d)) / 2e-5, step)
        return eqx.filter_grad(value)(z), differences

    np.testing.assert_allclose(*jax.jit(both)(point), rtol=1e-6)


def test_the_objective_counts_known_pixels_only_and_is_the_whole_likelihood_if_all_are_known(linear):
    image, latent = jnp.asarray(IMAGES[0]), jnp.array([0.3, -0.2], jnp.float32)
    objective = lambda known: float(negative_log_posterior(linear, latent, image, jnp.asarray(known))[0])
    prior = float(jnp.sum(latent**2) / 2)
    activation = linear.decode(latent)[0]
    whole = linear.likelihood.negative_log_likelihood(activation, image) - linear.likelihood.constant(PIXELS)
    assert objective(np.ones(PIXELS, bool)) == pytest.approx(float(whole) + prior, rel=1e-5)
    assert objective(np.zeros(PIXELS, bool)) == pytest.approx(prior)
    parts = objective(KNOWN) + objective(~KNOWN) - prior
    assert parts == pytest.approx(objective(np.ones(PIXELS, bool)), rel=1e-5)


def test_a_linear_decoder_ends_at_the_mean_of_the_exact_posterior(linear):
    result = inpaint(linear, IMAGES, KNOWN, GUESS, tolerance=1e-6)
    weight, variance = np.asarray(linear.weight)[KNOWN], linear.likelihood.scale
    precision = np.eye(LATENTS) + weight.T @ weight / variance
    residual = IMAGES[:, KNOWN] - np.asarray(linear.bias)[KNOWN]
    latent = np.linalg.solve(precision, weight.T @ residual.T / variance).T
    assert result.converged.all()
    np.testing.assert_allclose(result.latent, latent, atol=1e-3)
    expected = np.where(KNOWN, IMAGES, latent @ np.asarray(linear.weight).T + np.asarray(linear.bias))
    np.testing.assert_allclose(result.images, expected, atol=2e-3)


@pytest.mark.slow
def test_the_descent_of_a_relaxing_decoder_falls_and_ends_where_the_gradient_is_zero():
    vae = double(tied(Gaussian(0.01)))
    result = inpaint(vae, IMAGES, KNOWN, GUESS, tolerance=1e-6)
    assert result.converged.all()
    assert falls(result.descent.trace)
    assert np.all(np.isfinite(np.asarray(result.descent.trace)).sum(axis=1) == result.descent.steps + 1)
    np.testing.assert_array_equal(result.images[:, KNOWN], IMAGES[:, KNOWN])
    value = lambda z, x: negative_log_posterior(vae, z, x, jnp.asarray(KNOWN))[0]
    gradient = jax.jit(jax.vmap(jax.grad(value)))(result.latent, jnp.asarray(IMAGES))
    assert np.abs(gradient).max() < 2e-2  # of a function whose curvature is about 100


@pytest.mark.slow
def test_unknown_pixels_have_no_influence_and_no_known_pixels_end_at_the_prior_mode():
    vae = tied(Gaussian(0.01), Method(solver=Picard(), rtol=1e-6))
    known = np.stack([KNOWN, ~KNOWN, np.zeros(PIXELS, bool), np.ones(PIXELS, bool)])
    result = inpaint(vae, IMAGES, known, GUESS)
    hidden = inpaint(vae, np.where(known, IMAGES, np.nan), known, GUESS)
    assert result.converged.all()
    np.testing.assert_array_equal(result.images, hidden.images)
    assert np.abs(result.latent[2]).max() < 0.2  # where |z|² / 2 is within twice the tolerance of 0.01 nats
    np.testing.assert_array_equal(result.images[3], IMAGES[3])
    alone = inpaint(vae, IMAGES[1:2], ~KNOWN, GUESS)
    np.testing.assert_allclose(alone.images[0], result.images[1], atol=1e-2)  # rounding, then 0.01 nats


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((IMAGES[:, :3], KNOWN, GUESS), {}, r"images.*\(examples, 6\)"),
        ((IMAGES, KNOWN[:3], GUESS), {}, "known.*shape"),
        ((IMAGES, KNOWN, GUESS), {"tolerance": -1.0}, "tolerance=-1.0.*0 or more"),
        ((IMAGES, KNOWN, GUESS), {"max_steps": -1}, "max_steps=-1.*whole number"),
    ],
)
def test_what_cannot_be_completed_is_refused(linear, arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        inpaint(linear, *arguments, **settings)


def test_the_ways_to_compare_with_agree_on_what_is_known():
    vae = tied(Gaussian(0.01), Method(solver=Picard()))
    for images in (relax_pixels(vae, IMAGES, KNOWN, GUESS)[0], fill_in(vae, IMAGES, KNOWN, GUESS, rounds=2)):
        np.testing.assert_array_equal(images[:, KNOWN], IMAGES[:, KNOWN])
