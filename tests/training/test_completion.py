"""Laws of training to complete images: masks, the gradient at equilibrium, exact resuming, one attractor."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from problems import double, slow_except

from hopfax import Method, load_model
from hopfax.data import Dataset, corruption_masks
from hopfax.gradients import ConjugateGradient, EquilibriumPropagation, Implicit
from hopfax.lagrangians import HardSigmoid
from hopfax.networks import PartialClamp, gaussian, with_hidden
from hopfax.relax import relax
from hopfax.training import (
    Block,
    Completion,
    CompletionJob,
    CompletionRecipe,
    FixedGuess,
    FromGaussian,
    FromMixture,
    Half,
    Mixture,
    ScatteredPixels,
    UniformNoise,
    evaluate_completion,
    run_and_store,
    train,
)
from hopfax.training.completion_job import completion_from_config
from hopfax.updates import Coloured
from hopfax.updates.problem import Problem

SHAPE = (4, 3)
PIXELS = 12
MANY = jr.split(jr.key(0), 4000)


def images(count: int, seed: int) -> np.ndarray:
    """Smooth images: pixels that depend on three numbers, clipped."""
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(7).normal(size=(3, PIXELS))
    noise = 0.05 * rng.normal(size=(count, PIXELS))
    return np.clip(0.4 + 0.3 * rng.normal(size=(count, 3)) @ basis + noise, 0, 1).astype(np.float32)


def dataset() -> Dataset:
    labels = lambda count: np.zeros(count, np.int32)
    return Dataset("smooth", images(64, 0), labels(64), images(20, 1), labels(20), image_shape=SHAPE)


RECIPE = CompletionRecipe(
    layers=(PIXELS, 6),
    initialisation=FromGaussian(factors=8, ridge=0.02, std=0.1),
    batch_size=16,
    epochs=60,
    learning_rate=3e-3,
    tested=20,
)


def mixture():
    initialisation = FromMixture(2, ridge=0.1, gain=0.5, temperature=3.0, shrinkage=10.0)
    return double(initialisation(images(64, 0), 10, key=jr.key(2)))


def network():
    train_images = images(64, 0)
    cov, mean = np.cov(train_images.T), train_images.mean(axis=0)
    model = gaussian(mean, cov, ridge=0.1, factors=6, visible=HardSigmoid())
    return double(with_hidden(model, 5, gain=0.5, std=0.4, key=jr.key(1)))


NETWORKS = pytest.mark.parametrize("network", [network, mixture])
WITH_SLOW_MIXTURE = pytest.mark.parametrize("network", slow_except([network, mixture], [network]))


def drawn(masks, shape=SHAPE):
    return np.asarray(jax.jit(jax.vmap(lambda key: masks.draw(key, shape)))(MANY))


def test_scattered_pixels_are_missing_at_rates_of_the_whole_range():
    missing = ~drawn(ScatteredPixels(0.2, 0.6), (20, 20))
    rates = missing.mean(axis=(1, 2))
    assert abs(rates.mean() - 0.4) < 0.01
    assert abs(rates.std() - 0.4 / 12**0.5) < 0.01  # of the uniform distribution; sampling adds little
    np.testing.assert_allclose(missing.mean(axis=0), 0.4, atol=0.05)


def test_channels_of_a_pixel_are_missing_together():
    masks = Mixture((ScatteredPixels(), Half(), Block()))
    known = drawn(masks, (4, 4, 3))
    np.testing.assert_array_equal(known, np.broadcast_to(known[..., :1], known.shape))


def test_halves_are_equally_frequent_and_include_that_of_the_evaluation():
    masks, counts = np.unique(drawn(Half(), (5, 4)), axis=0, return_counts=True)
    assert len(masks) == 4
    np.testing.assert_allclose(counts / len(MANY), 0.25, atol=0.03)
    top = corruption_masks(1, (5, 4))["top half"].reshape(5, 4)
    assert any(np.array_equal(mask, top) for mask in masks)


def test_a_block_is_a_rectangle_with_sides_in_its_range():
    missing = ~drawn(Block(0.3, 0.5), (10, 10))
    rows, columns = missing.any(axis=2), missing.any(axis=1)
    np.testing.assert_array_equal(missing, rows[:, :, None] & columns[:, None, :])
    for sides in (rows, columns):
        assert set(sides.sum(axis=1)) == {3, 4, 5}
        assert (np.abs(np.diff(sides.astype(int), axis=1)).sum(axis=1) <= 2).all()  # in one piece
        assert (sides.mean(axis=0) > 0.05).all()


def test_parts_of_a_mixture_have_its_weights():
    known = drawn(Mixture((ScatteredPixels(0, 0), ScatteredPixels(1, 1)), (3.0, 1.0)))
    assert abs(known.all(axis=(1, 2)).mean() - 0.75) < 0.03
    assert (known.all(axis=(1, 2)) | ~known.any(axis=(1, 2))).all()


def test_noise_starts_dark_and_bright():
    noise = np.asarray(jax.jit(jax.vmap(lambda key: UniformNoise().draw(key, SHAPE)))(MANY))
    means = noise.mean(axis=(1, 2))
    assert abs(means.mean() - 0.5) < 0.02
    assert 0 <= noise.min() <= means.min() < 0.1
    assert 0.9 < means.max() <= noise.max() <= 1


EXACT = Method(rtol=1e-12, max_steps=2000)
EXACT_ADJOINT = Implicit(ConjugateGradient(rtol=1e-10))


def task(gradient=EXACT_ADJOINT):
    return Completion(method=dataclasses.replace(EXACT, gradient=gradient), image_shape=SHAPE)


def examples(model):
    inputs = jnp.asarray(images(6, 2), jnp.float64)
    return task().draw(model, inputs, jnp.zeros(6, jnp.int32), jr.key(3))


def cost_at_equilibrium(model, drawn) -> jax.Array:
    """`½ Σ_missing (g - x)²`, mean over the images, by `relax` alone."""
    clamp, start = {"visible": PartialClamp(drawn.images, drawn.known)}, {"visible": drawn.filled}
    completed = relax(model, clamp, start=start, method=EXACT).activation["visible"]
    squares = jnp.where(drawn.known, 0, jnp.square(completed - drawn.images))
    return 0.5 * jnp.sum(squares) / len(drawn.images)


@pytest.mark.slow
@NETWORKS
def test_the_gradient_is_that_of_the_error_of_the_missing_pixels(network):
    model = network()
    batch = examples(model)
    flat, unravel = ravel_pytree(eqx.filter(model, eqx.is_inexact_array))
    whole = lambda x: eqx.combine(unravel(x), model)
    value = jax.jit(lambda x: cost_at_equilibrium(whole(x), batch))
    step = jnp.zeros((), jnp.int32)
    gradient, sums = eqx.filter_jit(task().gradient)(model, batch, step)
    np.testing.assert_allclose(sums.loss, value(flat), rtol=1e-6)
    np.testing.assert_allclose(sums.missing, np.mean(np.sum(~np.asarray(batch.known), axis=1)))
    slope = np.asarray(ravel_pytree(gradient)[0])
    for seed in range(3):
        direction, h = np.random.default_rng(seed).normal(size=flat.shape), 1e-6
        change = (value(flat + h * direction) - value(flat - h * direction)) / (2 * h)
        np.testing.assert_allclose(slope @ direction, change, rtol=1e-4)


@WITH_SLOW_MIXTURE
def test_equilibrium_propagation_finds_the_implicit_gradient_of_every_array(network):
    model = network()
    batch, step = examples(model), jnp.zeros((), jnp.int32)
    both = [
        eqx.filter_jit(task(one).gradient)(model, batch, step)[0]
        for one in (EXACT_ADJOINT, EquilibriumPropagation(1e-4))
    ]
    for exact, estimate in zip(*map(jax.tree.leaves, both), strict=True):
        difference = np.linalg.norm(estimate - exact)
        assert difference < 1e-4 * np.linalg.norm(exact)


@NETWORKS
def test_the_energy_never_rises(network):
    model = network()
    batch = examples(model)

    @jax.jit
    @jax.vmap
    def energies(image, known, filled):
        problem = Problem(model.condition({"visible": PartialClamp(image, known)}), Coloured())
        start = problem.restrict({**problem.model.zeros(jnp.float64), "visible": filled})
        sweep = lambda states, _: (problem.image(states), problem.update.energy(problem.model, states)[0])
        return jax.lax.scan(sweep, start, None, length=50)[1]

    trace = np.asarray(energies(batch.images, batch.known, batch.filled))
    assert (np.diff(trace, axis=1) <= 1e-12).all()
    assert (trace[:, 0] > trace[:, -1]).all()


@pytest.mark.slow
def test_a_run_that_goes_on_has_the_same_weights_and_completes_from_every_start(tmp_path):
    job = CompletionJob(RECIPE, dataset())
    whole, metrics = train(job, tmp_path / "whole")
    train(job, tmp_path / "parts", stop_after=1)
    resumed, _ = train(job, tmp_path / "parts", resume=True)
    assert eqx.tree_equal(whole, resumed)
    errors = [row.error_per_pixel for row in metrics]
    assert np.mean(errors[-10:]) < np.mean(errors[:10])
    result = run_and_store(job, tmp_path / "parts")
    assert eqx.tree_equal(load_model(tmp_path / "parts"), whole)
    for starts in result["completion"].values():
        errors = [row["error"] for row in starts.values()]
        assert max(errors) < 1.01 * min(errors)
        assert all(row["converged"] == 1 for row in starts.values())


def test_a_mixture_completes_an_image_by_its_cluster():
    """Two images and their noise: what is known of one decides the rest."""
    rng = np.random.default_rng(0)
    pair = np.stack([np.resize([0.2, 0.8], PIXELS), np.resize([0.9, 0.8, 0.1], PIXELS)])
    clusters = np.clip(pair.repeat(50, axis=0) + 0.02 * rng.normal(size=(100, PIXELS)), 0, 1).astype(
        np.float32
    )
    model = FromMixture(2, ridge=0.01, temperature=1.0, shrinkage=1.0)(clusters, 8, key=jr.key(0))
    known = np.arange(PIXELS) < 6
    result = evaluate_completion(model, pair.astype(np.float32), known, np.full(PIXELS, 0.5))
    np.testing.assert_allclose(result.completed, pair, atol=0.02)


@pytest.mark.slow
def test_errors_are_those_of_the_missing_pixels_of_each_image():
    model, test_images = network(), images(7, 4)
    known = np.random.default_rng(0).uniform(size=test_images.shape) > 0.4
    results = [
        evaluate_completion(model, test_images, known, np.full(PIXELS, 0.5), chunk=chunk) for chunk in (3, 50)
    ]
    completed = np.asarray(results[0].completed)
    np.testing.assert_array_equal(completed[known], test_images[known])
    np.testing.assert_allclose(results[0].errors, np.sum((completed - test_images) ** 2, axis=1), rtol=1e-5)
    np.testing.assert_allclose(results[0].errors, results[1].errors, rtol=1e-4)
    summary = results[0].summary()
    np.testing.assert_allclose(
        summary["error_per_pixel"], np.sum(results[0].errors) / np.sum(~known), rtol=1e-5
    )


def test_settings_are_written_and_read():
    masks = Mixture((ScatteredPixels(0.3, 0.3), Half(), Block(0.2, 0.4)), (1.0, 2.0, 1.0))
    recipe = dataclasses.replace(RECIPE, masks=masks, gradient=EquilibriumPropagation(0.1))
    assert completion_from_config(recipe.config()) == recipe
    from_mixture = dataclasses.replace(recipe, initialisation=FromMixture(3, temperature=2.0))
    assert completion_from_config(from_mixture.config()) == from_mixture
    guess = FixedGuess(np.arange(PIXELS) / PIXELS)
    assert guess.draw(jr.key(0), SHAPE).shape == SHAPE
