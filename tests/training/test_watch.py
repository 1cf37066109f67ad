"""Warnings of runs that do not learn: a rising loss, saturated layers; none on good runs."""

import dataclasses
import warnings

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import hopfax
from hopfax.costs import CrossEntropy, SquaredError
from hopfax.diagnostics import saturation
from hopfax.lagrangians import Identity, ReLU, Sigmoid, Softmax, Tanh
from hopfax.networks import chain
from hopfax.training import Classification, ClassifierJob, Trainer, TrainState, fit, train
from hopfax.training.chunk import Chunk
from hopfax.training.recipes import low_feedback
from hopfax.training.watch import CHUNKS, LossWatch, TrainingWarning

IMAGES = np.asarray(jr.uniform(jr.key(3), (32, 6), jnp.float32))
LABELS = (IMAGES[:, 0] > IMAGES[:, 1]).astype(np.int32)


def watch_of(losses):
    """What a watch says of a run of one epoch with these losses of its chunks."""
    trainer = Trainer(optax.sgd(0.1), Classification())
    sums = lambda total: dataclasses.replace(trainer.task.zero(), loss=jnp.asarray(total, float))
    watch, total = LossWatch(), 0.0
    for batch, loss in enumerate(losses, start=1):
        total += loss
        state = TrainState(None, None, jr.key(0), jnp.asarray(batch), sums(total))
        watch.update(Chunk(trainer, state, 1, batch, len(losses), 0.0, True))
    return watch


def good(final=0.05, count=100, noise=0.0):
    steps = np.arange(count)
    return (
        2.3 * np.exp(-steps / 10)
        + final
        + noise * np.random.Generator(np.random.Philox(0)).normal(size=count)
    )


@pytest.mark.parametrize("losses", [good(), good(0.0), good(1.0, noise=0.1), good(-5.0), np.full(100, 2.3)])
def test_a_loss_that_falls_or_stays_is_no_reason_to_warn(losses):
    assert not watch_of(losses).warned


def test_chunks_of_several_steps_are_means_of_their_steps():
    watch = watch_of([3.0, 2.0, 1.0])
    np.testing.assert_allclose(watch.losses, [3.0, 2.0, 1.0], rtol=1e-6)
    assert watch.falls
    assert not watch_of([3.0, 2.9]).falls


@pytest.mark.parametrize(
    "losses",
    [
        np.concatenate([good(count=60), np.full(CHUNKS, 2.0)]),  # learned, and lost it
        np.linspace(2.3, 10.0, 60),  # never learned
        np.concatenate([good(-50.0, count=60), np.full(CHUNKS, -20.0)]),
    ],
)
def test_a_loss_that_rises_and_stays_up_is_warned_of_once(losses):
    with pytest.warns(TrainingWarning, match=r"has risen.*learning rate.*neurons") as caught:
        watch = watch_of([*losses, *losses[-CHUNKS:]])
    assert len(caught) == 1
    assert watch.warned


def test_one_low_chunk_at_the_start_of_a_run_that_begins_trained_is_no_reason():
    assert not watch_of([0.16, *np.full(60, 0.24)]).warned


def test_a_short_excursion_is_not():
    assert not watch_of([*good(count=60), *np.full(CHUNKS - 1, 9.0), *good(count=60)[30:]]).warned


def test_saturation_is_the_fraction_of_neurons_without_slope():
    layers = {"a": hopfax.Layer(4, Tanh()), "b": hopfax.Layer(2, ReLU()), "c": hopfax.Layer(3, Identity())}
    layers |= {"d": hopfax.Layer(3, Softmax()), "e": hopfax.Layer(2, Sigmoid())}
    model = hopfax.connect(layers, [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")], key=jr.key(0))
    states = {"a": jnp.array([[0.0, 1.0, 20.0, -20.0]] * 5), "b": jnp.array([-1.0, 2.0]), "c": jnp.ones(3)}
    states |= {"d": 50 * jnp.ones(3), "e": jnp.array([30.0, -30.0])}
    fractions = saturation(model, states)
    assert {name: float(x) for name, x in fractions.items()} == {"a": 0.5, "b": 0.5, "e": 1.0}
    with pytest.raises(ValueError, match=r"layers \['z'\]"):
        saturation(model, {"z": jnp.ones(3)})


def epochs(model, rate, count, cost=SquaredError()):
    trainer = Trainer(optax.sgd(rate), Classification(hopfax.Method(), cost), batch_size=8)
    return list(fit(trainer, TrainState.begin(model, trainer, key=jr.key(1)), IMAGES, LABELS, epochs=count))


def test_a_network_whose_layers_all_saturate_is_warned_of_once():
    model = chain([6, 5, 2], key=jr.key(0))
    steep = hopfax.HAM(model.layers, [*(1e3 * synapse for synapse in model.synapses.values())])
    with pytest.warns(TrainingWarning, match=r"saturate.*hidden, output.*learning rate") as caught:
        epochs(steep, 1e-3, 3)
    assert len(caught) == 1


def test_a_good_run_is_silent(tmp_path):
    recipe = dataclasses.replace(low_feedback((64, 8, 10)), batch_size=100, epochs=2, learning_rate=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        epochs(chain([6, 5, 2], (Identity(), Sigmoid(), Identity()), key=jr.key(0)), 0.1, 3, CrossEntropy())
        train(ClassifierJob(recipe, hopfax.data.digits()), tmp_path / "run")
