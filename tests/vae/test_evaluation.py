"""Evaluation: the importance-weighted bound where the evidence is known, and the Fréchet distance in closed form."""

from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jaxtyping import Array

from hopfax._internal.tree import in_chunks
from hopfax.vae import AbstractVAE, Gaussian, Posterior
from hopfax.vae.completion import completion_error
from hopfax.vae.evaluation import CHUNK, evaluate_vae, importance_weighted
from hopfax.vae.features import frechet_distance
from hopfax.vae.likelihoods import AbstractLikelihood

IMAGES = np.asarray(jr.uniform(jr.key(0), (5, 4)), np.float32)


class IgnoresLatents(AbstractVAE):
    """A decoder that ignores the latents, so that `log p(x) = log p(x | z)` is known."""

    activation: Array
    mean: Array
    likelihood: AbstractLikelihood = Gaussian(0.1)
    latents: int = 2
    pixels: int = 4
    has_energy: ClassVar[bool] = False

    def encode(self, image):
        return Posterior(self.mean, jnp.zeros_like(self.mean)), jnp.array(True)

    def decode(self, latent):
        return self.activation, jnp.array(True)

    def relax_unknown(self, image, known, start):
        raise NotImplementedError

    def start_at_mean(self, mean, hidden_state=0.0):
        return self

    def relaxations(self, images, noise):
        return iter(())


def ignores_latents(mean):
    return IgnoresLatents(jnp.full(4, 0.5, jnp.float32), jnp.full(2, mean, jnp.float32))


def evidence(vae):
    negative = vae.likelihood.negative_log_likelihood
    return np.array([-negative(vae.activation, jnp.asarray(image)) for image in IMAGES])


def test_the_bounds_are_the_evidence_where_the_posterior_is_exact():
    vae = ignores_latents(0.0)
    evaluation = evaluate_vae(vae, IMAGES, key=jr.key(1))
    assert np.allclose(evaluation.elbo, evidence(vae), atol=1e-5)
    assert np.allclose(importance_weighted(vae, IMAGES, samples=3, key=jr.key(1)), evidence(vae), atol=1e-5)
    assert np.allclose(evaluation.squared_error, np.sum((IMAGES - 0.5) ** 2, axis=1), rtol=1e-5)
    assert evaluation.summary()["did_not_converge"] == 0


def test_the_elbo_is_below_the_evidence_by_the_kl_and_more_samples_close_the_gap():
    vae = ignores_latents(0.6)
    one_sample = evaluate_vae(vae, IMAGES, key=jr.key(1)).elbo - evidence(vae)
    assert np.allclose(one_sample, -0.36, rtol=1e-4)  # KL of two latents, each ½ 0.6²
    many = importance_weighted(vae, IMAGES, samples=4000, chunk=500, key=jr.key(1)) - evidence(vae)
    assert np.all(np.abs(many) < 0.05)


def test_the_result_does_not_depend_on_chunks():
    array = jr.normal(jr.key(2), (123, 3))
    assert np.array_equal(in_chunks(lambda chunk: 2 * chunk, array, CHUNK), 2 * array)


def test_the_completion_error_counts_unknown_pixels_only():
    known = np.broadcast_to([True, False, True, False], IMAGES.shape)
    completed = IMAGES + np.array([5.0, 1.0, 7.0, 2.0])
    assert completion_error(completed, IMAGES, known) == pytest.approx(1.0**2 + 2.0**2, rel=1e-6)


def test_frechet_distance_of_gaussians_in_closed_form():
    """In one dimension `(m - n)² + (s - t)²`; for commuting covariances the sum over their axes."""
    a = np.asarray(jr.normal(jr.key(3), (50, 2)))
    b = a * np.array([3.0, 0.5]) + np.array([1.0, -2.0])
    axes = np.linalg.eigh(np.cov(a, rowvar=False))[1]
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert frechet_distance(a[:, :1], b[:, :1]) == pytest.approx(
        (a[:, 0].mean() - b[:, 0].mean()) ** 2 + (2 * a[:, 0].std(ddof=1)) ** 2
    )
    stretched = a @ axes * np.array([2.0, 5.0])
    deviations = (a @ axes).std(axis=0, ddof=1) * np.array([1.0, 4.0])
    shift = (a @ axes).mean(axis=0) * np.array([1.0, 4.0])
    assert frechet_distance(a @ axes, stretched) == pytest.approx(np.sum(deviations**2 + shift**2))


def test_inputs_that_do_not_fit_are_refused():
    vae = ignores_latents(0.0)
    with pytest.raises(ValueError, match="at least one example"):
        evaluate_vae(vae, IMAGES[:, :3], key=jr.key(0))
    with pytest.raises(ValueError, match="positive multiple"):
        importance_weighted(vae, IMAGES, samples=150, key=jr.key(0))
    with pytest.raises(ValueError, match="at least 2"):
        frechet_distance(IMAGES[:1], IMAGES)
