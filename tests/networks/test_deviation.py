"""The network of deviations from an equilibrium: its energy, its activations and its drives."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import ZOO, close, double, scaled, slow_except

import hopfax
from hopfax import HAM, Method, PartialClamp
from hopfax.lagrangians import Identity, Sigmoid
from hopfax.networks import ConvBlock, MaxPool, convolutional, deviation_network
from hopfax.updates.problem import Problem

TIGHT = Method(rtol=1e-12, atol=0.0, max_steps=2000)


def pooled() -> HAM:
    neurons = [Identity(), Sigmoid(), Sigmoid(), Identity()]
    blocks = [ConvBlock(2, 3), ConvBlock(3, 3, pool=MaxPool(2))]
    model = convolutional((4, 4, 1), blocks, 2, neurons, key=jr.key(1), bias_std=0.3)
    return scaled(double(model), 0.5)


def partly_clamped() -> dict:
    known = PartialClamp(jnp.array([0.2, 0.0, -0.3, 0.0]), jnp.array([True, False, True, False]))
    return {"input": known}


NETWORKS = {
    **{name: ZOO[name] for name in ("chain4", "skip", "triangle", "softmax", "layernorm")},
    "maximum pooling": (pooled(), {"input": jr.uniform(jr.key(2), (4, 4, 1), jnp.float64)}),
    "clamped in part": (ZOO["skip"][0], partly_clamped()),
}


@pytest.mark.parametrize("name", slow_except(NETWORKS, ["triangle", "softmax", "layernorm"]))
def test_its_energy_and_drives_are_those_of_the_network_less_what_is_constant_and_linear(name):
    model, clamp = NETWORKS[name]
    problem = Problem(model.condition(clamp), TIGHT.update)
    free, order = problem.model, problem.model.order
    states = hopfax.relax(model, clamp, method=TIGHT).state

    @jax.jit
    def of_both(states):
        """Activations, drives and energy of the network, and the differences that they must be."""
        drives = problem.reconstruct(problem.restrict(states))
        network = deviation_network(free, drives)
        change = {n: 0.3 * jr.normal(jr.key(i), drives[n].shape, jnp.float64) for i, n in enumerate(drives)}
        moved = {n: drives[n] + change[n] for n in drives}
        at, after = free.activations(drives), free.activations(moved)
        deviations = jax.tree.map(jnp.subtract, after, at)
        forces = jax.tree.map(jnp.subtract, free.drive(after, order), free.drive(at, order))
        energy = free.energy(moved) - free.energy(drives)
        of_network = network.activations(change), network.drive(deviations, order), network.energy(change)
        return of_network, (deviations, forces, energy)

    (activations, drives, energy), (deviations, forces, rise) = of_both(states)
    assert close(activations, deviations)
    assert close(drives, forces)
    if name != "clamped in part":  # there a drive is not the state of the neuron
        assert np.isclose(energy, rise, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["softmax", "layernorm", "maximum pooling"])
def test_drives_of_small_deviations_are_those_by_the_slope(name):
    model, clamp = NETWORKS[name]
    free = model.condition(clamp)
    drives = hopfax.relax(model, clamp, method=TIGHT).state
    change = {n: 1e-6 * jr.normal(jr.key(i), drives[n].shape, jnp.float64) for i, n in enumerate(free.order)}
    by_difference, by_slope = (deviation_network(free, drives, small) for small in (False, True))
    deviations = by_slope.activations(change)
    drive = lambda network: network.drive(deviations, free.order)
    for one, other in zip(*map(jax.tree.leaves, (drive(by_difference), drive(by_slope))), strict=True):
        assert np.allclose(one, other, rtol=1e-6, atol=1e-14)


def test_what_it_refuses():
    model, clamp = NETWORKS["maximum pooling"]
    free, state = model.condition(clamp), hopfax.relax(model, clamp, method=TIGHT).state
    network = deviation_network(free, state)  # the state of the clamped layer is ignored
    with pytest.raises(ValueError, match="condition the network before its deviations"):
        network.condition({"hidden2": jnp.zeros(network.layers["hidden2"].shape)})
    with pytest.raises(ValueError, match=r"`drives` lacks \['output'\]"):
        deviation_network(free, {name: state[name] for name in state if name != "output"})
