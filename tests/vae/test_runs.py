"""Runs: learning, exact resume, what stops them, and completion of damaged images."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from hopfax.apps.reproduce.vae import ROWS
from hopfax.data import Dataset
from hopfax.training import Diverged, train
from hopfax.vae import EPGradient, VAEConfig
from hopfax.vae.build import build_optimiser, build_vae
from hopfax.vae.completion import fill_in, inpaint, relax_pixels
from hopfax.vae.diagnosis import nonfinite_layer
from hopfax.vae.initialise import INITIAL_LOG_VARIANCE
from hopfax.vae.model import parameters
from hopfax.vae.run import VAEJob, load_vae, save_vae, trained_on

SHAPE, EXAMPLES = (2, 3), 40
CONFIG = VAEConfig(
    model="tied",
    pixels=6,
    hidden=4,
    latents=2,
    batch_size=10,
    epochs=20,
    learning_rate=0.05,
    final_learning_rate_fraction=1.0,
)
FORWARD = dataclasses.replace(CONFIG, model="feedforward")


@pytest.fixture(scope="module")
def stripes():
    """Images of one of two columns patterns, and noise."""
    labels = np.arange(EXAMPLES, dtype=np.int32) % 2
    clean = np.where(labels[:, None] == np.arange(6) % 2, 0.8, 0.2)
    images = (clean + np.asarray(jr.uniform(jr.key(0), clean.shape, minval=-0.15, maxval=0.15))).astype(
        np.float32
    )
    return Dataset("stripes", images, labels, images[:10], labels[:10], classes=2, image_shape=SHAPE)


@pytest.fixture(scope="module")
def run(stripes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tied")
    vae, rows = train(VAEJob(CONFIG, stripes), folder)
    save_vae(vae, CONFIG, stripes.name, folder)
    return folder, vae, rows


def test_a_run_learns_and_is_found_again(run):
    folder, vae, rows = run
    assert rows[-1].loss < 0.8 * rows[0].loss
    assert set(rows[0].did_not_converge) == {
        "free encoder",
        "free decoder",
        "nudged decoder",
        "nudged encoder",
    }
    loaded, config = load_vae(folder)
    assert eqx.tree_equal(loaded, vae)
    assert config == CONFIG
    assert trained_on(folder) == "stripes"


@pytest.mark.slow
def test_the_solver_of_the_settings_decides_the_steps_and_not_the_equilibria(stripes):
    images = jnp.asarray(stripes.train_images[:5])
    solve = lambda vae: jax.vmap(vae.relax_encoder)(images)
    picard, anderson = (
        solve(build_vae(dataclasses.replace(CONFIG, anderson=anderson, rtol=1e-6)))
        for anderson in (False, True)
    )
    assert all(picard.converged)
    assert all(anderson.converged)
    assert sum(anderson.steps) < sum(picard.steps)
    for name, activation in picard.activation.items():
        np.testing.assert_allclose(anderson.activation[name], activation, atol=1e-5)


def test_synapses_of_the_visible_layer_have_a_rate_of_their_own():
    vae = build_vae(CONFIG)
    weights = eqx.filter(vae, eqx.is_inexact_array)
    step = lambda rate: build_optimiser(dataclasses.replace(CONFIG, visible_rate_factor=rate), 10)
    moved = lambda optimiser: optimiser.update(weights, optimiser.init(weights), weights)[0]
    plain, slower = (moved(step(rate)).networks.network.synapses for rate in (1.0, 0.25))
    for name in plain:
        factor = 0.25 if "visible" in name else 1.0
        assert eqx.tree_equal(slower[name], jax.tree.map(lambda x, f=factor: f * x, plain[name]), rtol=1e-6)


def test_an_orthogonal_step_moves_all_directions_of_a_matrix_alike():
    """Adam's step has one large singular value where the gradient has one; Muon's are within a factor of two."""
    gradient = eqx.filter(build_vae(CONFIG), eqx.is_inexact_array)
    steep = jax.tree.map(
        lambda x: x + 3 * jnp.outer(jnp.arange(len(x)), x[0]) if x.ndim == 2 else x, gradient
    )

    def spread(iterations):
        optimiser = build_optimiser(dataclasses.replace(CONFIG, muon_iterations=iterations), 10)
        moved = optimiser.update(steep, optimiser.init(steep), steep)[0]
        weights = [x for x in jax.tree.leaves(moved) if x.ndim == 2]
        values = [jnp.linalg.svd(weight, compute_uv=False) for weight in weights]
        return [float(singular[0] / singular[-1]) for singular in values]

    assert max(spread(12)) < 2.5 < min(spread(0))


def test_a_gradient_longer_than_the_bound_is_cut_to_it():
    gradient = eqx.filter(build_vae(CONFIG), eqx.is_inexact_array)
    bound = build_optimiser(dataclasses.replace(CONFIG, max_gradient_norm=1e-3), 10)
    _, state = bound.update(gradient, bound.init(gradient), gradient)
    first_moment = optax.tree.get(state, "mu")
    assert float(optax.tree.norm(first_moment)) == pytest.approx(1e-4, rel=1e-3)  # Adam's 1 - 0.9 of it


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_perceptrons_have_hidden_layers_of_equal_size_each_way(layers, tmp_path):
    """Neurons of 6 - 4 - ... - 4 - 2 (fixed variance) and back: each layer has its weights and a bias per neuron."""
    config = dataclasses.replace(FORWARD, hidden_layers=layers)
    vae = build_vae(config)
    between = (layers - 1) * (4 * 4 + 4)
    assert parameters(vae) == 2 * between + (6 * 4 + 4 + 4 * 2 + 2) + (2 * 4 + 4 + 4 * 6 + 6)
    save_vae(vae, config, "stripes", tmp_path)
    assert eqx.tree_equal(load_vae(tmp_path)[0], vae)


class Stop(Exception):
    pass


def test_a_run_that_is_stopped_ends_with_the_same_bits(stripes, run, tmp_path):
    count = itertools.count()

    def interrupt(chunk):
        if next(count) == 6:  # in the second epoch
            raise Stop

    with pytest.raises(Stop):
        train(VAEJob(CONFIG, stripes), tmp_path, checkpoint_chunks=3, callback=interrupt)
    with pytest.raises(ValueError, match="--resume"):
        train(VAEJob(CONFIG, stripes), tmp_path)
    with pytest.raises(ValueError, match="epochs was 20, is 4"):
        train(VAEJob(dataclasses.replace(CONFIG, epochs=4), stripes), tmp_path, resume=True)
    vae, rows = train(VAEJob(CONFIG, stripes), tmp_path, resume=True)
    assert eqx.tree_equal(vae, run[1])
    strip = lambda rows: [dataclasses.replace(row, seconds=0.0) for row in rows]
    assert strip(rows) == strip(run[2])


def test_a_run_that_is_not_finite_stops_at_the_last_good_state(stripes, tmp_path):
    config = dataclasses.replace(FORWARD, learning_rate=1e38, epochs=3)
    with pytest.raises(Diverged, match=r"the (gradient|update) of .* NaN or infinite.*lower the learning"):
        train(VAEJob(config, stripes), tmp_path)


def test_the_layer_where_a_number_stopped_being_finite_is_named(run, stripes):
    vae, images, noise = run[1], jnp.asarray(stripes.train_images[:3]), jnp.zeros((3, 2), jnp.float32)
    poison = lambda name: eqx.tree_at(
        lambda v: v.networks.network.synapses[name].bias, vae, replace_fn=lambda b: b * jnp.nan
    )
    where = lambda vae: nonfinite_layer(vae, EPGradient(), images, noise)
    assert where(poison("latent")) == "layer 'latent' of the encoder"
    assert where(poison("hidden")) == "layer 'hidden' of the encoder"
    assert where(poison("visible")) == "layer 'visible' of the decoder"


def test_a_beta_near_the_critical_one_is_warned_of(run, stripes):
    job = VAEJob(dataclasses.replace(CONFIG, beta=0.9), stripes)
    with pytest.warns(UserWarning, match="above a tenth of the critical nudge"):
        job.check_start(job.trainer(), run[1])


@pytest.mark.slow
def test_completion_keeps_what_is_known_and_is_better_than_the_guess(run, stripes):
    vae, images, guess = run[1], stripes.test_images, np.full(6, 0.5, np.float32)
    known = np.array([True, True, True, True, False, False])
    error = lambda images: np.sum(np.square(np.asarray(images) - stripes.test_images))
    completion = inpaint(vae, images, known, guess)
    relaxed, converged = relax_pixels(vae, images, known, guess)
    assert bool(completion.converged.all())
    assert bool(converged.all())
    for completed in (completion.images, relaxed):
        assert np.array_equal(completed[:, known], images[:, known])
        assert error(completed) < 0.5 * error(np.where(known, images, guess))
    assert np.array_equal(fill_in(vae, images, known, guess, rounds=0)[:, ~known], np.full((10, 2), 0.5))


def test_what_a_feed_forward_vae_cannot_do_is_refused(stripes):
    vae = build_vae(FORWARD)
    with pytest.raises(ValueError, match="use `inpaint`"):
        relax_pixels(vae, stripes.test_images, np.ones(6, bool), np.ones(6))
    with pytest.raises(ValueError, match="use `ImplicitGradient"):
        EPGradient()(vae, jnp.zeros((2, 6)), jnp.zeros((2, 2)), 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "x"}, "choose one of"),
        ({"hidden": 0}, "at least 1"),
        ({"beta": 0.0}, "beta=0.0.* must be in .0, 1."),
        ({"kl_weight": -1.0}, "kl_weight=-1.0.* 0 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)


def test_a_centred_start_encodes_the_mean_image_as_zero():
    config = dataclasses.replace(
        CONFIG, bernoulli=True, sigma=None, hidden_centre=None, hidden_slope=1.0, latent_gain=0.3
    )
    mean = jnp.linspace(0.1, 0.9, 6, dtype=jnp.float32)
    posterior, converged = eqx.filter_jit(lambda vae: vae.encode(mean))(build_vae(config).start_at_mean(mean))
    assert bool(converged)
    assert np.allclose(posterior.mean, 0, atol=2e-3)  # the relaxing stops there
    assert np.allclose(posterior.log_variance, INITIAL_LOG_VARIANCE, atol=2e-3)
    with pytest.raises(ValueError, match="`OffsetBernoulli` likelihood"):
        build_vae(CONFIG).start_at_mean(mean)


def test_the_papers_rows_are_models_that_can_be_made():
    """Two networks have twice the parameters of one."""
    from hopfax.vae import parameters

    count = {
        name: parameters(build_vae(dataclasses.replace(CONFIG, model=row.model)))
        for name, row in ROWS.items()
    }
    assert count["H-VAE"] == 2 * count["TH-VAE"]
    assert count["DH-VAE"] == 2 * count["TDH-VAE"]
    assert count["F-VAE"] == count["H-VAE"] - 6 - 2  # no bias on the clamped ends
