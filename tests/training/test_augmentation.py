"""Augmentations: which images they make and how often, and that a run with them goes on exactly."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from hopfax import load_model, relax, save_model
from hopfax.costs import SquaredError
from hopfax.data import Dataset, digits
from hopfax.lagrangians import Identity, StandardisedInput
from hopfax.networks import ConvBlock, convolutional
from hopfax.papers import paper_method
from hopfax.training import (
    Classification,
    ClassifierJob,
    Compose,
    HorizontalFlip,
    RandomCrop,
    Trainer,
    TrainState,
    conv_layers,
    train,
    train_chunks,
)
from hopfax.training.augmentation import augment_batch
from hopfax.training.recipes import conv, from_config, standardised
from hopfax.training.trainer import draw

COLOUR, GREY = np.arange(36.0).reshape(3, 4, 3) + 1, np.arange(12.0).reshape(3, 4) + 1
CROP_FLIP = Compose((RandomCrop(1), HorizontalFlip()))


def drawn(augmentation, image, count=400):
    """The image, changed with so many keys."""
    change = jax.jit(jax.vmap(lambda key: augmentation(jnp.asarray(image), key=key)))
    return np.asarray(change(jr.split(jr.key(0), count)))


def shifts(image, padding):
    """All windows of the padded image, by NumPy."""
    height, width = image.shape[:2]
    padded = np.pad(image, [(padding, padding)] * 2 + [(0, 0)] * (image.ndim - 2))
    steps = range(2 * padding + 1)
    return [padded[i : i + height, j : j + width] for i in steps for j in steps]


@pytest.mark.parametrize("image", [COLOUR, GREY])
@pytest.mark.parametrize("padding", [1, 2])
def test_crops_are_all_windows_of_the_padded_image_equally_often(image, padding):
    windows = np.stack(shifts(image, padding))
    crops = drawn(RandomCrop(padding), image)
    counts = [int((crops == window).all(axis=tuple(range(1, crops.ndim))).sum()) for window in windows]
    assert sum(counts) == len(crops)
    expected = len(crops) / len(windows)
    assert np.abs(np.array(counts) - expected).max() < 5 * np.sqrt(expected)


@pytest.mark.parametrize("image", [COLOUR, GREY])
def test_half_of_the_flips_are_the_mirror_image(image):
    flipped = (drawn(HorizontalFlip(), image) == image[:, ::-1]).all(axis=tuple(range(1, image.ndim + 1)))
    kept = (drawn(HorizontalFlip(), image) == image).all(axis=tuple(range(1, image.ndim + 1)))
    assert (flipped ^ kept).all()
    assert abs(flipped.sum() - 200) < 5 * 10


def test_composed_augmentations_are_independent():
    possible = [w for image in (GREY, GREY[:, ::-1]) for w in shifts(image, 1)]
    results = drawn(CROP_FLIP, GREY)
    matches = np.array([[(one == other).all() for other in possible] for one in results])
    assert matches.any(axis=1).all()
    assert matches.any(axis=0).all()


def test_each_image_of_a_batch_has_a_key_of_its_own():
    flat = np.tile(GREY.reshape(1, -1), (50, 1))
    changed = np.asarray(augment_batch(CROP_FLIP, jnp.asarray(flat), GREY.shape, jr.key(3)))
    assert changed.shape == flat.shape
    assert len(np.unique(changed, axis=0)) > 5


@pytest.mark.parametrize("padding", [0, -1])
def test_a_padding_that_is_none_is_refused(padding):
    with pytest.raises(ValueError, match="padding"):
        RandomCrop(padding)


def tiny_model():
    return convolutional((4, 4, 2), [ConvBlock(2, 3)], 2, key=jr.key(0))


def trainer(augmentation=CROP_FLIP, **options):
    method = paper_method("HAM-EO", steps=8, backward=3)
    task = Classification(method, SquaredError(), augmentation=augmentation, **options)
    return Trainer(optax.sgd(0.05), task, batch_size=4)


IMAGES = np.asarray(jr.uniform(jr.key(3), (12, 32), jnp.float32))
LABELS = (IMAGES[:, 0] > IMAGES[:, 1]).astype(np.int32)


def begin(trainer):
    return TrainState.begin(tiny_model(), trainer, key=jr.key(1))


def numbers(state):
    return [np.asarray(x) for x in jax.tree.leaves(state.model)]


def test_going_on_from_the_middle_of_an_augmented_epoch_changes_nothing():
    both = trainer()
    *_, whole = train_chunks(both, begin(both), IMAGES, LABELS, epochs=2, per_epoch=1)
    whole = numbers(whole.state)
    middle = next(iter(train_chunks(both, begin(both), IMAGES, LABELS, epochs=2, per_epoch=3))).state.copy()
    assert int(middle.step) == 1
    *_, resumed = train_chunks(both, middle, IMAGES, LABELS, epochs=2, per_epoch=2)
    for x, y in zip(whole, numbers(resumed.state), strict=True):
        np.testing.assert_array_equal(x, y)


def test_images_are_drawn_anew_at_each_step_and_labels_stay():
    both = trainer()
    state = begin(both)
    later = dataclasses.replace(state, step=state.step + 1)
    examples = [draw(both, s, jnp.asarray(IMAGES), jnp.asarray(LABELS)) for s in (state, state, later)]
    np.testing.assert_array_equal(examples[0][0], examples[1][0])
    assert (np.asarray(examples[0][0]) != np.asarray(examples[2][0])).any()
    np.testing.assert_array_equal(examples[0][1], LABELS)


def test_without_augmentation_images_stay_as_they_are():
    plain = trainer(None)
    images, _ = draw(plain, begin(plain), jnp.asarray(IMAGES), jnp.asarray(LABELS))
    np.testing.assert_array_equal(images, IMAGES)


@pytest.mark.parametrize("shape", [(32,), (4, 4)])
def test_an_image_shape_that_does_not_fit_is_refused(shape):
    wrong = trainer(image_shape=shape)
    with pytest.raises(ValueError, match="image_shape"):
        next(iter(train_chunks(wrong, begin(wrong), IMAGES, LABELS, epochs=1)))


# Standardised images


def test_the_network_standardises_as_the_closed_form_does():
    """A network with this input, clamped at raw images, is the plain one clamped at standardised images."""
    mean, std = (0.4, 0.6), (0.3, 0.2)
    key, blocks = jr.key(0), [ConvBlock(2, 3)]
    neurons = lambda first: [first, *plain_neurons[1:]]
    plain_neurons = [layer.lagrangian for layer in tiny_model().layers.values()]
    raw = convolutional((4, 4, 2), blocks, 2, neurons(StandardisedInput(mean, std)), key=key)
    plain = convolutional((4, 4, 2), blocks, 2, neurons(Identity()), key=key)
    images = jr.uniform(jr.key(1), (3, 4, 4, 2), jnp.float32)
    scaled = jnp.asarray((np.asarray(images) - np.float32(mean)) / np.float32(std))
    states = [relax(model, {"input": x}).state["output"] for model, x in ((raw, images), (plain, scaled))]
    np.testing.assert_allclose(*states, rtol=1e-5, atol=1e-6)


def test_a_standardising_network_is_saved_and_read(tmp_path):
    neurons = [StandardisedInput((0.4, 0.6), 0.5), Identity(), Identity()]
    model = convolutional((4, 4, 2), [ConvBlock(2, 3)], 2, neurons, key=jr.key(0))
    save_model(model, tmp_path)
    assert load_model(tmp_path).layers["input"] == model.layers["input"]


def colour_set(count=40):
    images = np.asarray(jr.uniform(jr.key(5), (count, 8 * 8 * 3), jnp.float32))
    labels = np.arange(count, dtype=np.int32) % 10
    return Dataset("colours", images, labels, images[:5], labels[:5], image_shape=(8, 8, 3))


def test_mean_and_deviation_are_those_of_the_training_images():
    colours = colour_set()
    recipe = standardised(conv(conv_layers(colours.image_shape, 10)), colours)
    neurons = recipe.architecture.input
    pixels = colours.train_images.reshape(-1, 3)
    scaled = np.asarray(
        neurons.activation(jnp.asarray(colours.train_images.reshape(-1, 8, 8, 3), jnp.float64))
    )
    np.testing.assert_allclose(neurons.mean, pixels.mean(0), rtol=1e-4)
    np.testing.assert_allclose(scaled.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std((0, 1, 2)), 1, atol=1e-4)
    grey = standardised(conv((64, 5, 10)), digits()).architecture.input
    assert grey.mean == pytest.approx(digits().train_images.mean(), rel=1e-4)


def test_a_standardised_and_augmented_recipe_is_read_from_its_settings():
    colours = colour_set()
    recipe = standardised(conv(conv_layers(colours.image_shape, 10, "conv3")), colours)
    recipe = dataclasses.replace(recipe, augmentation=CROP_FLIP)
    assert from_config(json.loads(json.dumps(recipe.config()))) == recipe
    config = {name: value for name, value in conv((4, 2)).config().items() if name != "augmentation"}
    assert from_config(config) == conv((4, 2))  # settings of runs before there were any


def test_an_augmented_run_of_a_dense_network_takes_the_shape_of_the_data(tmp_path):
    some = digits()
    small = Dataset(
        "few",
        *(x[:64] for x in (some.train_images, some.train_labels)),
        some.test_images,
        some.test_labels,
        image_shape=(8, 8),
    )
    recipe = dataclasses.replace(conv((64, 5, 10)), epochs=1, batch_size=32, augmentation=RandomCrop(1))
    model, rows = train(ClassifierJob(recipe, small), tmp_path)
    assert len(rows) == 1
    assert model.layers["input"].shape == (64,)


def test_layers_of_another_image_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 8, 8\).*\(8, 8, 3\)"):
        ClassifierJob(conv(((3, 8, 8), ConvBlock(2, 3), 10)), colour_set())
