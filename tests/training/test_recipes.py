"""Recipes: written and read back the same, those of the papers as they are, and what cannot be is refused."""

import dataclasses
import json

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from hopfax import CHN
from hopfax.costs import CrossEntropy, SquaredError, StateSquaredError
from hopfax.gradients import Centred, EquilibriumPropagation, Implicit, RecurrentBackprop
from hopfax.lagrangians import Identity, ReLU, ScaledLagrangian, Tanh
from hopfax.training import recipes
from hopfax.training.architecture import CONV_BLOCKS, Architecture, conv_layers
from hopfax.training.optimisers import Adam, CosineDecay, LinearDecay, Madam, Schedule
from hopfax.training.recipes import (
    SETTINGS,
    Recipe,
    from_config,
    goemaere2023,
    goemaere2024,
    goemaere_ep,
    low_feedback,
)

PAPER = goemaere2024(model="HAM-EO").config()
OURS = Recipe(
    layers=(4, 3, 3, 2),
    architecture=Architecture(
        input=Identity(), hidden=ReLU(), output=Identity(), weight_scale=1.5, feedback=0.2
    ),
    cost=CrossEntropy(),
    smoothing=0.1,
    optimiser=Adam(weight_decay=0.1),
    decay=CosineDecay(warmup=0.5),
    rtol=1e-3,
    gradient=EquilibriumPropagation(0.02, Centred()),
)


@pytest.mark.parametrize(
    "recipe",
    [goemaere2023(), goemaere2024((4, 3, 3, 2)), goemaere_ep(), low_feedback(), OURS]
    + [
        dataclasses.replace(goemaere2023(), gradient=gradient)
        for gradient in (Implicit(), RecurrentBackprop(3, 1e-3))
    ],
)
def test_a_recipe_comes_back_from_json_the_same(recipe):
    again = from_config(json.loads(json.dumps(recipe.config())))
    assert again == recipe
    assert again.config() == recipe.config()


@pytest.mark.parametrize(
    "change", [{"optimiser": {"kind": "Sorcery"}}, {"optimiser": {"kind": "Adam", "speed": 1}}, {"new": 1}]
)
def test_settings_that_are_no_recipe_are_refused(change):
    with pytest.raises(ValueError, match="Sorcery|speed|new"):
        from_config({**PAPER, **change})


def test_only_known_kinds_are_written():
    assert SETTINGS.from_dict(SETTINGS.to_dict(Tanh(2.0))) == Tanh(2.0)
    with pytest.raises(ValueError, match="known"):
        SETTINGS.to_dict(Tanh(jnp.asarray(2.0)))


def test_the_network_is_that_of_the_architecture():
    plain, ours = dataclasses.replace(OURS, architecture=Architecture()).network(), OURS.network()
    assert [type(ours.layers[name].lagrangian) for name in ours.order] == [
        ScaledLagrangian,
        ScaledLagrangian,
        ScaledLagrangian,
        Identity,
    ]
    np.testing.assert_allclose(
        ours.synapses["input-hidden1"].synapse.weight, 1.5 * plain.synapses["input-hidden1"].weight, rtol=1e-6
    )


def test_ep_is_the_papers_recipe_with_a_linear_output_on_the_same_loss():
    for layers, papers in (((784, 512, 10), goemaere2023), ((784, 5, 5, 10), goemaere2024)):
        recipe, plain = goemaere_ep(layers), papers(layers)
        assert recipe.cost == SquaredError()
        assert recipe.architecture.output == Identity()
        restored = dataclasses.replace(
            recipe, cost=StateSquaredError(), gradient=None, architecture=plain.architecture
        )
        assert restored == plain


def test_a_cost_of_the_state_cannot_be_nudged():
    with pytest.raises(ValueError, match="recipe `goemaere_ep`"):
        dataclasses.replace(goemaere2023(), gradient=EquilibriumPropagation())


def test_a_cosine_rises_to_the_rate_and_falls_to_its_fraction():
    rate = Schedule(0.1, 0.01, epochs=5, batches=10, decay=CosineDecay(warmup=1.0))
    rates = np.array([rate(step) for step in range(51)])
    np.testing.assert_allclose(rates[:10], 0.01 * np.arange(1, 11), rtol=1e-5)
    assert np.all(np.diff(rates[10:]) < 0)
    np.testing.assert_allclose(rates[[30, 50]], [0.1 * 0.505, 0.001], rtol=1e-4)


def test_adam_takes_its_share_off_matrices_and_not_off_biases():
    optimiser = Adam(weight_decay=0.5).transformation(Schedule(0.1, 1.0, 1, 1))
    weights = {"matrix": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    zero = {"matrix": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    updates, _ = optimiser.update(zero, optimiser.init(weights), weights)
    new = optax.apply_updates(weights, updates)
    np.testing.assert_allclose(new["matrix"], 0.95, rtol=1e-6)
    np.testing.assert_array_equal(new["bias"], 1)


def test_the_same_settings_make_the_same_optimiser():
    """So that a second run in one process compiles nothing again."""
    for rule in (Madam(), Adam()):
        assert rule.transformation(Schedule(0.1, 1.0, 1, 1)) is rule.transformation(
            Schedule(0.1, 1.0, 1, 1, LinearDecay())
        )


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (Architecture, {"feedback": 0.0}),
        (Architecture, {"weight_scale": 0.0}),
        (Architecture, {"bias_std": -1.0}),
        (Adam, {"weight_decay": -1.0}),
        (Madam, {"gradient_bound": 0.0}),
        (CosineDecay, {"warmup": -1.0}),
        (goemaere2023, {"smoothing": 1.0}),
        (goemaere2023, {"rtol": 0.0}),
    ],
)
def test_settings_that_cannot_be_are_refused(make, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(goemaere2023(), **wrong) if make is goemaere2023 else make(**wrong)


def test_every_recipe_has_a_name_at_the_command_line():
    from hopfax.apps.cli.choices import RecipeName

    assert all(callable(getattr(recipes, name)) for name in RecipeName)


@pytest.mark.parametrize(("model", "steps"), [("CHN", (80, 16)), ("CHN-EO", (40, 8))])
def test_continuous_networks_are_trained_by_name_and_damped_ones_take_twice_the_steps(model, steps):
    recipe = goemaere2024((64, 6, 10), model)
    assert (recipe.forward_steps, recipe.backward_steps) == steps
    assert isinstance(recipe.network(), CHN)


def test_little_feedback_is_for_hams():
    with pytest.raises(ValueError, match="use a HAM"):
        low_feedback((64, 6, 10), model="CHN-EO")


def test_the_named_convolutional_networks_have_the_published_shapes():
    """Of three convolutions of stride 2, and of VGG5, whose last maps are of one pixel."""
    shapes = {
        "conv": [(32, 32, 3), (16, 16, 32), (8, 8, 64), (10,)],
        "conv_pool": [(32, 32, 3), (16, 16, 32), (8, 8, 64), (10,)],
        "conv3": [(32, 32, 3), (16, 16, 32), (8, 8, 64), (4, 4, 128), (10,)],
        "vgg5": [(32, 32, 3), (16, 16, 128), (8, 8, 256), (4, 4, 512), (1, 1, 512), (10,)],
    }
    assert set(shapes) == set(CONV_BLOCKS)
    for name, expected in shapes.items():
        network = eqx.filter_eval_shape(recipes.conv(conv_layers((32, 32, 3), 10, name)).network)
        assert [layer.shape for layer in network.layers.values()] == expected
    with pytest.raises(ValueError, match="'vgg6'.*vgg5"):
        conv_layers((32, 32, 3), 10, "vgg6")
