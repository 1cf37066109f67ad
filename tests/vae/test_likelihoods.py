"""Likelihoods, the posterior and the encoder's cost, compared with closed forms and automatic differentiation."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close
from scipy import stats

from hopfax.costs import BinaryCrossEntropy, SquaredError, SumCost
from hopfax.lagrangians import Linear
from hopfax.vae import Bernoulli, FixedVariance, Gaussian, LearnedVariance, OffsetBernoulli, Posterior

IMAGE = jnp.array([0.1, 0.5, 0.9, 0.3])
BINARY_IMAGE = jnp.array([0.0, 1.0, 1.0, 0.0])
ACTIVATION = jnp.array([0.2, 0.4, 0.7, 0.6])
MEAN, LOG_VARIANCE = jnp.array([0.3, -1.2]), jnp.array([-0.5, 0.4])
NOISE, LATENT_GRADIENT = jnp.array([0.7, -0.2]), jnp.array([1.5, -0.8])


def negative_log_probability(p, image):
    return -jnp.sum(jnp.log(jnp.where(image == 1, p, 1 - p)))


def test_gaussian_is_the_density_around_the_activation():
    expected = -stats.norm.logpdf(IMAGE, ACTIVATION, np.sqrt(0.03)).sum()
    assert close(Gaussian(0.03).negative_log_likelihood(ACTIVATION, IMAGE), expected)


def test_bernoulli_is_the_probability_of_binary_pixels():
    p = jax.nn.sigmoid(3.0 * ACTIVATION)
    expected = negative_log_probability(p, BINARY_IMAGE)
    assert close(Bernoulli(3.0).negative_log_likelihood(ACTIVATION, BINARY_IMAGE), expected)


def test_the_clamped_visible_layer_has_the_activation_that_decodes_to_the_image():
    gaussian, bernoulli = Gaussian(), Bernoulli(4.0)
    assert close(gaussian.lagrangian.activation(gaussian.state(IMAGE)), IMAGE)
    extremes = bernoulli.state(jnp.array([0.0, 0.5, 1.0]))
    decoded = bernoulli.mean(bernoulli.lagrangian.activation(extremes))
    assert close(decoded, jax.nn.sigmoid(jnp.array([-4.0, 0.0, 4.0])))
    assert bool(jnp.isfinite(gaussian.state(jnp.array([0.0, 1.0]))).all())


def test_kl_and_log_density_in_closed_form():
    posterior, deviation = Posterior(MEAN, LOG_VARIANCE), np.exp(np.asarray(LOG_VARIANCE) / 2)
    log_q = lambda z: stats.norm.logpdf(z, np.asarray(MEAN), deviation).sum(axis=-1)
    z = np.asarray(posterior.sample(NOISE))
    assert close(posterior.log_density(NOISE), log_q(z))
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)  # exact, because the integrand is a polynomial
    log_ratios = [
        stats.norm.logpdf(m + d * nodes, m, d) - stats.norm.logpdf(m + d * nodes)
        for m, d in zip(MEAN, deviation, strict=True)
    ]
    expected = sum(weights @ log_ratio for log_ratio in log_ratios) / np.sqrt(2 * np.pi)
    assert close(posterior.kl(), expected, 1e-10)


@pytest.mark.parametrize("variance", [FixedVariance(0.4), LearnedVariance()], ids=lambda v: type(v).__name__)
def test_the_encoders_cost_has_the_gradient_of_the_linearised_loss(variance):
    """`v·z + weight KL`, as a function of the encoder's mean and log-variance."""
    activations = {"latent": MEAN, "log_variance": LOG_VARIANCE}

    def linearised_loss(activations):
        posterior = variance.posterior(activations)
        return LATENT_GRADIENT @ posterior.sample(NOISE) + 0.7 * posterior.kl()

    cost, target = variance.cost(0.7), jnp.stack([LATENT_GRADIENT, NOISE])
    expected = jax.grad(linearised_loss)(activations)
    assert close(jax.grad(lambda g: cost({}, g, target))(activations), expected)
    for term in cost.terms if isinstance(cost, SumCost) else (cost,):
        assert close(term.grad(activations[term.layer], target), expected[term.layer])


def test_binary_cross_entropy_nudges_by_its_derivative():
    cost = BinaryCrossEntropy("visible", 2.5)
    derivative = jax.grad(lambda g: cost({}, {"visible": g}, IMAGE))(ACTIVATION)
    assert close(cost.grad(ACTIVATION, IMAGE), derivative)
    assert close(derivative, 2.5 * (cost.scores({}, {"visible": ACTIVATION}) - IMAGE))


def test_offset_bernoulli_clamps_dark_pixels_at_zero():
    likelihood = OffsetBernoulli(slope=4.0, image_scale=3.0, offset=1.5)
    p = jax.nn.sigmoid(4.0 * ACTIVATION - 1.5)
    expected = negative_log_probability(p, BINARY_IMAGE)
    assert close(likelihood.negative_log_likelihood(ACTIVATION, BINARY_IMAGE), expected)
    assert close(likelihood.mean(ACTIVATION), p)
    assert close(likelihood.state(BINARY_IMAGE), 3.0 * BINARY_IMAGE)
    assert close(likelihood.mean(likelihood.decoded_state(IMAGE)), IMAGE)
    derivative = jax.grad(lambda g: likelihood.cost({}, {"visible": g}, IMAGE))(ACTIVATION)
    assert close(likelihood.cost.grad(ACTIVATION, IMAGE), derivative)
    steepest = jnp.full(4, 1.5 / 4.0)  # where the logits are zero
    curvature = jax.jacfwd(lambda g: likelihood.cost.grad(g, IMAGE))(steepest)
    assert close(jnp.diag(curvature), jnp.full(4, likelihood.max_curvature))


def test_linear_neurons_agree_with_their_lagrangian():
    neurons, state = Linear(0.3), ACTIVATION
    assert close(jax.grad(neurons)(state), neurons.activation(state))
    assert close(neurons.energy(state), state @ neurons.activation(state) - neurons(state))
    assert close(neurons.activation(state) / neurons.linear_gain, state)


def test_arguments_out_of_range_are_refused():
    binary_cross_entropy = lambda slope: BinaryCrossEntropy("a", slope)
    for make in (Gaussian, Bernoulli, OffsetBernoulli, FixedVariance, Linear, binary_cross_entropy):
        with pytest.raises(ValueError, match=r"must be (one )?positive"):
            make(0.0)
    with pytest.raises(ValueError, match="one for each layer"):
        SumCost((SquaredError("a"), SquaredError("a")))
    with pytest.raises(ValueError, match="margin"):
        Gaussian(margin=0.5)


def test_samples_have_the_moments_of_the_posterior():
    samples = jax.vmap(Posterior(MEAN, LOG_VARIANCE).sample)(jr.normal(jr.key(0), (20000, 2), jnp.float64))
    assert np.allclose(samples.mean(axis=0), MEAN, atol=0.03)
    assert np.allclose(jnp.log(samples.var(axis=0)), LOG_VARIANCE, atol=0.05)
