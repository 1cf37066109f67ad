"""Building a HAM: errors and names, and the derivatives of its energy."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import ZOO, clamped, close, sigmoid_chain

from hopfax import HAM, Bias, Dense, Interaction, Layer, PartialClamp, chain, connect
from hopfax.gradients.contrast import energy_at
from hopfax.lagrangians import Identity, Sigmoid, Softmax, Tanh

KEY = jr.key(0)
LAYERS = {name: Layer(2, Tanh()) for name in "abc"}
JOINED = [Dense(("a", "b"), jnp.eye(2)), Dense(("b", "c"), jnp.eye(2))]


def states_of(model, seed=1):
    keys = jr.split(jr.key(seed), len(model.order))
    return {
        n: jr.normal(k, model.layers[n].shape, jnp.float64) for n, k in zip(model.order, keys, strict=True)
    }


@pytest.mark.parametrize(
    ("synapses", "message"),
    [
        ([*JOINED, Dense(("a", "d"), jnp.eye(2))], "synapse 'a-d' names an unknown layer 'd'"),
        ([*JOINED, Dense(("a", "a"), jnp.eye(2))], "synapse 'a-a' joins a layer to itself"),
        ([*JOINED, Bias("a", jnp.zeros(3))], r"bias on 'a' has shape \(3,\)"),
        ([*JOINED, Dense(("a", "c"), jnp.zeros((2, 3)))], r"weight on 'a' and 'c' has shape \(2, 3\)"),
        (JOINED[:1], r"layers \['c'\] are disconnected"),
        ([*JOINED[:1], Bias("c", jnp.asarray(1.0))], r"bias on 'c' has shape \(\)"),
        ([*JOINED, Interaction(("a", "c"), lambda a, c: a * c)], "must return one scalar energy"),
    ],
)
def test_synapses_that_do_not_fit_are_refused(synapses, message):
    with pytest.raises(ValueError, match=message):
        HAM(LAYERS, synapses)


def test_activations_of_an_unknown_layer_are_refused():
    model = chain([2, 3], key=KEY)
    with pytest.raises(ValueError, match="unknown layer 'x'"):
        model.activations({"x": jnp.zeros(2)})


def test_connect_names_the_pair_and_the_unknown_layer():
    with pytest.raises(ValueError, match=r"pair \('a', 'x'\) names an unknown layer 'x'"):
        connect(LAYERS, [("a", "x")], key=KEY)
    with pytest.raises(ValueError, match=r"pair \('y', 'x'\) names an unknown layer 'y'"):
        connect(LAYERS, [("y", "x")], key=KEY)


def test_chain_refuses_one_layer_and_a_wrong_count_of_lagrangians():
    with pytest.raises(ValueError, match="at least two layers"):
        chain([4], key=KEY)
    with pytest.raises(ValueError, match="has 2 entries for 3 layers"):
        chain([4, 5, 3], [Tanh(), Tanh()], key=KEY)


@pytest.mark.parametrize("shape", [0, -1, (), (3, 0)])
def test_layers_need_neurons(shape):
    with pytest.raises(ValueError, match="positive whole numbers"):
        Layer(shape, Tanh())


def test_synapses_are_named_after_their_layers_and_numbered_when_repeated():
    model = HAM(LAYERS, [*JOINED, JOINED[0], JOINED[0], Bias("a", jnp.zeros(2))])
    assert list(model.synapses) == ["a-b", "b-c", "a-b 2", "a-b 3", "a"]


def test_chain_names_its_layers_and_gives_each_lagrangian_to_its_layer():
    model = chain([2, 3, 4, 5], [Identity(), Softmax(), Tanh(), Sigmoid()], key=KEY)
    assert model.order == ("input", "hidden1", "hidden2", "output")
    assert [type(model.layers[n].lagrangian) for n in model.order] == [Identity, Softmax, Tanh, Sigmoid]
    assert chain([2, 3, 4], key=KEY).order == ("input", "hidden", "output")


def test_weights_are_xavier_uniform_and_biases_normal_on_all_layers_but_the_first():
    model = chain([400, 300, 200], key=KEY, bias_std=0.1)
    weight, bound = np.asarray(model.synapses["input-hidden"].weight), np.sqrt(6 / 700)
    assert np.abs(weight).max() <= bound
    assert abs(weight.std() - bound / np.sqrt(3)) < 0.005 * bound
    assert abs(np.std(model.synapses["hidden"].bias) - 0.1) < 0.02
    assert "input" not in model.synapses
    layers = {name: Layer(size, Tanh()) for name, size in (("a", 2), ("b", 2000))}
    for default in (
        chain([2, 2000], key=KEY).synapses["output"],
        connect(layers, [("a", "b")], key=KEY).synapses["b"],
    ):
        assert abs(np.std(default.bias) - 0.01) < 0.001


@pytest.mark.parametrize("name", list(ZOO))
def test_the_tree_of_energies_sums_to_the_energy_whose_derivatives_have_the_residual_as_a_factor(name):
    """`∂/∂g [Σ s·g - L(s) + interaction(g)] = s - drive` at fixed states, and `∂E/∂s = (∂g/∂s) (s - drive)`.

    In saturated neurons the latter vanishes, but not the residual.
    """
    model, _ = ZOO[name]

    @jax.jit
    def laws(states):
        activations, residual = model.activations(states), model.residual(states)
        at = lambda g: energy_at(model, states, g)
        energies = model.energy_tree(states), model.energy(states), at(activations)
        through = jax.jvp(model.activations, (states,), (residual,))[1]
        return energies, residual, jax.grad(at)(activations), through, jax.grad(model.energy)(states)

    (tree, energy, energy_there), residual, in_activation, through, in_state = laws(states_of(model))
    assert set(tree) == {"layers", "synapses"}
    assert (set(tree["layers"]), set(tree["synapses"])) == (set(model.layers), set(model.synapses))
    assert close(sum(map(float, jax.tree.leaves(tree))), energy)
    assert close(energy_there, energy)
    assert close(in_activation, residual)
    assert close(in_state, through)


@pytest.mark.parametrize("name", [n for n, (_, clamp) in ZOO.items() if clamp])
def test_conditioning_keeps_the_energy_and_the_residual_of_the_free_layers(name):
    model, clamp = ZOO[name]
    free = model.condition(clamp)
    assert free.order == model.order[1:]
    both = lambda model, states: (model.energy(states), model.residual(states))
    (part, residual), (energy, whole) = jax.jit(lambda s: (both(free, s), both(model, {**clamp, **s})))(
        states_of(free)
    )
    assert close(part, energy)
    assert close(residual, {n: whole[n] for n in free.order})


def test_conditioning_on_some_neurons_keeps_the_energy_at_their_known_states():
    model = sigmoid_chain(4, 5, 3)
    states = states_of(model)
    mask = jnp.arange(5) % 2 == 0
    free = model.condition({"hidden": PartialClamp(states["hidden"], mask)})
    elsewhere = {**states, "hidden": jnp.where(mask, 7.0, states["hidden"])}
    assert close(free.energy(elsewhere), model.energy(states))


def test_a_layer_whose_neurons_are_not_independent_cannot_be_clamped_in_part():
    model, _ = ZOO["softmax"]
    with pytest.raises(ValueError, match="'hidden' cannot be clamped in part"):
        model.condition({"hidden": PartialClamp(jnp.zeros(5), jnp.ones(5, bool))})


def test_the_middle_of_a_chain_can_be_clamped():
    """Two components are left, which are neighbours of the clamped layer."""
    free = sigmoid_chain(4, 5, 3).condition({"hidden": clamped(5)["input"]})
    assert free.order == ("input", "output")
