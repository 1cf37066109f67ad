"""Likelihoods, the posterior and the encoder's cost, against closed forms and autodiff."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close
from scipy import stats

from hopfax.costs import BinaryCrossEntropy, SquaredError, SumCost
from hopfax.vae import Bernoulli, FixedVariance, Gaussian, LearnedVariance, Linear, OffsetBernoulli, Posterior

IMAGE = jnp.array([0.1, 0.5, 0.9, 0.3])
ACTIVATION = jnp.array([0.2, 0.4, 0.7, 0.6])
MEAN, LOG_VARIANCE = jnp.array([0.3, -1.2]), jnp.array([-0.5, 0.4])
NOISE, PULL = jnp.array([0.7, -0.2]), jnp.array([1.5, -0.8])


def test_gaussian_is_the_density_around_the_activation():
    expected = -stats.norm.logpdf(IMAGE, ACTIVATION, np.sqrt(0.03)).sum()
    assert close(Gaussian(0.03).negative(ACTIVATION, IMAGE), expected)


def test_bernoulli_is_the_probability_of_drawn_pixels():
    drawn = jnp.array([0.0, 1.0, 1.0, 0.0])
    p = jax.nn.sigmoid(3.0 * ACTIVATION)
    expected = -jnp.sum(jnp.log(jnp.where(drawn == 1, p, 1 - p)))
    assert close(Bernoulli(3.0).negative(ACTIVATION, drawn), expected)


def test_the_visible_layer_is_held_where_it_shows_the_image():
    gaussian, bernoulli = Gaussian(), Bernoulli(4.0)
    assert close(gaussian.lagrangian.activation(gaussian.state(IMAGE)), IMAGE)
    ends = bernoulli.mean(bernoulli.lagrangian.activation(bernoulli.state(jnp.array([0.0, 0.5, 1.0]))))
    assert close(ends, jax.nn.sigmoid(jnp.array([-4.0, 0.0, 4.0])))
    assert bool(jnp.isfinite(gaussian.state(jnp.array([0.0, 1.0]))).all())


def test_divergence_and_log_density_in_closed_form():
    posterior, deviation = Posterior(MEAN, LOG_VARIANCE), np.exp(np.asarray(LOG_VARIANCE) / 2)
    log_q = lambda z: stats.norm.logpdf(z, np.asarray(MEAN), deviation).sum(axis=-1)
    z = np.asarray(posterior.sample(NOISE))
    assert close(posterior.log_density(NOISE), log_q(z))
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)  # exact for polynomials: the integrand is one
    each = [
        stats.norm.logpdf(m + d * nodes, m, d) - stats.norm.logpdf(m + d * nodes)
        for m, d in zip(MEAN, deviation, strict=True)
    ]
    assert close(posterior.divergence(), sum(weights @ one for one in each) / np.sqrt(2 * np.pi), 1e-10)


@pytest.mark.parametrize("variance", [FixedVariance(0.4), LearnedVariance()], ids=lambda v: type(v).__name__)
def test_the_encoders_cost_has_the_slopes_of_what_it_stands_for(variance):
    """`v·z + weight KL`, as a function of the encoder's two layers."""
    activations = {"latent": MEAN, "log_variance": LOG_VARIANCE}

    def meant(activations):
        posterior = variance.posterior(activations)
        return PULL @ posterior.sample(NOISE) + 0.7 * posterior.divergence()

    cost, target = variance.cost(0.7), jnp.stack([PULL, NOISE])
    slope = jax.grad(meant)(activations)
    assert close(jax.grad(lambda g: cost({}, g, target))(activations), slope)
    for part in cost.terms if isinstance(cost, SumCost) else [cost]:
        assert close(part.grad(activations[part.layer], target), slope[part.layer])


def test_binary_cross_entropy_pulls_by_its_derivative():
    cost = BinaryCrossEntropy("visible", 2.5)
    slope = jax.grad(lambda g: cost({}, {"visible": g}, IMAGE))(ACTIVATION)
    assert close(cost.grad(ACTIVATION, IMAGE), slope)
    assert close(slope, 2.5 * (cost.scores({}, {"visible": ACTIVATION}) - IMAGE))


def test_ink_is_silent_where_it_is_dark():
    ink, drawn = OffsetBernoulli(4.0, 3.0, 1.5), jnp.array([0.0, 1.0, 1.0, 0.0])
    p = jax.nn.sigmoid(4.0 * ACTIVATION - 1.5)
    assert close(ink.negative(ACTIVATION, drawn), -jnp.sum(jnp.log(jnp.where(drawn == 1, p, 1 - p))))
    assert close(ink.mean(ACTIVATION), p)
    assert close(ink.state(drawn), 3.0 * drawn)
    slope = jax.grad(lambda g: ink.cost({}, {"visible": g}, IMAGE))(ACTIVATION)
    assert close(ink.cost.grad(ACTIVATION, IMAGE), slope)
    curvature = jax.jacfwd(lambda g: ink.cost.grad(g, IMAGE))(jnp.full(4, 1.5 / 4.0))
    assert close(jnp.diag(curvature), jnp.full(4, ink.steepness))


def test_linear_neurons_are_what_their_lagrangian_says():
    neurons, state = Linear(0.3), ACTIVATION
    assert close(jax.grad(neurons)(state), neurons.activation(state))
    assert close(neurons.energy(state), state @ neurons.activation(state) - neurons(state))
    assert close(neurons.state(neurons.activation(state)), state)


def test_settings_that_cannot_be_are_refused():
    for make in (
        Gaussian,
        Bernoulli,
        OffsetBernoulli,
        Linear,
        FixedVariance,
        lambda x: BinaryCrossEntropy("a", x),
    ):
        with pytest.raises(ValueError, match="must be positive"):
            make(0.0)
    with pytest.raises(ValueError, match="one a layer"):
        SumCost((SquaredError("a"), SquaredError("a")))
    with pytest.raises(ValueError, match="margin"):
        Gaussian(margin=0.5)


def test_a_posterior_sample_has_its_moments():
    drawn = jax.vmap(Posterior(MEAN, LOG_VARIANCE).sample)(jr.normal(jr.key(0), (20000, 2), jnp.float64))
    assert np.allclose(drawn.mean(axis=0), MEAN, atol=0.03)
    assert np.allclose(jnp.log(drawn.var(axis=0)), LOG_VARIANCE, atol=0.05)
