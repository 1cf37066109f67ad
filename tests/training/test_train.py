"""Laws of training: what a step is, and that stopping, blocks and memory reuse change nothing."""

import dataclasses
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from hopfax import Method, chain, objective, relax
from hopfax.costs import StateSquaredError
from hopfax.data import Dataset
from hopfax.gradients import EquilibriumPropagation
from hopfax.papers import paper_method
from hopfax.training import (
    Classification,
    ClassifierJob,
    Diverged,
    Trainer,
    TrainState,
    evaluate,
    fit,
    make_step,
    train,
    train_chunks,
)
from hopfax.training import ep_checks as nudges
from hopfax.training.classifier import ClassificationMetrics
from hopfax.training.loop import first_failure
from hopfax.training.metrics import MetricsFile
from hopfax.training.recipes import Recipe, goemaere2023, goemaere2024, goemaere_ep

SIZES = (6, 5, 2)
METHOD = paper_method("HAM-EO", steps=20, backward=4)
TRAINER = Trainer(optax.adam(0.01), Classification(METHOD, StateSquaredError()), batch_size=4)
IMAGES = np.asarray(jr.uniform(jr.key(3), (18, 6), jnp.float32))
LABELS = (IMAGES[:, 0] > IMAGES[:, 1]).astype(np.int32)


def begin(trainer=TRAINER, seed=0):
    return TrainState.begin(chain(SIZES, key=jr.key(seed)), trainer, key=jr.key(seed + 1))


def leaves(state):
    data = lambda x: jr.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return [np.asarray(data(x)) for x in jax.tree.leaves(eqx.filter(state, eqx.is_array))]


def assert_identical(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def last(trainer=TRAINER, state=None, epochs=2):
    return list(fit(trainer, begin(trainer) if state is None else state, IMAGES, LABELS, epochs=epochs))[-1][
        0
    ]


def test_a_step_is_the_optimisers_update_by_the_gradient_of_the_mean_cost():
    state, images, labels = begin(), IMAGES[:4], LABELS[:4]

    def loss(model):
        return jnp.mean(
            objective(model, {"input": images}, StateSquaredError(), np.eye(2)[labels], method=METHOD)[0]
        )

    gradient = eqx.filter_grad(loss)(state.model)
    updates, _ = TRAINER.optimiser.update(
        gradient, state.optimiser_state, eqx.filter(state.model, eqx.is_array)
    )
    expected = eqx.apply_updates(state.model, updates)
    new = eqx.filter_jit(make_step(TRAINER))(state, jnp.asarray(images), jnp.asarray(labels))
    for x, y in zip(leaves(new.model), leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)
    assert int(new.step) == 1


def test_results_do_not_depend_on_the_chunks():
    *_, final = train_chunks(TRAINER, begin(), IMAGES, LABELS, epochs=2, per_epoch=3)
    assert_identical(final.state, last())


def test_the_loop_is_traced_once_for_all_epochs_and_a_resumed_run():
    traced = []

    def update(*arguments):
        traced.append(None)
        return TRAINER.optimiser.update(*arguments)

    counted = optax.GradientTransformation(TRAINER.optimiser.init, update)
    trainer = dataclasses.replace(TRAINER, optimiser=counted)
    state = last(trainer, epochs=2)
    relax(state.model, {"input": IMAGES}, method=METHOD)
    last(trainer, state, epochs=3)
    assert len(traced) == 1


def test_going_on_from_the_middle_of_an_epoch_changes_nothing():
    middle = next(iter(train_chunks(TRAINER, begin(), IMAGES, LABELS, epochs=2, per_epoch=3))).state.copy()
    assert 0 < int(middle.step) < 4
    assert_identical(last(state=middle), last())


def test_progress_says_loss_error_convergence_and_steps():
    chunk = next(iter(train_chunks(TRAINER, begin(), IMAGES, LABELS, epochs=1, per_epoch=1)))
    means, examples = chunk.means(), 16
    text = chunk.progress()
    numbers = [float(number) for number in re.findall(r"[\d.]+(?=[ %,])", text + ",")]
    expected = [means["loss"], 100 * (1 - means["train_accuracy"])]
    expected += [100 * (1 - means["did_not_converge"] / examples), means["mean_steps"]]
    np.testing.assert_allclose(numbers, expected, rtol=0.01, atol=0.06)
    assert re.sub(r"[\d.]+", "N", text) == "loss N, error N%, N% converged, N steps"


def test_fit_leaves_given_and_yielded_states_intact():
    state = begin()
    before = leaves(state)
    seen = [(epoch, leaves(epoch)) for epoch, _ in fit(TRAINER, state, IMAGES, LABELS, epochs=2)]
    for old, now in [(before, leaves(state)), *((then, leaves(epoch)) for epoch, then in seen)]:
        for x, y in zip(old, now, strict=True):
            np.testing.assert_array_equal(x, y)


def test_the_last_partial_batch_is_dropped():
    assert int(last(epochs=2).step) == 2 * (len(LABELS) // TRAINER.batch_size)


def test_only_shuffling_depends_on_the_key():
    plain = dataclasses.replace(TRAINER, shuffle=False)
    other = eqx.tree_at(lambda s: s.key, begin(), jr.key(99))
    assert_identical(last(plain, other).model, last(plain).model)
    with pytest.raises(AssertionError):
        assert_identical(last(TRAINER, other).model, last().model)


def test_training_learns_a_separable_rule():
    rows = [means for _, means in fit(TRAINER, begin(), IMAGES, LABELS, epochs=200)]
    assert rows[-1]["loss"] < rows[0]["loss"] / 3
    assert rows[-1]["train_accuracy"] == 1
    assert len(rows) == 200


def test_weights_that_are_not_finite_are_noticed():
    state = eqx.tree_at(lambda s: s.model.synapses["output"].bias, begin(), jnp.full(2, jnp.nan, jnp.float32))
    assert not next(iter(train_chunks(TRAINER, state, IMAGES, LABELS, epochs=1))).finite


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (IMAGES[:, :3], LABELS, "images"),
        (IMAGES, LABELS[:5], "labels"),
        (IMAGES[:3], LABELS[:3], "batch_size"),
        (IMAGES, LABELS + 1, "labels"),
    ],
)
def test_data_that_do_not_fit_are_refused(images, labels, match):
    with pytest.raises(ValueError, match=match):
        next(iter(fit(TRAINER, begin(), images, labels, epochs=1)))


def test_an_unknown_layer_is_refused():
    trainer = dataclasses.replace(TRAINER, task=Classification(METHOD, clamp="nowhere"))
    with pytest.raises(ValueError, match="nowhere"):
        next(iter(fit(trainer, begin(), IMAGES, LABELS, epochs=1)))


def test_evaluation_agrees_with_relaxing_whatever_the_chunk():
    model = begin().model
    evaluation = evaluate(model, IMAGES, LABELS, method=METHOD, steps=20)
    scores = relax(
        model, {"input": IMAGES}, method=Method(update=METHOD.update, solver=METHOD.solver, rtol=1e-6)
    ).state["output"]
    np.testing.assert_array_equal(evaluation.predictions, jnp.argmax(scores, axis=-1))
    assert evaluation.accuracy == np.mean(np.asarray(evaluation.predictions) == LABELS)
    chunked = evaluate(model, IMAGES, LABELS, method=METHOD, steps=20, chunk=7)
    np.testing.assert_array_equal(chunked.predictions, evaluation.predictions)
    np.testing.assert_array_equal(chunked.iterations, evaluation.iterations)
    assert evaluation.trace.shape == (len(LABELS), 19)


def test_evaluation_counts_those_that_never_converge():
    evaluation = evaluate(begin().model, IMAGES, LABELS, method=METHOD, steps=20)
    never = dataclasses.replace(evaluation, trace=jnp.ones_like(evaluation.trace))
    assert (never.did_not_converge, never.iterations_mean, never.iterations_std) == (len(LABELS), 19, 0)


@pytest.mark.parametrize(
    ("images", "labels", "steps"), [(IMAGES[:, 1:], LABELS, 9), (IMAGES, LABELS[1:], 9), (IMAGES, LABELS, 2)]
)
def test_evaluation_refuses_what_does_not_fit(images, labels, steps):
    with pytest.raises(ValueError, match="images|labels|steps"):
        evaluate(begin().model, images, labels, method=METHOD, steps=steps)


def test_the_learning_rate_falls_linearly_per_epoch_to_its_last_fraction():
    recipe = goemaere2024((4, 3, 3, 3, 2))
    rate = recipe.schedule(batches=7)
    rates = [float(rate(7 * epoch + 3)) for epoch in range(recipe.epochs)]
    np.testing.assert_allclose(rates, np.linspace(0.005, 0.0005, 10), rtol=1e-5)
    assert float(rate(0)) == float(rate(6)) > float(rate(7))


def test_the_recipes_of_the_papers():
    constant = goemaere2023().schedule(937)
    assert float(constant(0)) == float(constant(9369)) == pytest.approx(0.01)
    assert [goemaere2024(layers).forward_steps for layers in [(4, 3, 2), (4, 3, 3, 3, 2), (4,) * 7]] == [
        40,
        80,
        120,
    ]
    assert [goemaere2024(layers).backward_steps for layers in [(4, 3, 2), (4, 3, 3, 3, 2), (4,) * 7]] == [
        8,
        16,
        24,
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"layers": (4,)},
        {"learning_rate": -1.0},
        {"model": "HUM"},
        {"validation": -1},
        {"seed": -1},
    ],
)
def test_a_recipe_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recipe(**{"layers": SIZES, **wrong})


DATASET = Dataset("toy", IMAGES, LABELS, IMAGES[:5], LABELS[:5], 2, image_shape=(2, 3))
RECIPE = Recipe(layers=SIZES, epochs=2, batch_size=4, forward_steps=20, backward_steps=4)


def test_a_run_leaves_one_row_of_metrics_an_epoch(tmp_path):
    model, rows = train(ClassifierJob(dataclasses.replace(RECIPE, validation=4), DATASET), tmp_path)
    assert MetricsFile(tmp_path / "metrics.jsonl", ClassificationMetrics).read() == rows
    assert [row.epoch for row in rows] == [1, 2]
    assert all(row.validation_accuracy is not None for row in rows)
    again, same = train(
        ClassifierJob(dataclasses.replace(RECIPE, validation=4), DATASET), tmp_path, resume=True
    )
    assert same == rows
    assert_identical(again, model)


def test_an_interrupted_run_ends_as_one_that_was_not(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    model, rows = train(ClassifierJob(RECIPE, DATASET), whole)

    def interrupt(chunk):
        if (chunk.epoch, chunk.batch) == (2, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(ClassifierJob(RECIPE, DATASET), parts, checkpoint_chunks=1, callback=interrupt)
    resumed, later = train(ClassifierJob(RECIPE, DATASET), parts, resume=True)
    assert_identical(resumed, model)
    timeless = [dataclasses.replace(row, seconds=0.0) for row in rows]
    assert [dataclasses.replace(row, seconds=0.0) for row in later] == timeless
    assert MetricsFile(parts / "metrics.jsonl", ClassificationMetrics).read() == later


def test_a_run_that_ends_early_keeps_its_schedule_and_can_be_gone_on_with(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    recipe = dataclasses.replace(RECIPE, final_learning_rate_fraction=0.1)
    model, _ = train(ClassifierJob(recipe, DATASET), whole)
    _, rows = train(ClassifierJob(recipe, DATASET), parts, stop_after=1)
    assert [row.epoch for row in rows] == [1]
    assert_identical(train(ClassifierJob(recipe, DATASET), parts, resume=True)[0], model)
    for wrong in (0, 3):
        with pytest.raises(ValueError, match=f"`stop_after={wrong}` must lie between 1 and the 2"):
            train(ClassifierJob(recipe, DATASET), parts, resume=True, stop_after=wrong)


def test_a_folder_in_use_and_another_recipe_are_refused(tmp_path):
    train(ClassifierJob(dataclasses.replace(RECIPE, epochs=1), DATASET), tmp_path)
    with pytest.raises(ValueError, match="not empty"):
        train(ClassifierJob(RECIPE, DATASET), tmp_path)
    with pytest.raises(ValueError, match=r"learning_rate was 0\.01, is 0\.02"):
        train(
            ClassifierJob(dataclasses.replace(RECIPE, epochs=1, learning_rate=0.02), DATASET),
            tmp_path,
            resume=True,
        )


@pytest.mark.filterwarnings("ignore:overflow")  # of the rate, which is infinite in float32
def test_a_diverged_run_keeps_the_last_good_checkpoint(tmp_path):
    wild = dataclasses.replace(RECIPE, learning_rate=1e39)
    for resume in (False, True):  # the second finds a checkpoint, and it is finite
        with pytest.raises(Diverged, match=r"epoch 1, batch 1 .*synapse 'hidden'.*checkpoint"):
            train(ClassifierJob(wild, DATASET), tmp_path, resume=resume)


def test_the_step_and_the_weights_that_failed_first_are_found():
    """After the third step one matrix is not finite; after the fourth everything would be."""

    def corrupt(updates, state, params=None):
        nan = lambda w: jnp.where(state == 2, jnp.nan, w)
        return eqx.tree_at(lambda m: m.synapses["hidden-output"].weight, updates, replace_fn=nan), state + 1

    corruption = optax.GradientTransformation(lambda weights: jnp.zeros((), jnp.int32), corrupt)
    trainer = dataclasses.replace(TRAINER, optimiser=optax.chain(optax.adam(0.01), corruption))
    chunk, what = first_failure(trainer, begin(trainer), IMAGES, LABELS, epochs=1)
    assert (chunk.epoch, chunk.batch) == (1, 3)
    assert what == "weights of synapse 'hidden-output'"
    assert first_failure(TRAINER, begin(), IMAGES, LABELS, epochs=1) is None


@pytest.mark.slow
def test_equilibrium_propagation_is_watched(tmp_path, monkeypatch):
    monkeypatch.setattr(nudges, "LEAST_COSINE", 2.0)  # nothing is good enough
    gradient = EquilibriumPropagation(0.1)  # too far for this network, but still a descent
    recipe = dataclasses.replace(goemaere_ep(SIZES, "HAM-EO"), epochs=1, batch_size=4, gradient=gradient)
    with pytest.warns(UserWarning, match="critical nudge|has cosine") as warned:
        _, rows = train(ClassifierJob(recipe, DATASET), tmp_path)
    messages = [str(warning.message) for warning in warned]
    for part in ("above a tenth of the critical nudge", "has cosine"):
        assert any(part in message for message in messages)
    assert 0.99 < rows[0].gradient_cosine < 1
    assert 0 <= rows[0].gradient_flagged <= 16  # examples seen


def test_smoothing_gives_every_class_its_share():
    targets = Classification(METHOD, smoothing=0.2).targets(begin().model, jnp.array([1, 0]))
    np.testing.assert_allclose(targets, [[0.1, 0.9], [0.9, 0.1]], rtol=1e-6)


def test_layers_that_do_not_fit_the_data_are_refused(tmp_path):
    with pytest.raises(ValueError, match="6 pixels and end with 2 classes"):
        train(ClassifierJob(dataclasses.replace(RECIPE, layers=(7, 5, 2)), DATASET), tmp_path)
    with pytest.raises(ValueError, match="batch_size"):
        train(ClassifierJob(dataclasses.replace(RECIPE, batch_size=64), DATASET), tmp_path)
