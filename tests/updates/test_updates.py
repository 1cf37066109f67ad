"""Updates against the papers' dense one-matrix form, their energies, and their errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import ZOO, blocks, clamped, close, double, sigmoid_chain

from hopfax import HAM, Bias, Dense, EvenOdd, Interaction, Layer, Synchronous, chain
from hopfax.lagrangians import Tanh
from hopfax.updates import Coloured, Damped
from hopfax.updates.problem import Problem

sizes = {3: (4, 5, 3), 5: (4, 5, 3, 4, 2), 7: (4, 3, 2, 3, 2, 3, 2)}
rho = lambda s: 1 / (1 + np.exp(2 - 4 * s))
tolerance = {"float32": 1e-6, "float64": 1e-12}


@eqx.filter_jit
def image(update, model, clamp, states):
    problem = Problem(model.condition(clamp), update)
    return problem.reconstruct(problem.image(problem.restrict(states)))


@eqx.filter_jit
def energies(update, model, clamp, states):
    problem = Problem(model.condition(clamp), update)
    unknowns = problem.restrict(states)
    energy = problem.model.energy(problem.reconstruct(unknowns))
    return update.energy(problem.model, unknowns), energy


def drawn(model, clamp, dtype=jnp.float64):
    free = [name for name in model.order if name not in clamp]
    keys = jr.split(jr.key(5), len(free))
    return {n: jr.normal(k, model.layers[n].shape, dtype) for n, k in zip(free, keys, strict=True)}


def dense_form(model, clamp):
    """`W` and `b + U ρ(x)` over the layers after the input, and which of these have the output's parity."""
    whole, bias = blocks(model, model.order)
    x = np.asarray(clamp["input"], np.float64)
    free = np.arange(x.size, len(bias))
    depth = np.repeat(np.arange(len(model.order)), [model.layers[n].size for n in model.order])
    even = (depth[free] - depth[-1]) % 2 == 0
    return whole[np.ix_(free, free)], bias[free] + whole[np.ix_(free, np.arange(x.size))] @ rho(x), even


def flatten(states):
    return np.concatenate([np.asarray(states[n], np.float64) for n in states])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("depth", [3, 5, 7])
def test_blocks_equal_the_dense_one_matrix_form(depth, dtype):
    """Papers' eq. (6), (8) and (9)."""
    model = chain(sizes[depth], key=jr.key(depth), bias_std=0.3)
    model = double(model) if dtype == "float64" else model
    clamp = {"input": clamped()["input"].astype(dtype)}
    states = drawn(model, clamp, dtype)
    weight, constant, even = dense_form(model, clamp)
    s = flatten(states)
    synchronous = weight @ rho(s) + constant
    odd_first = np.where(even, s, synchronous)
    assert close(flatten(image(Synchronous(), model, clamp, states)), synchronous, tolerance[dtype])
    split = flatten(image(EvenOdd(), model, clamp, states))
    assert close(split[even], (weight @ rho(odd_first) + constant)[even], tolerance[dtype])
    follow = weight @ np.where(even, rho(split), 0) + constant
    assert close(split[~even], follow[~even], tolerance[dtype])


def test_the_five_layer_layout_block_by_block():
    """`W_P = [[W1', 0], [W2, W3']]` couples (s1, s3) to (s2, s4), and only s1 gets the input."""
    model = sigmoid_chain(*sizes[5])
    weight, _ = blocks(model, ("hidden1", "hidden3", "hidden2", "output", "input"))
    w = [
        np.asarray(model.synapses[n].weight) for n in ("hidden1-hidden2", "hidden2-hidden3", "hidden3-output")
    ]
    crossing = np.block([[w[0], np.zeros((5, 2))], [w[1].T, w[2]]])
    zeros = np.zeros((9, 9)), np.zeros((5, 5))
    assert close(weight[:14, :14], np.block([[zeros[0], crossing], [crossing.T, zeros[1]]]))
    assert not weight[5:14, 14:].any()
    assert EvenOdd().unknowns(model.condition(clamped())) == ("hidden2", "output")


@pytest.mark.parametrize("depth", [3, 4, 5, 7])
def test_the_unknowns_of_even_odd_are_the_layers_of_the_outputs_parity(depth):
    free = sigmoid_chain(*range(2, 2 + depth)).condition({"input": jnp.zeros(2)})
    assert EvenOdd().unknowns(free) == free.order[depth % 2 :: 2]


def test_synchronous_updates_from_a_special_start_are_even_odd():
    """Papers' Appendix E: with even at its drive from odd, two synchronous steps are one even-odd step."""
    model, clamp = ZOO["chain5"]
    states = drawn(model, clamp)
    even = EvenOdd().unknowns(model.condition(clamp))
    special = {**states, **{n: image(Synchronous(), model, clamp, states)[n] for n in even}}
    split = special
    for _ in range(4):
        special = image(Synchronous(), model, clamp, image(Synchronous(), model, clamp, special))
        split = image(EvenOdd(), model, clamp, split)
        assert close({n: special[n] for n in even}, {n: split[n] for n in even})


def test_forward_euler_is_the_damped_update_step_by_step():
    """`s + h (drive - s) = (1 - h) s + h f(s)`, the flow taken from the energy."""
    model, clamp = ZOO["chain3"]
    free, h = model.condition(clamp), 0.3
    flow = jax.jit(lambda s: {n: -r for n, r in free.residual(s).items()})
    euler = damped = drawn(model, clamp)
    for _ in range(5):
        velocity = flow(euler)
        euler = {n: euler[n] + h * velocity[n] for n in euler}
        damped = image(Damped(Synchronous(), jnp.asarray(h)), model, clamp, damped)
        assert close(euler, damped)


@pytest.mark.parametrize("name", list(ZOO))
@pytest.mark.parametrize("update", [Synchronous(), Coloured()], ids=lambda u: type(u).__name__)
def test_the_energy_of_an_update_is_that_of_the_reconstructed_states(name, update):
    model, clamp = ZOO[name]
    (quick, size), whole = energies(update, model, clamp, drawn(model, clamp))
    assert close(quick, whole)
    assert size >= abs(quick)


def hyper(affine: bool) -> HAM:
    layers = {n: Layer(2, Tanh()) for n in "abc"}
    function = lambda a, b: 0.3 + jnp.sum(a * b) + 0.1 * jnp.sum(a)
    synapses = [
        Interaction(("a", "b"), function, affine),
        Dense(("b", "c"), jnp.eye(2)),
        Bias("c", jnp.ones(2)),
    ]
    return HAM(layers, synapses)


def test_an_affine_interaction_is_eliminated_exactly():
    """Its energy at zero activation counts too."""
    model = hyper(affine=True)
    states = drawn(model, {})
    (quick, _), whole = energies(EvenOdd(), model, {}, states)
    assert close(quick, whole)
    states = EvenOdd().reconstruct(
        model, {"b": states["b"]} if EvenOdd().unknowns(model) == ("b",) else states
    )
    residual = model.residual(states)
    assert all(close(residual[n], jnp.zeros(2)) for n in model.order if n not in EvenOdd().unknowns(model))


@pytest.mark.parametrize("update", [EvenOdd(), Coloured()], ids=["even-odd", "coloured"])
def test_a_layer_without_neighbours_is_an_unknown(update):
    """With one colour there is nothing to eliminate: its state is its bias after one step."""
    model = HAM({"a": Layer(2, Tanh())}, [Bias("a", jnp.array([0.5, -1.0]))])
    assert update.unknowns(model) == ("a",)
    assert close(update.image(model, {"a": jnp.zeros(2)})["a"], jnp.array([0.5, -1.0]))


def test_the_layers_of_an_interaction_that_is_not_affine_are_not_eliminated():
    model = hyper(affine=False)
    assert Coloured().unknowns(model) == ("a", "b")
    with pytest.raises(ValueError, match="affine in each activation, but 'a-b' is not"):
        EvenOdd().unknowns(model)


def test_an_interaction_may_be_affine_in_one_of_its_layers():
    model = HAM({n: Layer(2, Tanh()) for n in "ab"}, [Interaction(("a", "b"), upper, affine=("b",))])
    assert Coloured().unknowns(model) == ("a",)
    states = drawn(model, {})
    (quick, _), whole = energies(Coloured(), model, {}, states)
    assert close(quick, whole)


def upper(a, b):
    return -jnp.sum(b * jnp.square(a))


def test_where_a_step_may_raise_the_energy_all_unknowns_move_together():
    """Along minus the gradient of the energy, so that a short enough step lowers it."""
    model = hyper(affine=False)
    assert not Coloured().descends(model)
    states = Coloured().reconstruct(model, drawn(model, {}))
    images = Coloured().image(model, {name: states[name] for name in "ab"})
    drives = model.drive(model.activations(states), ("a", "b"))
    assert all(close(images[name], drives[name]) for name in "ab")


def test_an_image_has_the_unknown_layers_and_their_dtype():
    model, clamp = ZOO["skip"]
    problem = Problem(model.condition(clamp), Damped(Coloured(), jnp.float64(0.5)))
    unknowns = problem.restrict(drawn(model, clamp, jnp.float32))
    shapes = jax.eval_shape(problem.image, unknowns)
    assert set(Coloured().image(problem.model, unknowns)) == set(unknowns)
    assert all(shapes[name].dtype == jnp.float32 for name in unknowns)


def test_even_odd_names_an_odd_cycle():
    model, clamp = ZOO["triangle"]
    with pytest.raises(ValueError, match="but (a|b|c) - .* is an odd cycle") as caught:
        EvenOdd().unknowns(model.condition(clamp))
    assert {"a", "b", "c"} <= set(str(caught.value).split("but ")[1].split(" is an odd")[0].split(" - "))


def test_coloured_is_even_odd_where_the_graph_is_bipartite():
    model, clamp = ZOO["skip"]
    states = drawn(model, clamp)
    assert close(image(Coloured(), model, clamp, states), image(EvenOdd(), model, clamp, states))


@pytest.mark.parametrize("step", [0, -0.1, 1.5])
def test_damped_refuses_steps_outside_its_range(step):
    with pytest.raises(ValueError, match=r"must be in \(0, 1\]"):
        Damped(Synchronous(), step)
